"""The whole of a retraining: lock, set, training, comparison, calibration, switch."""

import resource
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from predictors.errors import ConfigurationError
from transformers_hem.algorithms import ALGORITHMS
from transformers_hem.calibration.config import CalibratedConfig
from transformers_hem.calibration.no_promise import NoPromise
from transformers_hem.lifelong.challenge import Challenge, challenge
from transformers_hem.lifelong.drifting import drift
from transformers_hem.lifelong.observations import Observations
from transformers_hem.lifelong.scorer import Scorer
from transformers_hem.retraining.basis import Basis
from transformers_hem.retraining.challenger import coin, open_for_queries, scores_of
from transformers_hem.retraining.compared import curves_of, facts_of, sentence
from transformers_hem.retraining.gathering import Gathered, gather
from transformers_hem.retraining.judges import Rows, judges
from transformers_hem.retraining.outcome import Outcome, Result
from transformers_hem.retraining.wanted import Wanted, limit_of, target_of
from transformers_hem.routers.directory import algorithm_of
from transformers_hem.routers.fingerprints import read_fingerprints
from transformers_hem.routers.targets import TooLittle
from transformers_hem.versions.folder import Overtaken, Versions, now_utc
from transformers_hem.versions.locks import RETRAIN, LockedError, held
from transformers_hem.versions.pointer import VERSION_FILE
from transformers_hem.versions.record import Origin, read_version
from transformers_hem.versions.told import RETRAINED, tell

Told = Callable[[str], None]
DEFAULT_THRESHOLD: Final = 0.5  # where a router brings none, as a server has it
YET: Final = "too little yet"  # more comes back by itself
NO_PAIRS: Final = Observations.of([])
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
    """The version in force; a folder without one has none. `name` is of its algorithm."""

    number: int
    directory: str
    name: str
    scorer: Scorer

    @property
    def calibrated(self) -> CalibratedConfig | None:
        return self.scorer.router.calibrated


def retrain(wanted: Wanted, told: Told = lambda doing: None) -> Outcome:
    """Promotes a challenger that is better than the version in force, or says why not. Raises
    ConfigurationError for what somebody has to mend, and LockedError where another one is at it;
    nothing has changed then."""
    versions = Versions.at(wanted.folder)
    with (
        held(wanted.folder, RETRAIN, "a retraining"),
        _scratch() as scratch,
    ):
        return _Retraining(wanted, versions, Path(scratch) / "challenger", Clock(told)).run()


class _Retraining:
    """Raises ConfigurationError for what can be known before the work."""

    def __init__(self, wanted: Wanted, versions: Versions, out: Path, clock: Clock) -> None:
        self._wanted, self._versions, self._out, self._clock = wanted, versions, out, clock
        self._champion = champion = _champion(versions)
        self._name = wanted.algorithm or (champion.name if champion else HIDDEN)
        if ALGORITHMS.load(self._name).stage != "query":
            raise ConfigurationError(
                f"{self._name} mines answers, of whose signals feedback says nothing; name one "
                "that mines queries"
            )
        # Both score the queries.
        self._hidden = {self._name, champion.name if champion else HIDDEN} == {HIDDEN}
        known = read_fingerprints(champion.directory) if champion else None
        self._known = known or frozenset()  # to the champion
        self._limit = limit_of(wanted, self._name)
        calibrated = champion.calibrated if champion else None
        self._target, self._confidence = target_of(
            wanted, calibrated.calibration if calibrated else None
        )

    def run(self) -> Outcome:
        wanted, clock = self._wanted, self._clock
        with clock.step("set", "reading rows"):
            basis = self._basis()
            gathered, rows = self._set(basis)
        try:
            with clock.step("training", f"training {self._name} on {len(rows.seen)} rows"):
                found = self._challenge(rows, basis)
        except TooLittle as error:
            outcome = replace(self._begun(gathered), result="too little", why=f"{YET}: {error}")
            outcome = self._champion_anew(self._untrained(outcome, basis), NO_PAIRS, basis)
        else:
            outcome = self._decided(self._found(gathered, found, basis), found, basis)
        took = resource.getrusage(resource.RUSAGE_SELF)
        outcome = replace(
            outcome,
            seconds=clock.seconds,
            cpu_seconds=round(took.ru_utime + took.ru_stime, 1),
            peak_mebibytes=took.ru_maxrss // 1024,
        )
        if not wanted.dry_run:
            _tell(wanted.folder, outcome)
        return outcome

    def _set(self, basis: Basis) -> tuple[Gathered, Rows]:
        wanted, stand_in = self._wanted, basis.labelled
        gathered = gather(wanted.base, wanted.store, hidden=self._hidden, own=wanted.own)
        seen, base = gathered.seen, gathered.base
        found = judges(seen, base, self._known, self._limit, wanted.seed, stand_in=stand_in)
        return gathered, found

    def _basis(self) -> Basis:
        return Basis.of(self._target, self._confidence, self._wanted.store, hidden=self._hidden)

    def _begun(self, gathered: Gathered) -> Outcome:
        champion = self._champion
        return Outcome(
            promoted=False,
            why="",
            champion=champion.number if champion else None,
            dry_run=self._wanted.dry_run,
            at=now_utc(),
            algorithm=self._name,
            rows=gathered.rows,
            left_out=gathered.left_out,
            limit=self._limit,
        )

    def _untrained(self, outcome: Outcome, basis: Basis) -> Outcome:
        """Where the threshold stands on queries alone, drift is seen without any feedback."""
        if basis.drawn is None:
            return outcome
        return replace(self._standing_on(outcome, NO_PAIRS, basis), drift=self._drift(basis, []))

    def _standing_on(self, outcome: Outcome, pairs: Observations, basis: Basis) -> Outcome:
        return replace(
            outcome,
            reserved=basis.rows(pairs),
            calibrated_by=basis.kind,
            decided=basis.drawn.decided if basis.drawn else 0,
        )

    def _found(self, gathered: Gathered, found: Challenge, basis: Basis) -> Outcome:
        windows, verdict = found.windows, found.verdict
        begun = self._standing_on(self._begun(gathered), found.reserved, basis)
        return replace(
            begun,
            result="no better" if verdict.enough else "too little",
            why=sentence(verdict) if verdict.enough else f"{YET}: {sentence(verdict)}",
            learned=len(windows.train),
            held_out=len(found.seen) - len(windows.train),
            judged_by=len(windows.judging),
            compared=facts_of(verdict, self._wanted.significance),
            drift=self._drift(basis, [found.seen.queries[i] for i in windows.plain]),
            training=dict(found.metrics),
        )

    def _challenge(self, rows: Rows, basis: Basis) -> Challenge:
        wanted = self._wanted
        scorer = self._champion.scorer if self._champion else Scorer(coin())
        threshold = scorer.router.default_threshold
        return challenge(
            rows.seen,
            rows.judges,
            scorer,
            DEFAULT_THRESHOLD if threshold is None else threshold,
            self._name,
            self._out,
            replace(basis.plan(wanted.seed), significance=wanted.significance),
            wanted.parameters,
        )

    def _decided(self, outcome: Outcome, found: Challenge, basis: Basis) -> Outcome:
        """A challenger that is better, or a champion whose queries have drifted, is put in force
        where its promise is supported."""
        clock, directory, pairs = self._clock, str(self._out), found.reserved
        with clock.step("calibration", f"calibrating on {outcome.calibrated_on}"):
            routers = {"champion": self._champion.scorer} if self._champion else {}
            routers["challenger"] = found.challenger
            outcome = replace(outcome, curves=curves_of(routers, basis.measurable(pairs)))
            try:
                chosen = basis.calibrate(directory, found.challenger, pairs)
                outcome = replace(outcome, promise=chosen.promise)
            except NoPromise as error:
                if found.verdict.promote:
                    why = f"{outcome.why}, and can't promise enough: {error}"
                    return replace(outcome, result="no promise", why=why)
        if found.verdict.promote:
            origin = Origin(how="retrained", training=_trained(outcome), compared=outcome.compared)
            return self._promoted(outcome, directory, origin)
        return self._champion_anew(outcome, pairs, basis)

    def _champion_anew(self, outcome: Outcome, pairs: Observations, basis: Basis) -> Outcome:
        """Where today's queries are others than those that the champion's threshold was chosen on,
        it stays, with a threshold that is chosen anew: its promise is void."""
        champion = self._champion
        if champion is None or not outcome.drift or not outcome.drift["drifted"]:
            return outcome
        copied = self._out.with_name("champion")
        others = shutil.ignore_patterns(VERSION_FILE)
        shutil.copytree(champion.directory, copied, ignore=others, copy_function=shutil.copyfile)
        why = f"{outcome.why}; queries have drifted, so that the old"
        try:
            chosen = basis.calibrate(str(copied), champion.scorer, pairs, self._known)
        except NoPromise as error:
            why = f"{why} promise is void, and there is no new one: {error}"
            return replace(outcome, why=why, promise=None)
        why = f"{why} threshold is chosen anew"
        outcome = replace(outcome, why=why, promise=chosen.promise, recalibrated=True)
        before = read_version(Path(champion.directory)).origin
        return self._promoted(outcome, str(copied), before)

    def _promoted(self, outcome: Outcome, router: str, origin: Origin) -> Outcome:
        """Or why it can't be: somebody has put another version in force, it can't be loaded, or
        not be written. Raises LockedError while somebody else switches."""
        if outcome.dry_run:
            return replace(outcome, result="tried")
        with self._clock.step("switch", "switching"):
            try:
                version = self._versions.promote(
                    router, origin, outcome.why, outcome.champion, keep=self._wanted.keep
                )
            except Overtaken as error:
                return replace(outcome, result="overtaken", why=f"{outcome.why}, but {error}")
            except LockedError:
                raise
            except ConfigurationError as error:
                why = f"{outcome.why}, and can't be put in force: {error}"
                return replace(outcome, result="failed", why=why)
        result: Result = "recalibrated" if outcome.recalibrated else "promoted"
        return replace(outcome, promoted=True, version=version.number, result=result)

    def _drift(self, basis: Basis, plain: list[str]) -> dict[str, Any]:
        """Of the newest queries' scores by the champion; empty where it has no calibration. Queries
        have to be a plain sample of the traffic, as those were that it was calibrated on: `plain`
        ones are of pairs."""
        queries = basis.drawn.unknown_to(self._known).queries if basis.drawn else plain
        champion = self._champion
        spread = champion.calibrated.scores if champion and champion.calibrated else None
        if champion is None or spread is None:
            return {}
        scores = scores_of(champion.scorer, queries)
        found = drift(champion.name, spread, np.where(np.isinf(scores), np.nan, scores))
        index = None if np.isnan(found.index) else round(found.index, 4)
        return {"index": index, "alarm": round(found.alarm, 4), "drifted": found.drifted}


def _scratch() -> "tempfile.TemporaryDirectory[str]":
    """Raises ConfigurationError."""
    try:
        return tempfile.TemporaryDirectory(prefix="hem-retrain-")
    except OSError as error:
        why = error.strerror or error
        raise ConfigurationError(f"no temporary folder can be made: {why}; set TMPDIR") from error


def _tell(folder: Path, outcome: Outcome) -> None:
    """Raises ConfigurationError, which says what became of it all the same."""
    try:
        tell(folder, RETRAINED, outcome.as_json())
    except ConfigurationError as error:
        done = f"version {outcome.version} is in force" if outcome.promoted else "nothing changed"
        raise ConfigurationError(f"{done}: {outcome.why}; but {error}") from error


def _champion(versions: Versions) -> Champion | None:
    """Raises ConfigurationError."""
    if (number := versions.current) is None:
        return None
    directory = versions.directory(number)
    scorer = Scorer(open_for_queries(str(directory)))
    return Champion(number, str(directory), algorithm_of(directory), scorer)


def _trained(outcome: Outcome) -> dict[str, Any]:
    """As the version's record keeps it."""
    names = ("rows", "learned", "held_out", "judged_by", "reserved", "calibrated_by", "algorithm")
    return {**outcome.training, **{name: getattr(outcome, name) for name in names}}
