"""Asks the edge and scores its answers beside the logged ones, once each: there is a journal."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from inferencegraph.evaluate.estimating.edge import Edge
from inferencegraph.evaluate.estimating.log import LoggedRow
from predictors.contract import EDGE, Answer
from predictors.errors import ConfigurationError, HEMError, UpstreamError
from transformers_hem.labels.asking import is_systemic
from transformers_hem.labels.journal import Journal
from transformers_hem.labels.question import Question
from transformers_hem.labels.scorers.base import Pair, Scorer

# Where there is no answer, or no score, nothing is lost by thinking the worst of it.
WORST: Final = Pair(0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Labelled:
    """`failure`: why there is no answer of the edge or no score; `pair` is the worst then.
    `seconds`: of the edge's answer, None where it was not asked for here."""

    row: LoggedRow
    pair: Pair
    answer: Answer | None = None
    seconds: float | None = None
    failure: str | None = None

    @property
    def loss(self) -> float:
        return self.pair.cloud - self.pair.edge


class Stopped(Exception):
    """`stop` was set before all rows were labelled."""


@dataclass
class Labelling:
    """`edge` is None where every row brings its edge_answer along. `asked` counts what was put to
    the edge. `on_done` is called after each row."""

    edge: Edge | None
    scorer: Scorer
    journal: Journal
    concurrency: int
    on_done: Callable[[], None] = lambda: None
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    asked: int = 0
    _in_a_row: int = 0

    async def label(self, rows: Sequence[LoggedRow]) -> list[Labelled]:
        """In the rows' order. Raises Stopped; UpstreamError where the edge is gone: where the very
        first question shows that it can't be asked, or many in a row fail in that way."""
        labelled: dict[int, Labelled] = {}
        pending = list(enumerate(rows))[::-1]
        if self.journal.empty and pending:
            index, row = pending.pop()
            labelled[index] = await self._label(row, first=True)

        async def work() -> None:
            while pending and not self.stop.is_set():
                index, row = pending.pop()
                labelled[index] = await self._label(row)

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(self.concurrency, len(pending))):
                    group.create_task(work())
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        if len(labelled) < len(rows):
            raise Stopped
        return [labelled[index] for index in range(len(rows))]

    async def _label(self, row: LoggedRow, first: bool = False) -> Labelled:
        question = row.question
        try:
            answer = await self._answer(row, first)
            pair = self.journal.scores.get(question.id) or await self._score(row, answer)
        except ConfigurationError:
            raise
        except HEMError as error:
            if first and is_systemic(error):
                raise
            return self._failed(row, error)
        self._in_a_row = 0
        self.on_done()
        return Labelled(row, pair, answer, self.journal.seconds.get(question.id))

    async def _answer(self, row: LoggedRow, first: bool) -> Answer:
        """The row's own, the journal's, else the model's."""
        known = self.journal.answers.get(row.question.id, {})
        answer = row.question.answers.get(EDGE) or known.get(EDGE)
        if answer is not None:
            return answer
        if self.edge is None:
            raise ConfigurationError(
                f"{row.question.where}: no 'edge_answer'; give --edge to ask for it"
            )
        self.asked += 1
        answer, seconds = await self.edge.ask(row, retry=not first)
        self.journal.answered(row.question, EDGE, answer, seconds=seconds)
        return answer

    async def _score(self, row: LoggedRow, answer: Answer) -> Pair:
        parts = self.journal.parts_of(row.question)
        pair = await self.scorer.resume(row.question, answer.text, row.cloud_answer, parts)
        for score in pair:
            _require_unit(score, row.question)
        self.journal.scored(row.question, pair)
        return pair

    def _failed(self, row: LoggedRow, error: HEMError) -> Labelled:
        self.journal.failed(row.question, str(error))
        self._in_a_row = self._in_a_row + 1 if is_systemic(error) else 0
        if self._in_a_row >= 2 * self.concurrency:
            raise UpstreamError(
                f"gave up after {self._in_a_row} failures in a row; the same command goes on: "
                f"{error}"
            )
        self.on_done()
        return Labelled(row, WORST, failure=str(error))


def _require_unit(score: float, question: Question) -> None:
    if not 0 <= score <= 1:
        raise ConfigurationError(
            f"{question.where}: a score of {score:g}: an estimate needs scores between 0 and 1, to "
            "know the worst that there can be; choose another --scorer"
        )
