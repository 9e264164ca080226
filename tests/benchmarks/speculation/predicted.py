"""What the fitted cost model says of the measured cells, by the formulas with which the engine
decides (see `predictors.engines.speculative.pace`)."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any, Final, NamedTuple

import numpy as np
from scipy.optimize import nnls

from predictors.contract.speculation import PassCost
from predictors.engines.speculative.pace import (
    MOST_IN_TURNS,
    ROUND_SECONDS,
    Costs,
    best_block,
    in_turns,
    without_waiting,
)
from tests.benchmarks.speculation.cost import tokens_a_round
from tests.benchmarks.speculation.results import kept


class Beside(NamedTuple):
    """Seconds of processors beside the models' steps: of a `token` that a stream's server writes
    out and its reader takes, of a `round`, of a `step` of the drafter."""

    token: float = 0.0
    round: float = 0.0
    step: float = 0.0


NOTHING: Final = Beside()


class OneCaller:
    """Tokens a second over a link. `check`: of the large model's curve; `decode`: seconds of a step
    of its own answers; `step`: of the small model; `answer` and `prompt`: tokens."""

    def __init__(
        self,
        check: PassCost,
        decode: float,
        step: float,
        answer: float,
        prompt: float,
        beside: Beside = NOTHING,
    ) -> None:
        self._check = check
        self._decode = decode
        self._step = step
        self._answer = answer
        self._prompt = prompt
        self._begin = check.seconds(1, round(prompt))
        self._beside = beside

    def fitted(self, rows: Sequence[Mapping[str, Any]]) -> "OneCaller":
        """With what the rows without a link say of the time beside the models, of the two ways that
        wait for one thing at a time. All other rows are predicted by that."""
        near = [row for row in rows if not row["round_trip"]]
        streams = [row for row in near if row["way"] == "cloud-only"]
        token = median(_late(row, self.cloud_only(0.0)) for row in streams) / self._answer
        turns = [row for row in near if row["way"] == "naive"]
        late = [_late(row, self.naive(0.0, row["chance"], row["length"])) for row in turns]
        taken = [tokens_a_round(row["chance"], row["length"]) for row in turns]
        terms = [[1, row["length"]] for row in turns]
        weights = self._answer / np.array(taken)
        (round_, step), _ = nnls(np.array(terms) * weights[:, None], np.maximum(late, 0.0))
        beside = Beside(max(token, 0.0), float(round_), float(step))
        prompt = self._prompt
        return OneCaller(self._check, self._decode, self._step, self._answer, prompt, beside)

    def cloud_only(self, link: float) -> float:
        return self._of(self._answer * (self._decode + self._beside.token), link)

    def naive(self, link: float, taken: float, drafted: int) -> float:
        costs = self._costs(link, taken, drafted)
        return self._of(self._answer / in_turns(costs, drafted), 0.0)

    def always(self, link: float, taken: float, second: float) -> float:
        """Where a refused token's second choice is right, with the chance `second`, what comes
        behind it was sent already, and the link is not waited for."""
        waited = link * (1 - second)
        block = best_block(self._costs(waited, taken, 8))
        costs = self._costs(waited, taken, block)
        return self._of(self._answer / without_waiting(costs, block), link)

    def latency(self, link: float, taken: float, second: float) -> float:
        return max(self.cloud_only(link), self.always(link, taken, second))

    def expected(self, way: str, link: float, taken: float, second: float) -> float:
        """By the way's name in the benchmark; naive with the draft length that is best."""
        if way == "cloud-only":
            return self.cloud_only(link)
        if way == "naive":
            return max(self.naive(link, taken, count) for count in range(1, MOST_IN_TURNS + 1))
        if way == "latency":
            return self.latency(link, taken, second)
        return self.always(link, taken, 0.0 if way == "one way" else second)

    def _of(self, seconds: float, link: float) -> float:
        return self._answer / (seconds + link + self._begin + ROUND_SECONDS)

    def _costs(self, link: float, taken: float, drafted: int) -> Costs:
        check = self._check.seconds(1, drafted + 1) + self._beside.round
        return Costs(link, check, self._step + self._beside.step, taken)


def _late(row: Mapping[str, Any], expected: float) -> float:
    """Seconds of an answer beyond those that the expected tokens a second would take."""
    tokens = row["tokens"] / row["answers"]
    return float(row["seconds"] / row["answers"] - tokens / expected)


def one_caller(rows: Sequence[Mapping[str, Any]]) -> OneCaller:
    """By the kept curves of the long pair, and the rows without a link."""
    curve, small = kept("curve-long-cloud"), kept("curve-long-edge")
    answer = rows[0]["tokens"] / rows[0]["answers"]
    decode = next(seconds for count, _, seconds in curve["decode"] if count == 1)
    step = next(each[2] for each in small["steps"] if each[:2] == [1, 1])
    prompt = kept("capacity-long-cloud")["prompt"]
    return OneCaller(cost_of(curve), decode, step, answer, prompt).fitted(rows)


def cost_of(curve: Mapping[str, Any]) -> PassCost:
    return PassCost.model_validate(curve["fit"][0])


def capacity(
    report: Mapping[str, Any], cost: PassCost, decode: Sequence[Sequence[float]]
) -> dict[str, dict[int, float]]:
    """Tokens a second by way and rows. For `cloud-only` what `decode`, steps of the model's own
    answers, say; for the others what the curve says, and what a round costs on the wire."""
    answer, prompt, drafted = report["answer"], report["prompt"], report["drafted"]
    steps = {int(rows): seconds for rows, _, seconds in decode}
    begin = prompt * cost.token + cost.row
    found: dict[str, dict[int, float]] = {}
    for rows, ways in report["rows"].items():
        count = int(rows)
        for way in ways:
            if way == "cloud-only":
                passes, each = answer, steps[count] / count
            else:
                passes = answer / tokens_a_round(float(way), drafted)
                each = cost.seconds(count, count * (drafted + 1)) / count + report["wire"]
            found.setdefault(way, {})[count] = answer / (passes * each + begin)
    return found
