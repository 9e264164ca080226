"""Asks both models every question that is not answered yet, and scores the answers."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from predictors.contract import (
    CLOUD,
    EDGE,
    Answer,
)
from predictors.errors import HEMError
from transformers_hem.labels.asking import Asker, is_systemic, require_two_models
from transformers_hem.labels.journal import Journal
from transformers_hem.labels.question import Question, Side
from transformers_hem.labels.scorers.base import Scorer


@dataclass(frozen=True, slots=True)
class Failure:
    id: str | int
    reason: str


@dataclass
class Labelling:
    """`asker` is None where every question brings its answers along. `on_done` is called after
    each question. The results are in the journal, and in `failures`."""

    asker: Asker | None
    scorer: Scorer
    journal: Journal
    concurrency: int
    on_done: Callable[[], None]
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    failures: list[Failure] = field(default_factory=list)
    asked: int = 0
    gone: str | None = None
    _in_a_row: int = 0

    async def run(self, questions: Sequence[Question]) -> None:
        """Ends early when `stop` is set, after the questions in flight, and when a server is
        `gone`. Raises the HEMError of the first question where all would fail in that way and
        nothing was ever answered. Questions that failed before come last: many that always time
        out keep no other from being asked."""
        unscored = [q for q in questions if q.id not in self.journal.scores]
        pending = deque(sorted(unscored, key=lambda q: q.id in self.journal.failures))
        if not pending or self.stop.is_set():
            return
        if self.journal.empty:
            await self._label(pending.popleft(), first=True)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(self.concurrency, len(pending))):
                    group.create_task(self._work(pending))
        except BaseExceptionGroup as errors:  # a journal that can't be written stops them all
            raise errors.exceptions[0] from None

    async def _work(self, pending: deque[Question]) -> None:
        while pending and not self.stop.is_set():
            await self._label(pending.popleft())

    async def _label(self, question: Question, first: bool = False) -> None:
        try:
            edge = await self._answer(question, EDGE, first)
            cloud = await self._answer(question, CLOUD, first)
            parts = self.journal.parts_of(question)
            pair = await self.scorer.resume(question, edge.text, cloud.text, parts)
        except HEMError as error:
            if first and is_systemic(error):
                raise
            self._failed(question, error)
        else:
            self._in_a_row = 0
            self.journal.scored(question, pair)
        self.on_done()

    async def _answer(self, question: Question, side: Side, first: bool) -> Answer:
        """The row's own, the journal's, else the model's. The first question is not tried again:
        a wrong URL shows at once."""
        known = self.journal.answers.get(question.id, {})
        answer = question.answers.get(side) or known.get(side)
        if answer is not None:
            return answer
        assert self.asker is not None
        self.asked += 1
        answer = await self.asker.ask(side, question.query, retry=not first)
        if self.asker.models.through_graph and side == CLOUD and EDGE in known:
            require_two_models(known[EDGE], answer)
        self.journal.answered(question, side, answer)
        return answer

    def _failed(self, question: Question, error: HEMError) -> None:
        self.failures.append(Failure(question.id, str(error)))
        self.journal.failed(question, str(error))
        self._in_a_row = self._in_a_row + 1 if is_systemic(error) else 0
        if self._in_a_row >= 2 * self.concurrency:
            self.gone = str(error)
            self.stop.set()
