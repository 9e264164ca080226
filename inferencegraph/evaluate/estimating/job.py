"""One run of `hem estimate`: from the log to what it found, and the router that it is about."""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from inferencegraph.evaluate.estimating.aim import Aim
from inferencegraph.evaluate.estimating.edge import Edge
from inferencegraph.evaluate.estimating.findings import (
    curve,
    quality,
    require_both_kinds,
    router_scores,
    with_walk,
)
from inferencegraph.evaluate.estimating.labelling import Labelled, Labelling, Stopped
from inferencegraph.evaluate.estimating.log import Log, LoggedRow, drawn
from inferencegraph.evaluate.estimating.result import Counts, Estimate, Why
from inferencegraph.evaluate.estimating.rows import write_rows
from inferencegraph.evaluate.estimating.savings import Pricing, Savings, latency, savings
from inferencegraph.evaluate.estimating.walk import BATCH, LossWalk, ShareWalk, make_walk
from predictors.errors import ConfigurationError
from transformers_hem.algorithms import ALGORITHMS
from transformers_hem.arrays import Floats
from transformers_hem.calibration.calibrate import write_calibration
from transformers_hem.calibration.config import Calibration, ScoreSpread
from transformers_hem.labels.journal import Journal
from transformers_hem.labels.scorers.base import Scorer
from transformers_hem.routers.scoring import open_router
from transformers_hem.routers.training import train

ROWS, TRAINING, ROUTER = "rows.jsonl", "training.jsonl", "router"


@dataclass(frozen=True, slots=True)
class Watcher:
    """Follows a run: `on_start(task, most)` and `on_done(task)` per label, `on_look(words)` when a
    batch has been looked at. `stop` ends it after the questions in flight."""

    on_start: Callable[[str, int], None] = lambda task, most: None
    on_done: Callable[[str], None] = lambda task: None
    on_look: Callable[[str], None] = lambda words: None
    stop: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True, slots=True)
class Job:
    """`out` is a folder, which gets the rows, the training rows and the router. `edge` may be None
    where every row brings its edge_answer along."""

    log: Log
    out: Path
    aim: Aim
    scorer: Scorer
    scorer_name: str
    edge: Edge | None
    pricing: Pricing = field(default_factory=Pricing)
    limit: int | None = None
    per_month: int | None = None
    concurrency: int = 8


def require_query_stage(algorithm: str) -> None:
    """The share at the edge is counted on queries that the edge was never asked: raises
    ConfigurationError for an algorithm that would have to see its answers."""
    if (stage := ALGORITHMS.load(algorithm).stage) != "query":
        raise ConfigurationError(
            f"{algorithm} mines the {stage}, which is unknown of queries that the edge is not "
            "asked: take one that mines the query, such as LinearRouter"
        )


async def estimate(job: Job, watcher: Watcher) -> Estimate:
    """Raises ConfigurationError for what can't be estimated, UpstreamError where the edge can't be
    asked, Stopped where it was stopped before there was a router."""
    rows = drawn(job.log, job.limit, job.aim.seed)
    training = job.aim.rows_to_train(len(rows))
    make_folder(job.out)
    journal = Journal.open(job.out / ROWS, _settings(job), [row.question for row in rows])
    try:
        await job.scorer.start()
        return await _Run(job, watcher, journal).run(rows[:training], rows[training:])
    finally:
        await job.scorer.close()
        if job.edge is not None:
            await job.edge.close()
        journal.close()
        with suppress(OSError):  # it is not empty: something was answered
            job.out.rmdir()


def make_folder(out: Path) -> None:
    """Raises ConfigurationError."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"--out {out} can't be made: {error.strerror}") from None


def _settings(job: Job) -> dict[str, Any]:
    """What labels depend on: other aims may use the same ones."""
    options = job.scorer.options.model_dump(mode="json", exclude=set(job.scorer.incidental))
    asked = job.edge.settings() if job.edge else {}
    return {
        "scorer": job.scorer_name,
        "options": options,
        "agreement": job.log.agreement,
        **asked,
    }


class _Run:
    def __init__(self, job: Job, watcher: Watcher, journal: Journal) -> None:
        self.job, self.watcher, self.journal = job, watcher, journal
        self.began = time.monotonic()
        self.first_interval: float | None = None
        self.task = ""
        self.labelling = Labelling(
            job.edge,
            job.scorer,
            journal,
            job.concurrency,
            lambda: watcher.on_done(self.task),
            watcher.stop,
        )

    async def run(self, training: Sequence[LoggedRow], pool: Sequence[LoggedRow]) -> Estimate:
        aim = self.job.aim
        self._begin("labels to train on", len(training))
        learned = await self._label_all(training)
        write_rows(self.job.out / TRAINING, learned, self.job.scorer)
        require_both_kinds(learned, aim)
        router = self.job.out / ROUTER
        train(self.job.out / TRAINING, aim.algorithm, router, seed=aim.seed)
        scores = router_scores(open_router(str(router)), pool)
        walk = make_walk(scores, aim, len(training))
        tested, ended = await self._walk(walk, pool)
        write_rows(self.job.out / ROWS, [*learned, *tested.values()], self.job.scorer)
        found = self._found(walk, learned, pool, tested, ended)
        _write_threshold(self.job, router, scores, found)
        return found

    def _begin(self, task: str, most: int) -> None:
        self.task = task
        self.watcher.on_start(task, most)

    async def _label_all(self, rows: Sequence[LoggedRow]) -> list[Labelled]:
        labelled: list[Labelled] = []
        for first in range(0, len(rows), BATCH):
            labelled += await self.labelling.label(rows[first : first + BATCH])
        return labelled

    async def _walk(
        self, walk: LossWalk | ShareWalk, pool: Sequence[LoggedRow]
    ) -> tuple[dict[int, Labelled], Why]:
        """What was labelled, by its place in the pool, and why it ended."""
        tested: dict[int, Labelled] = {}
        self._begin("labels to test with, at most", walk.most)
        while not walk.finished:
            batch = walk.next_batch()
            try:
                labelled = await self.labelling.label([pool[index] for index in batch])
            except Stopped:
                return tested, "stopped"
            tested |= zip(batch.tolist(), labelled, strict=True)
            walk.take(np.array([each.loss for each in labelled]))
            if self.first_interval is None:
                self.first_interval = time.monotonic() - self.began
            self.watcher.on_look(walk.words())
        if walk.precise:
            return tested, "precise"
        if walk.has_enough:
            return tested, "enough"
        return tested, "log ended" if walk.position == len(pool) else "max labels"

    def _found(
        self,
        walk: LossWalk | ShareWalk,
        learned: Sequence[Labelled],
        pool: Sequence[LoggedRow],
        tested: dict[int, Labelled],
        ended: Why,
    ) -> Estimate:
        job, every = self.job, [*learned, *tested.values()]
        found = Estimate(
            aim=job.aim,
            scorer=job.scorer_name,
            agreement=job.log.agreement,
            counts=Counts(
                logged=len(learned) + len(pool),
                left_out=len(job.log.left_out),
                training=len(learned),
                tested=len(tested),
                failed=sum(each.failure is not None for each in every),
                asked=self.labelling.asked,
            ),
            ended=ended,
            quality=quality(learned, job.aim.confidence),
            per_month=job.per_month,
            seconds=time.monotonic() - self.began,
            seconds_to_first_interval=self.first_interval,
            curve=curve(walk, job.aim),
        )
        return self._with_gains(with_walk(found, walk), walk, pool, tested)

    def _with_gains(
        self,
        found: Estimate,
        walk: LossWalk | ShareWalk,
        pool: Sequence[LoggedRow],
        tested: dict[int, Labelled],
    ) -> Estimate:
        def kept(threshold: float) -> list[Labelled]:
            return [each for index, each in tested.items() if walk.scores[index] <= threshold]

        def saved(threshold: float) -> Savings | None:
            confidence = self.job.aim.confidence
            at = (walk.scores, threshold, kept(threshold), confidence)
            return savings(self.job.pricing, costs, *at)

        costs = self.job.pricing.of_rows(pool)
        points = [(point, saved(point.threshold)) for point in found.curve]
        curve = [replace(point, saved=money.saved if money else None) for point, money in points]
        found = replace(found, curve=curve)
        at = found.threshold
        if at is None:
            return found
        times = latency(pool, walk.scores, at, kept(at))
        return replace(found, savings=saved(at), latency=times)


def _write_threshold(job: Job, router: Path, scores: Floats, found: Estimate) -> None:
    if found.threshold is None:
        return
    ratio = job.aim.edge_ratio
    limit = job.aim.max_quality_loss if ratio is None else ratio
    assert limit is not None
    calibration = Calibration(
        target="max_quality_loss" if ratio is None else "edge_ratio",
        limit=limit,
        threshold=found.threshold,
        confidence=job.aim.confidence,
        edge_share=found.edge_share,
        rows=found.counts.tested,
        data_sha256=job.log.sha256,
        promise=found.headline(),
    )
    write_calibration(str(router), calibration, ScoreSpread.of(scores[np.isfinite(scores)]), None)
