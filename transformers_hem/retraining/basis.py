"""What the threshold of a new router stands on: the pairs that were reserved for it, or, where the
scores of queries are all that a promise takes, a plain sample of what is decided."""

import math
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from transformers_hem.calibration.config import Calibration
from transformers_hem.calibration.no_promise import NoPromise
from transformers_hem.calibration.sample import Sample
from transformers_hem.calibration.targets import Target
from transformers_hem.lifelong.challenge import Round
from transformers_hem.lifelong.drawing import LARGEST
from transformers_hem.lifelong.observations import Observations
from transformers_hem.lifelong.scorer import Scorer
from transformers_hem.retraining.challenger import of_pairs, of_queries, recalibrate
from transformers_hem.retraining.sampling import sampled
from transformers_hem.retraining.traffic import Traffic, read_traffic

Kind = Literal["pairs", "queries"]
LEAST_MEASURED: Final = 100  # held-out pairs, for a curve of quality where the promise needs none
ALIKE: Final = 1.5  # rows that say as much as one, from which on it is told


@dataclass(frozen=True, slots=True)
class Basis:
    """`traffic` is None where the target needs more than scores, or where there is no store.
    `hidden`: the learner takes queries without their texts, as `gather` has it."""

    target: Target
    confidence: float
    store: str
    traffic: Traffic | None
    hidden: bool

    @classmethod
    def of(cls, target: Target, confidence: float, store: str, *, hidden: bool) -> "Basis":
        """Raises ConfigurationError where the store can't be read."""
        needed = target.scores_needed(confidence)
        traffic = None
        if store and needed is not None:
            traffic = read_traffic(store, needed, hidden=hidden)
        return cls(target, confidence, store, traffic, hidden)

    @property
    def drawn(self) -> Traffic | None:
        """The queries that the threshold stands on; None: on pairs."""
        return self.traffic if self.traffic is not None and self.traffic.enough else None

    @property
    def labelled(self) -> bool:
        """It stands on labelled rows, as decisions are too few for what takes scores alone."""
        return self._needed is not None and self.drawn is None

    @property
    def kind(self) -> Kind:
        return "pairs" if self.drawn is None else "queries"

    def plan(self, seed: int) -> Round:
        if self.drawn is None:
            return Round(seed=seed)
        return Round(seed=seed, reserved=0.0, held=self.drawn.held)

    def rows(self, pairs: Observations) -> int:
        """That it is chosen on; `pairs` are those that were reserved."""
        return len(pairs if self.drawn is None else self.drawn.queries)

    def measurable(self, pairs: Observations) -> Observations:
        """Those by which the quality of a challenger can be drawn, which never saw them."""
        if self.drawn is None or len(pairs) >= LEAST_MEASURED:
            return pairs
        return pairs.subset(np.arange(0))

    def calibrate(
        self,
        directory: str,
        router: Scorer,
        pairs: Observations,
        known: frozenset[bytes] = frozenset(),
    ) -> Calibration:
        """Chooses the threshold of `router`, and writes it into its `directory`. `known`: what the
        router has learned from, but for what is held out anyway. Raises NoPromise."""
        try:
            sample = self._sample(router, pairs, known)
            measured = sample if sample.labels is not None else self._measured(router, pairs)
            return recalibrate(directory, router, sample, measured, self.target, self.confidence)
        except NoPromise as error:
            raise NoPromise(f"{error}{self._way_out}") from None

    def _sample(self, router: Scorer, pairs: Observations, known: frozenset[bytes]) -> Sample:
        if self.drawn is not None:
            return of_queries(router, self.drawn.unknown_to(known))
        if not self.labelled:
            return of_pairs(router, sampled(self.store, pairs))
        # Where decisions are too few for it, so are pairs.
        labelled = pairs.subset(np.flatnonzero(~pairs.of_traffic))
        if not len(labelled):
            raise NoPromise("there is nothing that an edge share could be promised of")
        return of_pairs(router, labelled)

    def _measured(self, router: Scorer, pairs: Observations) -> Sample | None:
        """Those that are a plain sample, too; None where they are none, or few."""
        try:
            sample = of_pairs(router, sampled(self.store, self.measurable(pairs)))
        except NoPromise:
            return None
        return sample if len(sample.scores) >= LEAST_MEASURED else None

    @property
    def _needed(self) -> int | None:
        return self.target.scores_needed(self.confidence)

    @property
    def _way_out(self) -> str:
        """Where labelled rows stand in for decisions that are missing."""
        if self._needed is None or self.drawn is not None:
            return ""
        if self.traffic is None:
            return (
                f": name a store with {math.ceil(self._needed / LARGEST)} decisions by --store, "
                "whatever was said of them, or give more labelled rows by --data"
            )
        equal = ", as many of them are equal" if self.traffic.alike > ALIKE else ""
        texts = "" if self.hidden else ", as it needs their texts (HEM_FEEDBACK_TEXT=on)"
        return (
            f": the store has {self.traffic.decided} decisions whose queries can be scored{texts}, "
            f"whatever was said of them, and {self.traffic.would_do} would do{equal}. Wait for "
            "more, or give labelled rows by --data"
        )
