"""The whole of a retraining: lock, set, training, comparison, calibration, switch."""

import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from predictors.errors import ConfigurationError
from transformers_hem.algorithms.base import Algorithm
from transformers_hem.arrays import Floats
from transformers_hem.retraining.challenger import (
    open_for_queries,
    recalibrate,
    scores_of,
    train,
)
from transformers_hem.retraining.gathering import Gathered, gather
from transformers_hem.retraining.judging import Judgement, judge, unopposed
from transformers_hem.retraining.outcome import Outcome
from transformers_hem.retraining.wanted import Wanted, target_of
from transformers_hem.retraining.windows import Divided, divide
from transformers_hem.routers.directory import algorithm_of
from transformers_hem.routers.fingerprints import read_fingerprints
from transformers_hem.versions.folder import Versions, now_utc
from transformers_hem.versions.locks import RETRAIN, held
from transformers_hem.versions.record import Origin
from transformers_hem.versions.told import RETRAINED, tell

Told = Callable[[str], None]
DEFAULT_THRESHOLD: Final = 0.5  # where a router brings none, as a server has it
HIDDEN: Final = "LinearRouter"  # which learns from the features that a store keeps, without texts


@dataclass(slots=True)
class Clock:
    """Tells what is being done, and notes how long it took."""

    told: Told
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str, doing: str) -> Iterator[None]:
        self.told(doing)
        began = time.monotonic()
        yield
        self.seconds[name] = round(time.monotonic() - began, 3)


@dataclass(frozen=True, slots=True)
class Champion:
    """The version in force; a folder without one has none."""

    number: int
    router: str
    algorithm: Algorithm


def retrain(wanted: Wanted, told: Told = lambda doing: None) -> Outcome:
    """Promotes a challenger that is better than the version in force, or says why not. Raises
    ConfigurationError, and then nothing has changed: LockedError where another one is at it."""
    versions = Versions.at(wanted.folder)
    with (
        held(wanted.folder, RETRAIN, "a retraining"),
        tempfile.TemporaryDirectory(prefix="hem-retrain-") as scratch,
    ):
        return _Retraining(wanted, versions, Path(scratch) / "challenger", Clock(told)).run()


class _Retraining:
    def __init__(self, wanted: Wanted, versions: Versions, out: Path, clock: Clock) -> None:
        self._wanted, self._versions, self._out, self._clock = wanted, versions, out, clock
        self._champion = _champion(versions)

    def run(self) -> Outcome:
        wanted, clock = self._wanted, self._clock
        name = wanted.algorithm or self._algorithm()
        with clock.step("set", "reading rows"):
            gathered = gather(wanted.base, wanted.store, hidden=name == HIDDEN)
            rows = self._divided(gathered)
        with clock.step("training", f"training {name} on {len(rows.learned)} rows"):
            training = train(rows.learned, name, wanted.parameters, self._out, wanted.seed)
        found = Outcome(
            promoted=False,
            why="",
            champion=self._champion.number if self._champion else None,
            dry_run=wanted.dry_run,
            at=now_utc(),
            algorithm=name,
            rows=gathered.rows,
            left_out=gathered.left_out,
            learned=len(rows.learned),
            held_out=len(rows.held_out),
            pairs=len(rows.pairs),
            training=dict(training),
        )
        try:
            found = self._decided(found, rows)
        except ConfigurationError as error:  # of the promise: the challenger is of no use
            found = replace(found, why=str(error))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        found = replace(found, seconds=clock.seconds, peak_mebibytes=peak)
        if not wanted.dry_run:
            tell(wanted.folder, RETRAINED, found.as_json())
        return found

    def _decided(self, found: Outcome, rows: Divided) -> Outcome:
        """Raises ConfigurationError where the window can't support a promise, or the challenger
        can't be loaded."""
        wanted, clock = self._wanted, self._clock
        with clock.step("comparison", f"comparing on {len(rows.held_out)} held-out rows"):
            challenger = scores_of(open_for_queries(str(self._out)), rows.held_out.queries)
            judged = self._judged(rows, challenger)
        found = replace(found, compared=judged.facts, curves=judged.curves, why=judged.why)
        with clock.step("calibration", "calibrating"):
            calibrated = self._champion.algorithm.calibrated if self._champion else None
            target, confidence = target_of(wanted, calibrated.calibration if calibrated else None)
            chosen = recalibrate(str(self._out), rows, target, confidence)
        found = replace(found, promise=chosen.promise)
        if not judged.better or wanted.dry_run:
            return found
        with clock.step("switch", "switching"):
            version = self._versions.promote(
                str(self._out),
                Origin(how="retrained", training=_trained(found), compared=judged.facts),
                judged.why,
                found.champion,
                keep=wanted.keep,
            )
        return replace(found, promoted=True, version=version.number)

    def _divided(self, gathered: Gathered) -> Divided:
        wanted = self._wanted
        known = read_fingerprints(self._champion.router) if self._champion else None
        return divide(
            gathered.seen,
            gathered.base,
            wanted.newest,
            wanted.least,
            known or frozenset(),
            wanted.limit,
            wanted.seed,
        )

    def _judged(self, rows: Divided, challenger: Floats) -> Judgement:
        champion = self._champion
        if champion is None:
            return unopposed(rows, challenger)
        threshold = champion.algorithm.default_threshold
        return judge(
            rows,
            scores_of(champion.algorithm, rows.held_out.queries),
            DEFAULT_THRESHOLD if threshold is None else threshold,
            challenger,
            self._wanted.seed,
        )

    def _algorithm(self) -> str:
        if self._champion is None:
            return HIDDEN
        return algorithm_of(Path(self._champion.router))


def _champion(versions: Versions) -> Champion | None:
    """Raises ConfigurationError."""
    if (number := versions.current) is None:
        return None
    router = str(versions.directory(number))
    return Champion(number, router, open_for_queries(router))


def _trained(found: Outcome) -> dict[str, Any]:
    """As the version's record keeps it."""
    return {
        **found.training,
        "rows": found.rows,
        "learned": found.learned,
        "held_out": found.held_out,
        "pairs": found.pairs,
        "algorithm": found.algorithm,
    }
