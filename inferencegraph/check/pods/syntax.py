"""How Kubernetes wants names, labels and paths to be written."""

import re
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Syntax:
    """What the whole text matches, how long it may be, and the rule in words."""

    pattern: re.Pattern[str]
    limit: int
    rule: str

    def fault(self, value: Any) -> str | None:
        """The rest of a sentence that begins with the field; None for what is no string."""
        if not isinstance(value, str):
            return None
        if len(value) > self.limit:
            return f"{value!r} has {len(value)} characters; at most {self.limit} are allowed"
        return None if self.pattern.fullmatch(value) else f"is {value!r}; {self.rule}"


_LABEL: Final = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN: Final = rf"{_LABEL}(\.{_LABEL})*"
_NAME_PART: Final = r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_UNLIMITED: Final = 1 << 20
_ENDS: Final = "and a letter or digit at both ends"

LABEL: Final = Syntax(re.compile(_LABEL), 63, f"use a-z, 0-9 and -, {_ENDS}")
SUBDOMAIN: Final = Syntax(re.compile(_SUBDOMAIN), 253, f"use a-z, 0-9, - and ., {_ENDS}")
SERVICE_NAME: Final = Syntax(
    re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?"), 63, "use a-z, 0-9 and -, with a letter first"
)
PORT_NAME: Final = Syntax(
    re.compile(r"(?=.*[a-z])(?!.*--)[a-z0-9]([-a-z0-9]*[a-z0-9])?"),
    15,
    f"use a-z, 0-9 and single -, with at least one letter, {_ENDS}",
)
LABEL_VALUE: Final = Syntax(
    re.compile(rf"({_NAME_PART})?"), 63, f"a label has letters, digits, -, _ and ., {_ENDS}"
)
QUALIFIED_NAME: Final = Syntax(
    re.compile(rf"((?=[^/]{{1,253}}/){_SUBDOMAIN}/)?(?=[^/]{{1,63}}$){_NAME_PART}"),
    _UNLIMITED,
    f"use letters, digits, -, _ and . (63 at most), {_ENDS}, and at most one prefix DOMAIN/",
)
ENVIRONMENT_NAME: Final = Syntax(
    re.compile(r"[ -<>-~]+"), _UNLIMITED, "use printable ASCII characters other than ="
)
CONFIG_KEY: Final = Syntax(
    re.compile(r"(?!\.$|\.\.)[-._a-zA-Z0-9]+"), 253, "use letters, digits, -, _ and ."
)
HEADER_NAME: Final = Syntax(re.compile(r"[-A-Za-z0-9]+"), _UNLIMITED, "use letters, digits and -")
PERCENTAGE: Final = Syntax(re.compile(r"[0-9]+%"), _UNLIMITED, "write a number or a percentage")
RELATIVE_PATH: Final = Syntax(
    re.compile(r"(?!/)(?!(.*/)?\.\.(/|$)).*", re.DOTALL),
    _UNLIMITED,
    "must be a relative path without ..",
)
PATH_WITHOUT_BACKSTEPS: Final = Syntax(
    re.compile(r"(?!(.*/)?\.\.(/|$)).*", re.DOTALL), _UNLIMITED, "must not contain .."
)
