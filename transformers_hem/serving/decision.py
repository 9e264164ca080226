"""The one place that turns difficulties into a route, and that applies a threshold.

Algorithms only score; `Decider.judge` alone says `score > threshold`, so that calibration works
for all of them. Nothing here knows of kserve or HTTP.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

import numpy as np

from predictors.contract import (
    CLOUD,
    EDGE,
    HEM_ALGORITHM,
    HEM_REASON,
    HEM_ROUTE,
    HEM_SCORE,
    HEM_STRATEGY,
    HEM_THRESHOLD,
    Scalar,
)
from predictors.errors import EngineError
from predictors.upstream.ledger.decision import HEM_GUARDS
from transformers_hem.algorithms.base import (
    SCORED_CHARACTERS,
    Algorithm,
    Batch,
    Leaving,
    Route,
    Scores,
    Stage,
    bounded,
)
from transformers_hem.calibration.drift import ScoreDrift
from transformers_hem.guards.admission import Admission, Going, admit, announce
from transformers_hem.guards.base import Guard, Redacted
from transformers_hem.routers.directory import place_of
from transformers_hem.strategies.base import Strategy, Turn

logger = logging.getLogger("kserve.hem")

# Reasons of a decision that nobody overruled.
STRATEGY: Final = "strategy"
JUDGED: Final = ("algorithm", "no_signal", STRATEGY)
CLEAR: Final = "clear"  # the verdict of a guard that does not object
BatchPolicy = Literal["any", "majority", "all"]
# "algorithm", "strategy", "prefer", "sticky", "no_signal", or the name of the guard that decided
Reason = str


@dataclass(frozen=True, slots=True)
class Decision:
    """Where one request goes, and why.

    `score` is the difficulty of the whole request in [0, 1], None where nothing was scored.
    `guards` are the verdicts of those that were asked, each with its version. `strategy`: of the
    mode self-design; it asks the cloud in its own way, where nobody overruled it.
    """

    route: Route
    score: float | None
    algorithm: str
    threshold: float
    reason: Reason
    guards: str = ""
    strategy: str = ""

    def kept(self, guard: str) -> "Decision":
        """At the edge, as this guard lets no more go to the cloud."""
        words = (
            f"{word.partition('=')[0]}={EDGE}" if word.startswith(f"{guard}@") else word
            for word in self.guards.split()
        )
        return replace(self, route=EDGE, reason=guard, guards=" ".join(words))

    @property
    def overruled(self) -> bool:
        """By a guard, the caller or the conversation before."""
        return self.reason not in JUDGED

    def stays(self) -> "Decision":
        """At the edge, as the strategy asks the cloud nothing."""
        return replace(self, route=EDGE, reason=STRATEGY)

    def parameters(self) -> dict[str, Scalar]:
        """The `hem_*` parameters that a request or response gets."""
        written: dict[str, Scalar] = {
            HEM_ROUTE: self.route,
            HEM_ALGORITHM: self.algorithm,
            HEM_THRESHOLD: self.threshold,
            HEM_REASON: self.reason,
        }
        if self.score is not None:
            written[HEM_SCORE] = self.score
        if self.guards:
            written[HEM_GUARDS] = self.guards
        if self.strategy:
            written[HEM_STRATEGY] = self.strategy
        return written


# What a strategy makes of a decision for the cloud, and what leaves by it.
Asking = Callable[[Decision], tuple[Decision, Batch]]

# Every parameter that a decision writes; values from a client or an earlier step are stale.
DECIDED = frozenset(
    {
        *(HEM_ROUTE, HEM_SCORE, HEM_ALGORITHM, HEM_THRESHOLD, HEM_REASON),
        *(HEM_GUARDS, HEM_STRATEGY),
    }
)


class Unscored(Algorithm):
    """In the place of an algorithm, where a strategy has none beside it."""

    stage = "query"

    def blocks(self, batch: Batch) -> bool:
        return False

    def score(self, batch: Batch) -> Scores:
        return np.full(batch.size, np.nan)


class Decider:
    """An algorithm with its threshold, batch policy and guards; safe to share between requests.

    Who wins: guards of privacy > the caller's `prefer` > the other guards > a conversation that
    stays at the cloud (`sticky`) > the algorithm, in that order. Who is overruled is not asked, so
    an overruled algorithm gives no score.
    """

    def __init__(
        self,
        name: str,
        algorithm: Algorithm,
        threshold: float,
        policy: BatchPolicy = "any",
        guards: Mapping[str, Guard] | None = None,
        scored_characters: int = SCORED_CHARACTERS,
        router: str | None = None,
        strategy: Strategy | None = None,
        strategy_name: str = "",
        router_version: int | None = None,
    ) -> None:
        """`router`: the name or path of the trained router that the algorithm reads, and its
        version where that is a folder of versions. `strategy`: of the mode self-design."""
        self.name = name
        self.strategy = strategy
        self.strategy_name = strategy_name
        self.router = router
        self.router_version = router_version
        self.algorithm = algorithm
        self.threshold = threshold
        self.policy: BatchPolicy = policy
        self._scored_characters = scored_characters
        self.guards: Mapping[str, Guard] = guards or {}
        for guard in (name for name, each in self.guards.items() if each.counts):
            announce(guard)
        scores = algorithm.calibrated.scores if algorithm.calibrated else None
        self.drift = ScoreDrift(name, scores) if scores else None

    @property
    def stage(self) -> Stage:
        """answer: the edge answers before it is decided."""
        return self.strategy.stage if self.strategy is not None else self.algorithm.stage

    @property
    def router_directory(self) -> Path | None:
        """Of the version that was loaded; None where the router is no folder of versions."""
        if self.router is None or self.router_version is None:
            return None
        return place_of(self.router) / str(self.router_version)

    @property
    def private_guards(self) -> dict[str, Guard]:
        """Those of privacy."""
        return {name: guard for name, guard in self.guards.items() if guard.privacy}

    @property
    def counts(self) -> bool:
        """Whether a guard counts what goes to the cloud."""
        return any(guard.counts for guard in self.guards.values())

    def for_guards(self, names: frozenset[str] | None) -> "Decider":
        """With these guards alone, and those of privacy; with all where None."""
        if names is None:
            return self
        other = copy(self)
        other.guards = {
            name: guard for name, guard in self.guards.items() if guard.privacy or name in names
        }
        return other

    def decide(self, batch: Batch, prefer: Route | None = None) -> Decision:
        """Raises EngineError where the algorithm breaks its contract."""
        return self.overrule(batch, prefer) or self.judge(batch)

    def overrule(self, batch: Batch, prefer: Route | None, sticky: bool = False) -> Decision | None:
        """The decision of a guard, of the caller or of the conversation before, None where the
        algorithm decides; never blocks."""
        return (
            self._guarded(self.private_guards, batch)
            or (self._decision(prefer, None, "prefer") if prefer is not None else None)
            or self._guarded(self.guards, batch)
            or (self._decision(CLOUD, None, "sticky") if sticky else None)
        )

    def judge(self, batch: Batch) -> Decision:
        """The algorithm's own decision, on what is scored of long queries. Raises EngineError where
        it breaks its contract."""
        if isinstance(self.algorithm, Unscored):
            return self._decision(CLOUD, None, STRATEGY)
        scores = self._scores(bounded(batch, self._scored_characters))
        if self.drift:
            self.drift.add(scores)
        score = request_score(scores, self.policy)
        if self.algorithm.fixed_route is not None:
            return self._decision(self.algorithm.fixed_route, score, "algorithm")
        if score is None:
            return self._decision(CLOUD, None, "no_signal")
        hard = score > self.threshold
        return self._decision(CLOUD if hard else EDGE, score, "algorithm")

    def asks(self, turn: Turn) -> str | None:
        """What the strategy asks the cloud; None: nothing. Raises EngineError where it breaks its
        contract."""
        if self.strategy is None:
            return turn.query
        asked = self.strategy.asks(turn)
        if asked is not None and not (isinstance(asked, str) and asked.strip()):
            kind = "an empty text" if isinstance(asked, str) else type(asked).__name__
            raise EngineError(
                f"strategy {self.strategy_name} must ask the cloud a text, or None, not {kind}"
            )
        return asked

    async def admit(self, going: Going) -> Admission:
        """For guards that count what goes to the cloud. Raises KeptAtEdge."""
        return await admit(self.guards, going)

    def no_answer(self, reason: Reason) -> Decision:
        """Where the edge gives no answer that could be mined."""
        return self._decision(CLOUD, None, reason)

    def is_private(self, batch: Batch) -> bool:
        """Whether a guard of privacy decides, so that the query must not leave the edge."""
        return self.keeps_private(batch) is not None

    def keeps_private(self, batch: Batch) -> Decision | None:
        """The decision of the guard of privacy that keeps this at the edge; None: none does."""
        return self._guarded(self.private_guards, batch)

    def is_anything_private(self, batch: Batch) -> bool:
        """Whether it is kept at the edge, or leaves with placeholders."""
        if self.is_private(batch):
            return True
        return batch.leaving is not None and any(self.redacted(batch.leaving).values())

    def redacted(self, leaving: Leaving) -> dict[str, Redacted | None]:
        """By each guard of privacy, of a request that none of them keeps: what leaves instead of
        its body; None: the body."""
        return {name: guard.redacted(leaving) for name, guard in self.private_guards.items()}

    def _guarded(self, guards: Mapping[str, Guard], batch: Batch) -> Decision | None:
        for name, guard in guards.items():
            route = _route(name, guard, batch)
            if route is not None:
                return self._decision(route, None, name)
        return None

    def _decision(self, route: Route, score: float | None, reason: Reason) -> Decision:
        verdicts = " ".join(self._verdicts(route, reason)) if self.guards else ""
        return Decision(
            route, score, self.name, self.threshold, reason, verdicts, self.strategy_name
        )

    def _verdicts(self, route: Route, reason: Reason) -> Iterator[str]:
        """Of the guards that were asked before this was decided: those of privacy first."""
        asked = [self.private_guards]
        if reason != "prefer" and reason not in asked[0]:
            asked.append({n: guard for n, guard in self.guards.items() if not guard.privacy})
        for name, guard in (each for guards in asked for each in guards.items()):
            decides = name == reason
            yield f"{name}@{guard.version}={route if decides else CLEAR}"
            if decides:
                return

    def _scores(self, batch: Batch) -> Scores:
        scores = self.algorithm.score(batch)
        if scores.shape != (batch.size,) or (scores < 0).any() or (scores > 1).any():
            raise EngineError(
                f"algorithm {self.name} must score {batch.size} rows in [0, 1], "
                f"not {np.array2string(scores, threshold=8)}"
            )
        return scores


def _route(name: str, guard: Guard, batch: Batch) -> Route | None:
    """A guard of privacy that raises keeps the request at the edge."""
    try:
        return guard.route(batch)
    except Exception as error:
        if not guard.privacy:
            raise
        # The message may have what is private.
        logger.error("guard %s: %s, so a request stays at the edge", name, type(error).__name__)
        return EDGE


def request_score(scores: Scores, policy: BatchPolicy) -> float | None:
    """The score of the row that decides for the request: it is above a threshold exactly when
    any, all or the majority of the rows are.

    any: the highest score; all: the lowest; majority: the one that more than half of the rows
    reach. A row without a score (NaN) counts as the hardest; None where such a row decides.
    """
    ranks = {"any": 0, "majority": len(scores) // 2, "all": len(scores) - 1}
    hardest_first = np.sort(np.where(np.isnan(scores), np.inf, scores))[::-1]
    chosen = float(hardest_first[ranks[policy]])
    return chosen if chosen != np.inf else None
