"""Asks a file or a folder of questions, and writes what Sedna's workers wrote: all answers, and of
the hard questions the edge's and the cloud's."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from inferencegraph.evaluate.asking import Asker, Pace, ask_all
from inferencegraph.evaluate.datasets import Item
from inferencegraph.evaluate.outcome import Outcome
from inferencegraph.evaluate.records import Records
from predictors.contract import CLOUD, EDGE, text_request
from predictors.errors import ConfigurationError
from predictors.jsonl import read_query, read_rows, write_lines
from transformers_hem.labels.question import Question

JOURNAL: Final = ".hem-batch.jsonl"
_LINES: Final = (".jsonl", ".jsonl.gz", ".json")


@dataclass(frozen=True, slots=True)
class Outputs:
    """Folders, which get files of the inputs' names."""

    all: Path
    hard_by_edge: Path
    hard_by_cloud: Path


@dataclass(frozen=True, slots=True)
class Input:
    """One question: `place` is the file that it came from, relative to what was given; `alone`
    whether it is all of it."""

    item: Item
    place: Path
    alone: bool


@dataclass(frozen=True, slots=True)
class Counts:
    asked: int
    hard: int
    failed: int


def read_inputs(path: Path) -> list[Input]:
    """Questions of JSON Lines {query}, one on each line of any other file, or of a folder's files
    (at any depth), each of which is one question unless it is JSON Lines.

    Raises ConfigurationError for what has none, and names what is no UTF-8 text.
    """
    if path.is_dir():
        files = sorted(
            each for each in path.rglob("*") if each.is_file() and not _hidden(each, path)
        )
        found = [each for file in files for each in _of_file(file, file.relative_to(path), True)]
    else:
        found = _of_file(path, Path(path.name), False)
    if not found:
        raise ConfigurationError(f"{path}: no questions in it")
    return found


def _hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


def _of_file(path: Path, place: Path, whole: bool) -> list[Input]:
    if path.name.endswith(_LINES):
        return [
            Input(
                _item(f"{place}:{number}", read_query(row, f"{path}, line {number}")), place, False
            )
            for number, row in read_rows(path)
        ]
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigurationError(f"{path} can't be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path}: not UTF-8 text (byte {error.start})") from None
    if whole:
        return [Input(_item(str(place), text.strip()), place, True)] if text.strip() else []
    lines = enumerate(text.split("\n"), start=1)
    return [
        Input(_item(f"{place}:{number}", line.strip()), place, False)
        for number, line in lines
        if line.strip()
    ]


def _item(name: str, query: str) -> Item:
    question = Question(name, query, None, (), {}, name, name)
    return Item(question, text_request([query])["inputs"], "", {}, {})


async def ask_batch(
    asker: Asker,
    inputs: Sequence[Input],
    outputs: Outputs,
    pace: Pace,
    settings: Mapping[str, Any],
    on_answer: Callable[[str], None],
) -> Counts:
    """Raises ConfigurationError, before anything is asked, where a file to be written is there
    already: nothing is overwritten. A run that was interrupted goes on.

    The edge is asked once more for each question that went to the cloud.
    """
    _require_free(inputs, outputs)
    outputs.all.mkdir(parents=True, exist_ok=True)
    journal = outputs.all / JOURNAL
    items = [each.item for each in inputs]
    with Records(journal, {"batch": dict(settings), "of": "routed"}) as routed:
        await _ask(asker, items, None, pace, routed, lambda: on_answer("asked"))
        answers = dict(routed.outcomes)
    hard = [item for item in items if answers[item.question.id].route == CLOUD]
    other = outputs.all / f"{JOURNAL}.edge"
    with Records(other, {"batch": dict(settings), "of": "edge"}) as drafts:
        await _ask(asker, hard, EDGE, pace, drafts, lambda: on_answer("hard ones at the edge"))
        edge = dict(drafts.outcomes)
    names = {item.question.id for item in hard}
    difficult = [each for each in inputs if each.item.question.id in names]
    _write(outputs.all, inputs, answers)
    _write(outputs.hard_by_cloud, difficult, answers)
    _write(outputs.hard_by_edge, difficult, edge)
    journal.unlink()
    other.unlink()
    failed = sum(answers[item.question.id].error is not None for item in items)
    return Counts(len(items), len(hard), failed)


async def _ask(
    asker: Asker,
    items: Sequence[Item],
    side: str | None,
    pace: Pace,
    records: Records,
    on_answer: Callable[[], None],
) -> None:
    """Raises the HEMError of the first question, which goes ahead alone: where that one fails, so
    would all."""
    waiting = [item for item in items if item.question.id not in records.outcomes]

    def keep(item: Item, outcome: Outcome) -> None:
        records.add(item, outcome)
        on_answer()

    if waiting:
        keep(waiting[0], await asker.ask(waiting[0], side))
    await ask_all(asker, waiting[1:], side, pace, keep)


def _require_free(inputs: Sequence[Input], outputs: Outputs) -> None:
    for folder in (outputs.all, outputs.hard_by_edge, outputs.hard_by_cloud):
        for place in {_target(each) for each in inputs}:
            if os.path.lexists(folder / place):
                raise ConfigurationError(
                    f"{folder / place} exists, and nothing is overwritten; choose another folder"
                )


def _target(each: Input) -> Path:
    """A question that is a file gets a text, others a line of JSON in a file of their own."""
    return each.place if each.alone else each.place.with_name(f"{each.place.name}.answers.jsonl")


def _write(folder: Path, inputs: Sequence[Input], outcomes: Mapping[Any, Outcome]) -> None:
    lines: dict[Path, list[bytes]] = {}
    for each in inputs:
        outcome = outcomes[each.item.question.id]
        if each.alone:
            content = (outcome.text if outcome.error is None else f"error: {outcome.error}") or ""
            lines[_target(each)] = [content.encode() + b"\n"]
            continue
        row = {"id": each.item.question.id, "query": each.item.question.query, **outcome.stored()}
        row.pop("edge_row", None)
        lines.setdefault(_target(each), []).append(orjson.dumps(row) + b"\n")
    for place, content_lines in lines.items():
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        write_lines(folder / place, content_lines)
    folder.mkdir(parents=True, exist_ok=True)
