"""One run of `hem label`, from its files to its files."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from predictors.errors import ConfigurationError
from transformers_hem.labels.asking import Asker, Models
from transformers_hem.labels.journal import Journal
from transformers_hem.labels.labelling import Failure, Labelling
from transformers_hem.labels.labels import require_margin
from transformers_hem.labels.options import make_scorer, require_scorable
from transformers_hem.labels.output import Summary, write_labels
from transformers_hem.labels.question import SIDES, Question, read_questions
from transformers_hem.labels.scorers.base import Scorer


@dataclass(frozen=True, slots=True)
class Job:
    """`models` may be None where every row brings both answers along. `timeout` is seconds of one
    attempt at one question; `epsilon` is on the scores' scale."""

    data: Path
    out: Path
    scorer: str
    options: Sequence[str] = ()
    models: Models | None = None
    epsilon: float = 0.0
    concurrency: int = 8
    limit: int | None = None
    timeout: float = 120.0
    attempts: int = 4


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
    questions = read_questions(job.data, job.limit)
    scorer = make_scorer(job.scorer, job.options)
    require_scorable(scorer, job.scorer, questions)
    if job.models is None:
        _require_answers(questions)
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
    labelling = Labelling(
        asker,
        scorer,
        journal,
        job.concurrency,
        watcher.on_done,
        watcher.stop,
    )
    watcher.on_start(len(questions), sum(q.id in journal.scores for q in questions))
    try:
        await labelling.run(questions)
    finally:
        if journal.scores:
            summary = write_labels(job.out, questions, journal, scorer.graded, job.epsilon)
        else:
            summary = Summary(0, len(questions), None, None, None)
    return Result(summary, labelling.failures, labelling.asked, labelling.gone)


def _require_answers(questions: Sequence[Question]) -> None:
    for question in questions:
        for side in SIDES:
            if side not in question.answers:
                raise ConfigurationError(
                    f"{question.where}: no '{side}_answer'; give --edge and --cloud, or a graph's "
                    "--url, to ask for it"
                )


def _settings(job: Job, scorer: Scorer) -> dict[str, Any]:
    """What the labels depend on; they are made with one set of these."""
    options = scorer.options.model_dump(mode="json", exclude=set(scorer.incidental))
    settings: dict[str, Any] = {"scorer": job.scorer, "options": options}
    if job.models is not None:
        settings |= job.models.settings()
    return settings
