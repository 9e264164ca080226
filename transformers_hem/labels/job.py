"""`hem label`: asks both models every question that is not answered yet, scores the answers, and
writes the labels that `hem train` and `hem calibrate` read."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from predictors.contract import CLOUD, EDGE, TELEMETRY, Answer
from predictors.errors import ConfigurationError, HEMError
from predictors.jsonl import write_lines
from transformers_hem.labels.asking import Asker, Models, is_systemic, require_two_models
from transformers_hem.labels.journal import Journal
from transformers_hem.labels.labels import is_hard, require_margin
from transformers_hem.labels.prefixes import PREFIXES
from transformers_hem.labels.question import SIDES, Question, Side, read_questions
from transformers_hem.labels.scorers.base import Scorer
from transformers_hem.labels.scorers.options import make_scorer, require_scorable


@dataclass(frozen=True, slots=True)
class Job:
    """`models` may be None where every row brings both answers along. `timeout` is seconds of one
    attempt at one question; `epsilon` is on the scores' scale. `limit` questions are drawn by
    `seed`; without one they are the first."""

    data: Path
    out: Path
    scorer: str
    options: Sequence[str] = ()
    models: Models | None = None
    epsilon: float = 0.0
    concurrency: int = 8
    limit: int | None = None
    seed: int | None = None
    timeout: float = 120.0
    attempts: int = 4


@dataclass(frozen=True, slots=True)
class Summary:
    """`edge` and `cloud` are mean scores; None where no row is labelled. `missing` rows are not.
    `edge_unread` and `cloud_unread` are answers in which the scorer found none."""

    rows: int
    missing: int
    edge: float | None
    cloud: float | None
    hard_share: float | None
    edge_unread: int = 0
    cloud_unread: int = 0


@dataclass(frozen=True, slots=True)
class Failure:
    id: str | int
    reason: str


@dataclass(frozen=True, slots=True)
class Result:
    """`asked` counts questions put to a model; `gone` is why the run ended early."""

    summary: Summary
    failures: Sequence[Failure]
    asked: int
    gone: str | None


@dataclass(frozen=True, slots=True)
class Watcher:
    """Follows a run: `on_start(total, done)`, `on_done()` per question. `stop` ends it after the
    questions in flight."""

    on_start: Callable[[int, int], None] = lambda total, done: None
    on_done: Callable[[], None] = lambda: None
    stop: asyncio.Event = field(default_factory=asyncio.Event)


async def label(job: Job, watcher: Watcher) -> Result:
    """Asks, scores and writes `job.out`, also when it is cancelled or stopped.

    Raises ConfigurationError for bad input before anything is asked, and UpstreamError where the
    first question shows that a model or judge can't be used, unless something was answered before.
    """
    require_margin(job.epsilon)
    questions = read_questions(job.data, job.limit, job.seed)
    scorer = make_scorer(job.scorer, job.options)
    require_scorable(scorer, job.scorer, questions)
    if job.models is None:
        _require_answers(questions)
    else:
        _require_prefixes(questions, job.models.prefix_tokens)
    asker = Asker(job.models, job.timeout, job.attempts) if job.models else None
    try:
        await scorer.start()
        journal = Journal.open(job.out, _settings(job, scorer), questions)
        try:
            return await _run(job, scorer, asker, journal, questions, watcher)
        finally:
            journal.close()
    finally:
        await scorer.close()
        if asker is not None:
            await asker.close()


async def _run(
    job: Job,
    scorer: Scorer,
    asker: Asker | None,
    journal: Journal,
    questions: Sequence[Question],
    watcher: Watcher,
) -> Result:
    labelling = Labelling(asker, scorer, journal, job.concurrency, watcher.on_done, watcher.stop)
    watcher.on_start(len(questions), sum(q.id in journal.scores for q in questions))
    try:
        await labelling.run(questions)
    finally:
        if journal.scores:
            summary = _write_labels(job.out, questions, journal, scorer, job.epsilon)
        else:
            summary = Summary(0, len(questions), None, None, None)
    return Result(summary, labelling.failures, labelling.asked, labelling.gone)


def _write_labels(
    out: Path, questions: Sequence[Question], journal: Journal, scorer: Scorer, epsilon: float
) -> Summary:
    """Writes a row for each question that has scores, in their order."""
    labelled = [question for question in questions if question.id in journal.scores]
    rows = [_row(question, journal, scorer, epsilon) for question in labelled]
    write_lines(out, (orjson.dumps(row) + b"\n" for row in rows))
    count = len(rows)
    if not count:
        return Summary(0, len(questions), None, None, None)
    pairs = [journal.scores[question.id] for question in labelled]
    edge = sum(pair.edge for pair in pairs) / count
    cloud = sum(pair.cloud for pair in pairs) / count
    hard = sum(row["hard"] for row in rows) / count
    unread = (sum(f"{side}_unread" in row for row in rows) for side in SIDES)
    return Summary(count, len(questions) - count, edge, cloud, hard, *unread)


def _row(question: Question, journal: Journal, scorer: Scorer, epsilon: float) -> dict[str, Any]:
    answers: dict[Side, Answer] = {**journal.answers.get(question.id, {}), **question.answers}
    pair = journal.scores[question.id]
    row: dict[str, Any] = {"id": question.id, "query": question.query}
    if question.reference is not None:
        row["reference"] = question.reference
    row |= {f"{side}_answer": answers[side].text for side in SIDES}
    if scorer.graded:
        row |= {"edge_score": pair.edge, "cloud_score": pair.cloud}
    else:
        row |= {"edge_correct": bool(pair.edge), "cloud_correct": bool(pair.cloud)}
    row |= {f"{s}_unread": True for s in SIDES if not scorer.reads(question, answers[s].text)}
    telemetry = {f"{s}_{name}": getattr(answers[s], name) for s in SIDES for name in TELEMETRY}
    row |= {name: value for name, value in telemetry.items() if value is not None}
    if prefixes := question.prefixes or journal.prefixes.get(question.id):
        row[PREFIXES] = prefixes
    return row | {"hard": is_hard(pair.edge, pair.cloud, epsilon)}


def _require_answers(questions: Sequence[Question]) -> None:
    for question in questions:
        for side in SIDES:
            if side not in question.answers:
                raise ConfigurationError(
                    f"{question.where}: no '{side}_answer'; give --edge and --cloud, or a graph's "
                    "--url, to ask for it"
                )


def _require_prefixes(questions: Sequence[Question], sizes: Sequence[int]) -> None:
    for question in questions:
        there = {prefix["tokens"] for prefix in question.prefixes}
        for size in sizes:
            if EDGE in question.answers and size not in there:
                raise ConfigurationError(
                    f"{question.where}: it brings its 'edge_answer' along, but no prefix of {size} "
                    f"tokens in {PREFIXES!r}; without that answer the edge is asked for both"
                )


def _settings(job: Job, scorer: Scorer) -> dict[str, Any]:
    """What the labels depend on; they are made with one set of these."""
    options = scorer.options.model_dump(mode="json", exclude=set(scorer.incidental))
    settings: dict[str, Any] = {"scorer": job.scorer, "options": options}
    if job.models is not None:
        settings |= job.models.settings()
    return settings


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
        answer, prefixes = await self.asker.ask(side, question.query, retry=not first)
        if self.asker.models.through_graph and side == CLOUD and EDGE in known:
            require_two_models(known[EDGE], answer)
        self.journal.answered(question, side, answer, prefixes)
        return answer

    def _failed(self, question: Question, error: HEMError) -> None:
        self.failures.append(Failure(question.id, str(error)))
        self.journal.failed(question, str(error))
        self._in_a_row = self._in_a_row + 1 if is_systemic(error) else 0
        if self._in_a_row >= 2 * self.concurrency:
            self.gone = str(error)
            self.stop.set()
