"""What an estimate found, for a program and in plain words."""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from inferencegraph.evaluate.estimating.aim import Aim
from inferencegraph.evaluate.estimating.savings import Latency, Savings
from transformers_hem.calibration.betting import Interval

Why = Literal["precise", "enough", "log ended", "max labels", "stopped"]


@dataclass(frozen=True, slots=True)
class Quality:
    """Mean scores of the training rows, which are a random sample of the log, with intervals."""

    edge: float
    edge_interval: Interval
    cloud: float
    cloud_interval: Interval


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """Routing at one threshold: its share at the edge, its loss on the walk's rows with an interval
    that holds for this threshold by itself, and what a query saves, as in Savings."""

    threshold: float
    edge_share: float
    loss: float
    interval: Interval
    saved: float | None = None


@dataclass(frozen=True, slots=True)
class Counts:
    """`logged` rows could be used, `left_out` not; of those labelled, `failed` have no answer of
    the edge, or no score, and count as wrong. `asked`: what was put to the edge by this run."""

    logged: int
    left_out: int
    training: int
    tested: int
    failed: int
    asked: int

    @property
    def labels(self) -> int:
        return self.training + self.tested


@dataclass(frozen=True, slots=True)
class Estimate:
    """`threshold` None: nothing can be promised, and about `missing` more labels would do, which
    takes `missing_rows` more rows than the log has; both None where no number would.

    `edge_share` is that of the log's rows that the router was not trained on, `share_interval` that
    of traffic like them. `best_share` is an estimate of what is possible at this loss,
    `possible_share` a bound on it. `loss` is of the threshold, on the labelled rows.
    """

    aim: Aim
    scorer: str
    agreement: bool
    counts: Counts
    ended: Why
    quality: Quality
    threshold: float | None = None
    edge_share: float = 0.0
    share_interval: Interval | None = None
    best_share: float | None = None
    possible_share: float | None = None
    loss: float | None = None
    loss_interval: Interval | None = None
    missing: int | None = None
    missing_rows: int | None = None
    savings: Savings | None = None
    latency: Latency | None = None
    per_month: int | None = None
    seconds: float = 0.0
    seconds_to_first_interval: float | None = None
    curve: list[CurvePoint] = field(default_factory=list)

    @property
    def measured(self) -> str:
        """What a loss is a loss of."""
        return "agreement with the cloud's answer" if self.agreement else "quality"

    def facts(self) -> dict[str, Any]:
        """Everything, for a program."""
        return {
            "promised": self.threshold is not None,
            "measured": self.measured,
            **_plain(asdict(self)),
            "labels": self.counts.labels,
        }

    def text(self) -> str:
        return "\n".join(self.sentences())

    def sentences(self) -> Iterator[str]:
        yield self.headline()
        yield from self._about()
        yield from self._prospects()
        yield self._spent()

    def headline(self) -> str:
        confidence = f"with confidence {self.aim.confidence:g}"
        if self.aim.edge_ratio is not None and self.loss_interval is not None:
            low, high = self.loss_interval
            return (
                f"With {self.edge_share:.1%} of the queries at the edge the loss of "
                f"{self.measured} is between {low:.4f} and {high:.4f} {confidence}{self._gains()}."
            )
        limit = f"a loss of {self.measured} of at most {self.aim.max_quality_loss:g} {confidence}"
        if self.threshold is not None and self.share_interval is not None:
            return (
                f"At {limit} you keep {self.edge_share:.1%} [{percent(self.share_interval)}] of "
                f"the queries at the edge{self._gains()}."
            )
        if self.missing is None:
            return (
                f"Nothing can be kept at the edge at {limit}: even the queries that look easiest "
                "lose more, and more rows would not help."
            )
        more = "" if self.missing_rows is None else f", {self.missing_rows:,} more rows of the log"
        return f"Not enough data for {limit}: about {self.missing:,} more labels{more} would do."

    def _gains(self) -> str:
        money, time = self._money(), self._time()
        return (f", {money}" if money else "") + (f", {time}" if time else "")

    def _money(self) -> str:
        if self.savings is None:
            return ""
        queries = self.per_month or 1000
        of = "a month" if self.per_month else "per 1,000 queries"
        low, saved, high, spent = (
            queries * value
            for value in (
                self.savings.interval.low,
                self.savings.saved,
                self.savings.interval.high,
                self.savings.spent,
            )
        )
        share = saved / spent if spent else 0.0
        return (
            f"save {amount(saved)} {self.savings.currency} {of} [{amount(low)} to "
            f"{amount(high)}], {share:.0%} of the cloud's bill of {amount(spent)}, at these prices"
        ).replace("  ", " ")

    def _time(self) -> str:
        times = self.latency
        if times is None:
            return ""
        edge = f"their median answer takes {times.edge_median:.3g} s"
        if times.cloud_median is None:
            return f"and {edge} (the log doesn't tell how long the cloud took)"
        return f"and {edge} where the cloud took {times.cloud_median:.3g} s"

    def _about(self) -> Iterator[str]:
        if self.agreement:
            yield (
                f"  The log has no answers known to be right: {self.scorer} compares with the "
                "cloud's answers, which may be wrong. That is weaker than quality: an answer that "
                "differs from the cloud's counts as lost, even where it is better."
            )
        yield (
            "  It is said of queries like the log's, if its rows are a fair sample of those."
            if self.aim.about == "traffic"
            else "  It is said of the logged queries that the router was not trained on, no others."
        )
        if self.counts.failed:
            yield (
                f"  {self.counts.failed} of {self.counts.labels} got no answer of the edge, or no "
                "score: they count as wrong at the edge and right at the cloud."
            )

    def _prospects(self) -> Iterator[str]:
        if self.loss is not None and self.threshold is not None and self.aim.edge_ratio is None:
            yield (
                f"  Seen on the labelled rows: a loss of {self.loss:.4f} at the threshold "
                f"{self.threshold:.4g}."
            )
        if self.possible_share is not None and self.threshold is not None:
            yield (
                f"  With many more labels this router might keep {self.best_share:.1%}, but not "
                f"more than {self.possible_share:.1%}."
            )
        quality = self.quality
        cloud = f"the cloud {quality.cloud:.3f} [{_three(quality.cloud_interval)}]"
        yield (
            f"  Alone, the edge has {quality.edge:.3f} [{_three(quality.edge_interval)}] by "
            f"{self.scorer}" + ("." if self.agreement else f", {cloud}.")
        )

    def _spent(self) -> str:
        counts = self.counts
        why = {
            "precise": "which was enough",
            "enough": "then half of the log was labelled (--precision asks for more)",
            "log ended": "then the log ended",
            "max labels": "then --max-labels was reached",
            "stopped": "then it was stopped",
        }[self.ended]
        saved = 1 - counts.labels / counts.logged
        return (
            f"  {counts.labels:,} of {counts.logged:,} queries were labelled, {counts.training:,} "
            f"to train and {counts.tested:,} to test, {why}: {saved:.0%} of the labels saved. "
            f"{counts.asked:,} were asked now, in {self.seconds:.0f} s."
        )


def _plain(value: Any) -> Any:
    """Intervals as lists of their two ends; NaN, which JSON lacks, as null."""
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float):  # NumPy's, too
        return float(value) if math.isfinite(value) else None
    return value


def percent(interval: Interval) -> str:
    return f"{interval.low:.1%} to {interval.high:.1%}"


def _three(interval: Interval) -> str:
    return f"{interval.low:.3f} to {interval.high:.3f}"


def amount(value: float) -> str:
    """Of money, with two digits behind the point, or as many as show something."""
    if not math.isfinite(value) or abs(value) >= 0.1 or value == 0:
        return f"{value:,.2f}"
    return f"{value:.2g}"
