"""What a threshold saves of the cloud's bill and of waiting, by the log's own numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.stats import norm

from inferencegraph.evaluate.estimating.labelling import Labelled
from inferencegraph.evaluate.estimating.log import LoggedRow
from predictors.contract import Answer
from predictors.contract.usage import Usage
from predictors.errors import ConfigurationError, known
from predictors.prices import Price, Prices
from transformers_hem.arrays import Floats
from transformers_hem.calibration.betting import Interval

LEAST: Final = 30  # rows of which a mean has an interval


@dataclass(frozen=True, slots=True)
class Pricing:
    """`prices` of models by their names, or one price a side. `cloud_model` and `edge_model` are
    the names for rows, and answers, that don't tell theirs. Without any price the rows' own costs
    count."""

    currency: str = ""
    prices: Prices | None = None
    cloud: Price | None = None
    edge: Price | None = None
    cloud_model: str | None = None
    edge_model: str | None = None

    def of_row(self, row: LoggedRow) -> float | None:
        """What its cloud call cost; None where nobody can tell. Raises ConfigurationError for a
        model without a price."""
        if self.cloud is not None:
            return None if row.usage is None else self.cloud.cost(row.usage)
        if self.prices is None:
            return row.cost
        names = [name for name in (self.cloud_model, row.model) if name]
        if not names:
            raise ConfigurationError(
                f"{row.question.where}: it names no model of the cloud ('cloud_model'), which the "
                "prices are looked up by: give --cloud-model"
            )
        if not any(name in self.prices.models for name in names):
            raise ConfigurationError(
                f"{row.question.where}: no price of the cloud's model {names[0]!r}; "
                f"{known(names[0], self.prices.models)}; or give --cloud-model"
            )
        return None if row.usage is None else self.prices.cost(row.usage, *names)

    def of_rows(self, rows: Sequence[LoggedRow]) -> Floats:
        """[N], NaN where nobody can tell. Raises ConfigurationError."""
        return np.array([np.nan if (c := self.of_row(row)) is None else c for row in rows])

    def of_answer(self, answer: Answer) -> float:
        """Of the edge's; 0 where it has no price or tells no tokens."""
        usage = Usage(answer.prompt_tokens or 0, 0, answer.completion_tokens or 0)
        if self.edge is not None:
            return self.edge.cost(usage)
        names = [name for name in (self.edge_model, answer.served_by) if name]
        return (self.prices.cost(usage, *names) or 0.0) if self.prices else 0.0


@dataclass(frozen=True, slots=True)
class Savings:
    """Per query, in `currency`: `spent` is what the cloud alone costs, `saved` what stays in the
    purse of it. `interval` of `saved` is by the normal distribution: approximate. `rows` of
    the log told a cost."""

    currency: str
    spent: float
    saved: float
    interval: Interval
    rows: int


def savings(
    pricing: Pricing,
    costs: Floats,
    scores: Floats,
    threshold: float,
    labelled: Sequence[Labelled],
    confidence: float,
) -> Savings | None:
    """None where no row tells what it cost. `costs` and `scores` are of all rows that the router
    was not trained on, `labelled` those that were asked and stay at the edge."""
    told = ~np.isnan(costs)
    if not told.any():
        return None
    at_edge = [pricing.of_answer(each.answer) for each in labelled if each.answer is not None]
    edge_cost = float(np.mean(at_edge)) if at_edge else 0.0
    saved = np.where(scores <= threshold, costs - edge_cost, 0.0)[told]
    mean, count = float(saved.mean()), int(told.sum())
    error = float(saved.std()) / np.sqrt(count) if count >= LEAST else np.inf
    off = float(norm.ppf((1 + confidence) / 2)) * error
    spent = float(costs[told].mean())
    low, high = max(mean - off, min(0.0, mean)), min(mean + off, spent)
    return Savings(pricing.currency, spent, mean, Interval(low, high), count)


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds of whole answers to the queries that would stay at the edge: the edge's as they were
    asked here, the cloud's as the log tells, None where it doesn't. `change` is of the mean over
    all queries, those that go to the cloud among them."""

    edge_median: float
    edge_p95: float
    edge_answers: int
    cloud_median: float | None = None
    cloud_p95: float | None = None
    cloud_answers: int = 0
    change: float | None = None


def latency(
    rows: Sequence[LoggedRow], scores: Floats, threshold: float, labelled: Sequence[Labelled]
) -> Latency | None:
    """None where the edge was not timed."""
    edge = np.array([each.seconds for each in labelled if each.seconds is not None])
    if not len(edge):
        return None
    easy = scores <= threshold
    kept = [row for row, stays in zip(rows, easy, strict=True) if stays]
    cloud = np.array([row.latency for row in kept if row.latency is not None])
    of_edge = (float(np.median(edge)), float(np.quantile(edge, 0.95)), len(edge))
    if not len(cloud):
        return Latency(*of_edge)
    change = float(easy.mean() * (edge.mean() - cloud.mean()))
    return Latency(
        *of_edge, float(np.median(cloud)), float(np.quantile(cloud, 0.95)), len(cloud), change
    )
