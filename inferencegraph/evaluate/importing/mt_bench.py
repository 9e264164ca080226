"""MT-Bench as published with FastChat (https://github.com/lm-sys/FastChat, fastchat/llm_judge,
arXiv 2306.05685): question.jsonl, and beside it files of judgments and of answers, joined by
question_id.

- questions: {"question_id", "category", "turns", "reference"?}
- single judgments: {"question_id", "model", "score", "turn"}, -1 where the judge's score was not
  read
- judgments of pairs: {"question_id", "model_1", "model_2", "g1_winner", "g2_winner", "turn"}, of
  either order; where the orders don't agree it is a tie, as in FastChat's show_result.py
- answers: {"question_id", "model_id", "choices": [{"turns"}]}

The query is the first turn. A score is that of the first turn, or the mean of all turns.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

from inferencegraph.evaluate.importing.files import json_records
from inferencegraph.evaluate.importing.importer import (
    JSON_NAMES,
    Importer,
    ImportOptions,
    files_of,
)
from inferencegraph.evaluate.importing.index import Index
from inferencegraph.evaluate.importing.report import LeftOut, Place
from inferencegraph.evaluate.importing.rows import Row, compared, known_fields, number, text


class MTBenchOptions(ImportOptions):
    turns: Literal["first", "mean"] = "first"
    judged: Literal["single", "pair"] = "single"


class MTBench(Importer):
    Options: ClassVar[type[ImportOptions]] = MTBenchOptions
    options: MTBenchOptions

    def rows(self, paths: Sequence[Path]) -> Iterator[tuple[Place, Row]]:
        self.pair.require_both()
        with Index.open(self.reading.scratch) as index:
            for path in files_of(paths, JSON_NAMES):
                for place, record in json_records(path, self.report, self.reading.on_read):
                    try:
                        index.add(_question_id(record), place, record)
                    except LeftOut as fault:
                        self.report.read += 1
                        self.report.leave_out(place, fault)
            index.close()
            for group in index.groups():
                place = group[0][0]
                self.report.read += 1
                try:
                    place, question = _question(group)
                    row = self._row(question, [record for _, record in group])
                except LeftOut as fault:
                    self.report.leave_out(place, fault)
                else:
                    yield place, row

    def _row(self, question: dict[str, Any], records: list[dict[str, Any]]) -> Row:
        turns, references = question["turns"], question.get("reference")
        reference = references[0] if isinstance(references, list) and references else None
        row = {"id": question["question_id"], "query": turns[0]}
        row |= known_fields(reference=text(reference), category=text(question.get("category")))
        if self.options.judged == "pair":
            return row | self._winner(records)
        models: dict[str, dict[str, Any]] = {}
        for name, score in self._scores(records).items():
            models.setdefault(name, {})["score"] = score
        for name, answer in _answers(records):
            models.setdefault(name, {})["answer"] = answer
        if not models and not self.pair.named:
            return row
        return row | compared(self.pair, models)

    def _scores(self, records: list[dict[str, Any]]) -> dict[str, float]:
        given: dict[str, list[float]] = {}
        for record in records:
            model, score = record.get("model"), number(record.get("score"))
            counts = self.options.turns == "mean" or number(record.get("turn")) in (1, None)
            if isinstance(model, str) and score is not None and score >= 0 and counts:
                given.setdefault(model, []).append(score)
        return {model: sum(scores) / len(scores) for model, scores in given.items()}

    def _winner(self, records: list[dict[str, Any]]) -> Row:
        edge, cloud = self.pair.edge, self.pair.cloud
        if edge is None or cloud is None:
            raise LeftOut("no pair", "judged=pair needs --edge and --cloud")
        for record in records:
            first, second = record.get("model_1"), record.get("model_2")
            straight = (first, second) == (edge, cloud)
            if (not straight and (first, second) != (cloud, edge)) or number(
                record.get("turn")
            ) not in (1, None):
                continue
            one, two = record.get("g1_winner"), record.get("g2_winner")
            if "error" in (one, two):
                raise LeftOut("a judgment that failed")
            if one != two or one not in ("model_1", "model_2"):
                winner = "tie"
            else:
                winner = "edge" if (one == "model_1") == straight else "cloud"
            answers = {s: a for s, a in _answers(records) if s in (edge, cloud)}
            sides = {"edge": edge, "cloud": cloud}
            row: Row = {f"{s}_answer": answers[m] for s, m in sides.items() if m in answers}
            row |= {f"{side}_model": model for side, model in sides.items()}
            return row | {"winner": winner}
        raise LeftOut("no judgment of the pair")


def _question_id(record: dict[str, Any]) -> str:
    name = record.get("question_id")
    if isinstance(name, bool) or not isinstance(name, int | str):
        raise LeftOut("no question_id")
    return str(name)


def _question(group: list[tuple[Place, Any]]) -> tuple[Place, dict[str, Any]]:
    for place, record in group:
        turns = record.get("turns")
        if isinstance(turns, list):
            if not turns or not isinstance(turns[0], str):
                raise LeftOut("no turns")
            return place, record
    raise LeftOut("no question with this question_id", str(group[0][1].get("question_id")))


def _answers(records: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """Of each model to the first turn."""
    for record in records:
        model, choices = record.get("model_id"), record.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices else None
        turns = choice.get("turns") if isinstance(choice, dict) else None
        first = turns[0] if isinstance(turns, list) and turns else None
        if isinstance(model, str) and isinstance(first, str):
            yield model, first
