"""Precision and recall of the detectors, on texts whose private items are known."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from predictors.errors import ConfigurationError
from predictors.jsonl import read_rows
from transformers_hem.guards.privacy.base import Found
from transformers_hem.guards.privacy.detectors import Detectors


@dataclass(frozen=True, slots=True)
class Labelled:
    """A text and what is private in it, nothing where there are no items."""

    text: str
    items: tuple[Found, ...]


@dataclass(slots=True)
class Measured:
    """Of one kind: `items` there are, of which `caught` were found; of what was `found` the
    `right` touch one. `alarms` are texts without any item in which it was found."""

    items: int = 0
    caught: int = 0
    found: int = 0
    right: int = 0
    alarms: int = 0

    @property
    def recall(self) -> float | None:
        return self.caught / self.items if self.items else None

    @property
    def precision(self) -> float | None:
        return self.right / self.found if self.found else None


@dataclass(frozen=True, slots=True)
class Measurement:
    """`clean`: texts without any item, of which `alarmed` would stay at the edge."""

    kinds: Mapping[str, Measured]
    texts: int
    clean: int
    alarmed: int

    def as_json(self) -> dict[str, Any]:
        kinds = {
            kind: {
                "items": of.items,
                "found": of.found,
                "recall": of.recall,
                "precision": of.precision,
                "alarms": of.alarms,
            }
            for kind, of in self.kinds.items()
        }
        return {"texts": self.texts, "clean": self.clean, "alarmed": self.alarmed, "kinds": kinds}


def measure(detectors: Detectors, rows: Iterable[Labelled]) -> Measurement:
    """An item is caught where what was found of its kind covers it."""
    kinds: dict[str, Measured] = {}
    texts = clean = alarmed = 0
    for row in rows:
        found = detectors.find(row.text)
        texts += 1
        clean += not row.items
        alarmed += bool(found and not row.items)
        for item in row.items:
            of = kinds.setdefault(item.kind, Measured())
            of.items += 1
            of.caught += any(_covers(each, item) for each in found)
        for each in found:
            of = kinds.setdefault(each.kind, Measured())
            of.found += 1
            of.right += any(_touches(each, item) for item in row.items)
        for kind in {each.kind for each in found} if not row.items else ():
            kinds[kind].alarms += 1
    return Measurement(dict(sorted(kinds.items())), texts, clean, alarmed)


def _covers(found: Found, item: Found) -> bool:
    return found.kind == item.kind and found.start <= item.start and found.end >= item.end


def _touches(found: Found, item: Found) -> bool:
    return found.kind == item.kind and found.start < item.end and found.end > item.start


def read_labelled(path: Path) -> list[Labelled]:
    """Rows {text, items: [{kind, start, end} or {kind, text}]}; no items: nothing is private.
    Raises ConfigurationError that names the line."""
    return [_labelled(row, f"{path}, line {number}") for number, row in read_rows(path)]


def _labelled(row: Mapping[str, Any], where: str) -> Labelled:
    text, items = row.get("text"), row.get("items", [])
    if not isinstance(text, str):
        raise ConfigurationError(f"{where}: 'text' must be a string")
    if not isinstance(items, list):
        raise ConfigurationError(f"{where}: 'items' must be a list")
    return Labelled(
        text, tuple(_item(item, text, f"{where}, items[{i}]") for i, item in enumerate(items))
    )


def _item(item: Any, text: str, where: str) -> Found:
    match item:
        case {"kind": str(kind), "start": int(start), "end": int(end)}:
            if not 0 <= start < end <= len(text):
                raise ConfigurationError(
                    f"{where}: characters {start} to {end} are not within the text's {len(text)}"
                )
            return Found(start, end, kind)
        case {"kind": str(kind), "text": str(part)} if part:
            start = text.find(part)
            if start < 0:
                raise ConfigurationError(f"{where}: the text has no {part!r}")
            return Found(start, start + len(part), kind)
    raise ConfigurationError(
        f"{where}: must be {{kind, start, end}} or {{kind, text}}, not {str(item)[:80]}"
    )
