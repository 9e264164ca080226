"""What a kustomization's fields name: entries of a list, objects, and fields of objects."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from predictors.errors import ConfigurationError

Objects = Sequence[dict[str, Any]]

_FIELDS: Final = ("kind", "name", "namespace", "labelSelector")
_NAME: Final = re.compile(r"[A-Za-z0-9-]+")
_REQUIREMENT: Final = re.compile(r"([^=!,()\s]+)(?:==?([^=!,()\s]*))?")
# A step of a field path that chooses elements of a list: [name=kserve-container].
_CHOICE: Final = re.compile(r"\[([^=\]]+)=([^\]]*)\]")


def entries(value: Any, fields: Sequence[str], required: int, where: str) -> list[dict[str, Any]]:
    """`value`, a list of mappings with these fields, of which the first `required` are shown in
    the message. Raises ConfigurationError for another type, and for fields beside them."""
    if not isinstance(value, list) or not all(isinstance(entry, Mapping) for entry in value):
        shape = ", ".join(f"{field}: ..." for field in fields[:required])
        raise ConfigurationError(f"{where}: must be a list of {{{shape}}}, not {value!r}")
    for entry in value:
        unknown = sorted(set(entry) - set(fields))
        if unknown:
            raise ConfigurationError(
                f"{where}: {unknown[0]} is not implemented here; fields: {', '.join(fields)}"
            )
    return value


def select_named(objects: Objects, selector: Any, where: str) -> list[dict[str, Any]]:
    """As `replacements` selects: kind, name and namespace are names. Newer versions of kustomize
    read patterns there, older ones don't, so patterns are refused."""
    for value in selector.values() if isinstance(selector, Mapping) else ():
        if isinstance(value, str) and not _NAME.fullmatch(value):
            raise ConfigurationError(
                f"{where}: {value!r} is not a name; versions of kustomize differ about patterns "
                "here"
            )
    return select(objects, selector, where)


def select(objects: Objects, selector: Any, where: str) -> list[dict[str, Any]]:
    """As `patches` selects: kind, name and namespace are regular expressions for the whole of it;
    labels are `key=value` or `key`, all of which must hold."""
    if not isinstance(selector, Mapping) or not selector:
        raise ConfigurationError(f"{where}: must name a kind, a name or a labelSelector")
    unknown = sorted(set(selector) - set(_FIELDS))
    if unknown or not all(isinstance(value, str) for value in selector.values()):
        wrong = unknown[0] if unknown else "a value that is not a string"
        raise ConfigurationError(
            f"{where}: {wrong} is not implemented here; fields: {', '.join(_FIELDS)}"
        )
    labels = list(_requirements(selector.get("labelSelector", ""), where))
    return [content for content in objects if _matches(content, selector, labels, where)]


def places(content: dict[str, Any], path: Any, where: str) -> list[tuple[Any, Any]]:
    """Holder and key of each field of `content` that `path` names. Raises where there is none."""
    if not isinstance(path, str) or not path:
        raise ConfigurationError(f"{where}: {path!r} is not a field path")
    *steps, last = (step.replace("\\.", ".") for step in re.split(r"(?<!\\)\.", path))
    holders: list[Any] = [content]
    for step in steps:
        holders = [holder[key] for holder in holders for key in _keys(holder, step)]
    named = [(holder, key) for holder in holders for key in _keys(holder, last)]
    if not named:
        raise ConfigurationError(f"{where}: {object_name(content)} has no field {path}")
    return named


def object_name(content: Mapping[str, Any]) -> str:
    """How messages call an object."""
    return f"{content.get('kind')} {(content.get('metadata') or {}).get('name')!r}"


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
        try:
            if field in selector and not re.fullmatch(selector[field], str(value or "")):
                return False
        except re.error as error:
            raise ConfigurationError(
                f"{where}: {selector[field]!r} is not a pattern: {error}"
            ) from None
    own = metadata.get("labels") or {}
    return all(key in own and value in (None, own[key]) for key, value in labels)


def _requirements(text: str, where: str) -> Iterator[tuple[str, str | None]]:
    for part in filter(None, (part.strip() for part in text.split(","))):
        match = _REQUIREMENT.fullmatch(part)
        if match is None:
            raise ConfigurationError(
                f"{where}: labelSelector {part!r} is not implemented here; use key=value or key"
            )
        yield match[1], match[2]


def _keys(holder: Any, step: str) -> Iterator[Any]:
    if isinstance(holder, dict):
        if step == "*":
            yield from holder
        elif step in holder:
            yield step
    elif isinstance(holder, list):
        choice = _CHOICE.fullmatch(step)
        for index, item in enumerate(holder):
            chosen = choice and isinstance(item, dict) and str(item.get(choice[1])) == choice[2]
            if step == "*" or step == str(index) or chosen:
                yield index
