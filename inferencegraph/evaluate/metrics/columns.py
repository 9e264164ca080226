"""One run's outcomes as arrays: what the metrics are computed from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Final

import numpy as np

from inferencegraph.evaluate.outcome import Outcome
from predictors.contract import CLOUD, EDGE
from predictors.contract.usage import Usage
from predictors.prices import Prices
from transformers_hem.arrays import Flags, Floats

_TOKENS: Final = tuple(
    f"{s}_{kind}_tokens" for s in (EDGE, CLOUD) for kind in ("prompt", "completion")
)


@dataclass(frozen=True, slots=True)
class Columns:
    """Arrays of N questions; NaN where a question has no such value.

    `quality`: a failed question has `worst`. `at_edge`: mining left it there. `left`: a request for
    it went to the cloud. `tokens` by field of Outcome, `cost` in the price file's currency, NaN
    without prices. `wall_seconds` is how long the run took, None for a replay. Of the run as a
    whole: `wan_sent` and `wan_received` bytes between the uplink and the cloud, `joules`.
    """

    quality: Floats
    failed: Flags
    at_edge: Flags
    left: Flags
    seconds: Floats
    first_token: Floats
    inter_token: Floats
    request_bytes: Floats
    response_bytes: Floats
    tokens: Mapping[str, Floats]
    cost: Floats
    worst: float = 0.0
    wall_seconds: float | None = None
    wan_sent: float | None = None
    wan_received: float | None = None
    joules: float | None = None

    @property
    def size(self) -> int:
        return len(self.quality)

    def all_tokens(self, *kinds: str) -> Floats:
        """Sum over both sides of those kinds (prompt, completion); NaN where neither tells."""
        columns = [self.tokens[name] for name in _TOKENS if name.split("_")[1] in kinds]
        told = ~np.isnan(columns).all(axis=0)
        return np.where(told, np.nansum(columns, axis=0), np.nan)


@dataclass(frozen=True, slots=True)
class Whole:
    """What is measured of a run as a whole; see Columns."""

    wall_seconds: float | None = None
    wan_sent: float | None = None
    wan_received: float | None = None
    joules: float | None = None


def columns_of(
    outcomes: Sequence[Outcome],
    *,
    worst: float = 0.0,
    whole: Whole | None = None,
    prices: Prices | None = None,
    models: Mapping[str, str] | None = None,
) -> Columns:
    """`models`: the name of either side's model in the price file, where `served_by` is another."""
    whole = whole or Whole()
    quality = np.where(np.isnan(given := _floats(outcomes, "quality")), worst, given)
    return Columns(
        quality=quality,
        failed=np.array([outcome.error is not None for outcome in outcomes]),
        at_edge=np.array([outcome.route == EDGE for outcome in outcomes]),
        left=np.array([outcome.route == CLOUD for outcome in outcomes]),
        seconds=_answered(outcomes, "seconds"),
        first_token=_answered(outcomes, "time_to_first_token"),
        inter_token=_answered(outcomes, "inter_token_latency"),
        request_bytes=_floats(outcomes, "request_bytes"),
        response_bytes=_floats(outcomes, "response_bytes"),
        tokens={name: _floats(outcomes, name) for name in _TOKENS},
        cost=_costs(outcomes, prices, models or {}),
        worst=worst,
        wall_seconds=whole.wall_seconds,
        wan_sent=whole.wan_sent,
        wan_received=whole.wan_received,
        joules=whole.joules,
    )


def _floats(outcomes: Sequence[Outcome], name: str) -> Floats:
    get = attrgetter(name)
    values = [np.nan if (value := get(outcome)) is None else value for outcome in outcomes]
    return np.array(values, dtype=np.float64)


def _answered(outcomes: Sequence[Outcome], name: str) -> Floats:
    """Times of questions that failed tell nothing of how fast answers are."""
    failed = np.array([outcome.error is not None for outcome in outcomes])
    return np.where(failed, np.nan, _floats(outcomes, name))


def _costs(outcomes: Sequence[Outcome], prices: Prices | None, models: Mapping[str, str]) -> Floats:
    if prices is None:
        return np.full(len(outcomes), np.nan)
    return np.array([_cost(outcome, prices, models) for outcome in outcomes])


def _cost(outcome: Outcome, prices: Prices, models: Mapping[str, str]) -> float:
    """Of both sides' tokens. NaN where a side that took tokens has no price."""
    total = 0.0
    for side in (EDGE, CLOUD):
        prompt = getattr(outcome, f"{side}_prompt_tokens")
        completion = getattr(outcome, f"{side}_completion_tokens")
        if prompt is None and completion is None:
            continue
        names = [models[side]] if side in models else []
        if outcome.served_by is not None and outcome.route == side:
            names.append(outcome.served_by)
        usage = Usage(prompt_tokens=prompt or 0, completion_tokens=completion or 0)
        amount = prices.cost(usage, *names, side)
        total += np.nan if amount is None else amount
    return total
