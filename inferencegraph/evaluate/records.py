"""Every question of a run and what became of it, kept as JSON Lines: a run that was interrupted
goes on from there.

The first line says which run it is; each other line is one question's outcome.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Final

import orjson

from inferencegraph.evaluate.datasets import Item
from inferencegraph.evaluate.metrics.columns import Whole
from inferencegraph.evaluate.outcome import Outcome
from predictors.errors import ConfigurationError
from predictors.jsonl import append_line, write_lines

ROWS: Final = "rows"  # the folder, in a benchmark's own, with each run's outcomes
_HEADER: Final = "hem_evaluate"
_VERSION: Final = 1
_TURN: Final = "turn"
_NAMES: Final = frozenset(field.name for field in fields(Outcome))


class Records:
    """Of one run, in `path`. Use as a context; `outcomes` are those that are known, by id.

    Entering raises ConfigurationError where the file is of another run or is damaged.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any]) -> None:
        self.path, self._settings = path, dict(settings)
        self.outcomes: dict[str | int, Outcome] = {}
        self._turns: list[Whole] = []

    def __enter__(self) -> "Records":
        try:
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        except OSError as error:
            raise ConfigurationError(f"{self.path} can't be written: {error.strerror}") from None
        try:
            self._read()
        except BaseException:
            os.close(self._file)
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        os.close(self._file)

    def add(self, item: Item, outcome: Outcome) -> None:
        """Raises ConfigurationError where it can't be written; then the file is as it was."""
        self.outcomes[item.question.id] = outcome
        append_line(self._file, {"id": item.question.id, **outcome.stored()}, self.path)

    def took(self, turn: Whole) -> None:
        """Adds what was measured of this turn as a whole."""
        self._turns.append(turn)
        append_line(self._file, {_TURN: asdict(turn)}, self.path)

    @property
    def whole(self) -> Whole:
        """Of all turns together; None of what one of them does not know."""

        def total(name: str) -> float | None:
            values = [getattr(turn, name) for turn in self._turns]
            return sum(values) if values and None not in values else None

        return Whole(**{field.name: total(field.name) for field in fields(Whole)})

    def _read(self) -> None:
        content = self.path.read_bytes()
        whole = content.rfind(b"\n") + 1  # what a kill has left unfinished goes
        os.ftruncate(self._file, whole)
        header = orjson.dumps({_HEADER: _VERSION, "settings": self._settings})
        lines = content[:whole].splitlines()
        if not lines:
            append_line(self._file, orjson.loads(header), self.path)
            return
        if lines[0] != header:
            raise ConfigurationError(
                f"{self.path} is of a run with other settings; choose another --out"
            )
        for number, line in enumerate(lines[1:], start=2):
            try:
                record = orjson.loads(line)
                if _TURN in record:
                    self._turns.append(Whole(**record[_TURN]))
                else:
                    self.outcomes[record["id"]] = Outcome(
                        **{name: value for name, value in record.items() if name in _NAMES}
                    )
            except (ValueError, TypeError, KeyError) as error:
                raise ConfigurationError(f"{self.path}, line {number}: damaged: {error}") from None


def remove_empty(folder: Path) -> None:
    """Of a benchmark that ended before anything was answered: what has no outcome goes."""
    for path in (folder / ROWS).glob("*.jsonl"):
        if path.read_bytes().count(b"\n") < 2:
            path.unlink()
    for place in (folder / ROWS, folder, folder.parent):
        try:
            place.rmdir()
        except OSError:  # something is in it
            return


def write_records(
    path: Path, settings: Mapping[str, Any], items: Sequence[Item], outcomes: Sequence[Outcome]
) -> None:
    """A whole run at once, in the same form."""
    lines = [{_HEADER: _VERSION, "settings": dict(settings)}]
    lines += [
        {"id": item.question.id, **outcome.stored()}
        for item, outcome in zip(items, outcomes, strict=True)
    ]
    write_lines(path, (orjson.dumps(line) + b"\n" for line in lines))
