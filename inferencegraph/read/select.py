"""Which objects a kustomization's `target`, `select` or `source` means."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from predictors.errors import ConfigurationError

Objects = Sequence[dict[str, Any]]

_FIELDS: Final = ("kind", "name", "namespace", "labelSelector")
_NAME: Final = re.compile(r"[A-Za-z0-9-]+")
_REQUIREMENT: Final = re.compile(r"([^=!,()\s]+)(?:==?([^=!,()\s]*))?")


def select_named(objects: Objects, selector: Any, where: str) -> list[dict[str, Any]]:
    """As `replacements` selects: kind, name and namespace are names. Newer versions of kustomize
    read patterns there, older ones don't, so patterns are refused."""
    for value in selector.values() if isinstance(selector, Mapping) else ():
        if isinstance(value, str) and not _NAME.fullmatch(value):
            raise ConfigurationError(
                f"{where}: {value!r} is no name; versions of kustomize differ about patterns here"
            )
    return select(objects, selector, where)


def select(objects: Objects, selector: Any, where: str) -> list[dict[str, Any]]:
    """As `patches` selects: kind, name and namespace are regular expressions for the whole of it;
    labels are `key=value` or `key`, all of which must hold."""
    if not isinstance(selector, Mapping) or not selector:
        raise ConfigurationError(f"{where}: must name a kind, a name or a labelSelector")
    unknown = sorted(set(selector) - set(_FIELDS))
    if unknown or not all(isinstance(value, str) for value in selector.values()):
        wrong = unknown[0] if unknown else "a value that is no string"
        raise ConfigurationError(f"{where}: {wrong} is not implemented here; fields: {_FIELDS}")
    labels = list(_requirements(selector.get("labelSelector", ""), where))
    return [content for content in objects if _matches(content, selector, labels, where)]


def _matches(
    content: dict[str, Any],
    selector: Mapping[str, str],
    labels: Sequence[tuple[str, str | None]],
    where: str,
) -> bool:
    metadata = content.get("metadata") or {}
    identity = {
        "kind": content.get("kind"),
        "name": metadata.get("name"),
        "namespace": metadata.get("namespace"),
    }
    for field, value in identity.items():
        if field in selector and not _fits(selector[field], str(value or ""), where):
            return False
    own = metadata.get("labels") or {}
    return all(key in own and value in (None, own[key]) for key, value in labels)


def _fits(pattern: str, value: str, where: str) -> bool:
    try:
        return re.fullmatch(pattern, value) is not None
    except re.error as error:
        raise ConfigurationError(f"{where}: {pattern!r} is no pattern: {error}") from None


def _requirements(text: str, where: str) -> Iterator[tuple[str, str | None]]:
    for part in filter(None, (part.strip() for part in text.split(","))):
        found = _REQUIREMENT.fullmatch(part)
        if found is None:
            raise ConfigurationError(
                f"{where}: labelSelector {part!r} is not implemented here; use key=value or key"
            )
        yield found[1], found[2]
