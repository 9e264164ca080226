"""What a single value looks like; each function says what is wrong with it, or None."""

import ipaddress
import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any, Final, TypeGuard

from inferencegraph.build.pods import QUANTITY, parse_quantity
from inferencegraph.check.problem import Finding, error
from predictors.errors import known

_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_LABEL_1035: Final = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_QUALIFIED: Final = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_VALUE: Final = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")
_PORT_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_VARIABLE: Final = re.compile(r"[ -<>-~]+")  # printable ASCII but for =
_KEY: Final = re.compile(r"[-._a-zA-Z0-9]+")
_LABEL_LIMIT: Final = 63
_SUBDOMAIN_LIMIT: Final = 253
_PORT_NAME_LIMIT: Final = 15
_LARGEST_PORT: Final = 65535


def dns_label(value: str) -> str | None:
    if len(value) > _LABEL_LIMIT:
        return f"has {len(value)} characters; at most {_LABEL_LIMIT}"
    return None if _LABEL.fullmatch(value) else "must be a-z, 0-9 and -, with no - at its ends"


def dns_1035(value: str) -> str | None:
    if len(value) > _LABEL_LIMIT:
        return f"has {len(value)} characters; at most {_LABEL_LIMIT}"
    return None if _LABEL_1035.fullmatch(value) else "must be a-z, 0-9 and -, with a letter first"


def dns_subdomain(value: str) -> str | None:
    if len(value) > _SUBDOMAIN_LIMIT:
        return f"has {len(value)} characters; at most {_SUBDOMAIN_LIMIT}"
    return None if _SUBDOMAIN.fullmatch(value) else "must be a-z, 0-9, - and ., ends a-z or 0-9"


def qualified_name(value: str) -> str | None:
    """A label's or annotation's key: `prefix/name`, the prefix a domain."""
    prefix, slash, name = value.rpartition("/")
    if slash and (not prefix or dns_subdomain(prefix)):
        return f"its prefix {prefix!r} must be a domain in lower case"
    if not name or len(name) > _LABEL_LIMIT or not _QUALIFIED.fullmatch(name):
        return "must be letters, digits, -, _ and ., at most 63, with a letter or digit at its ends"
    return None


def label_value(value: str) -> str | None:
    if len(value) > _LABEL_LIMIT:
        return f"has {len(value)} characters; a label's value has at most {_LABEL_LIMIT}"
    if _VALUE.fullmatch(value):
        return None
    return "must be letters, digits, -, _ and ., with a letter or digit at its ends"


def port_name(value: str) -> str | None:
    """Of a container's port, as IANA names services."""
    if len(value) > _PORT_NAME_LIMIT:
        return f"has {len(value)} characters; a port's name has at most {_PORT_NAME_LIMIT}"
    if not _PORT_NAME.fullmatch(value) or "--" in value or not re.search("[a-z]", value):
        return "must be a-z, 0-9 and single -, with at least one letter and no - at its ends"
    return None


def variable_name(value: str) -> str | None:
    return None if _VARIABLE.fullmatch(value) else "must be printable ASCII without ="


def config_key(value: str) -> str | None:
    if len(value) > _SUBDOMAIN_LIMIT or not _KEY.fullmatch(value) or value in (".", ".."):
        return "must be letters, digits, -, _ and ."
    return None


def ip_address(value: str) -> str | None:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return "is not an IP address"
    return None


def is_number(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def quantity_of(value: Any) -> Decimal | None:
    """The amount, negative ones too; None where it isn't a quantity."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = f"{value:f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
    if not isinstance(value, str):
        return None
    sign = -1 if value.startswith("-") else 1
    unsigned = value[1:] if value[:1] in ("+", "-") else value
    return sign * parse_quantity(unsigned) if QUANTITY.fullmatch(unsigned) else None


def wrong(field: str, value: Any, check: Any) -> Iterator[Finding]:
    """An error where `check` finds something wrong in a text."""
    if isinstance(value, str) and (says := check(value)) is not None:
        yield error(field, f"{value!r} {says}")


def one_of(field: str, value: Any, allowed: Iterable[str], what: str) -> Iterator[Finding]:
    """An error where a text is none of `allowed`."""
    names = list(allowed)
    if isinstance(value, str) and value not in names:
        yield error(field, f"unknown {what} {value!r}; {known(value, names)}")


def at_least(field: str, value: Any, least: int) -> Iterator[Finding]:
    if is_number(value) and value < least:
        yield error(field, f"must be {least} or more, not {value}")


def port_number(field: str, value: Any, least: int = 1) -> Iterator[Finding]:
    if is_number(value) and not least <= value <= _LARGEST_PORT:
        yield error(field, f"must be a port from {least} to {_LARGEST_PORT}, not {value}")


def one_choice(
    field: str, given: Iterable[str], known_ones: Iterable[str], what: str
) -> Iterator[Finding]:
    """Exactly one of `known_ones` has to be among the names of a mapping."""
    names = list(known_ones)
    chosen = [name for name in given if name in names]
    if not chosen:
        yield error(field, f"has no {what}; give one of {', '.join(names)}")
    elif len(chosen) > 1:
        yield error(field, f"has {' and '.join(chosen)}; it takes one {what}")


def duplicates(
    field: str, names: Iterable[tuple[int, Any]], what: str, last: str = "name"
) -> Iterator[Finding]:
    """Errors where a name stands twice in a list; `names` with their places in it."""
    seen: set[Any] = set()
    for index, name in names:
        if not isinstance(name, str | tuple):
            continue
        if name in seen:
            place = f"{field}[{index}]" + (f".{last}" if last else "")
            yield error(place, f"another {what} is called {name!r}, too")
        seen.add(name)
