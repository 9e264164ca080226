"""What the pods' metrics say, read through the API server's proxy.

docs/metrics.md lists the metrics.
"""

import math
import time
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from prometheus_client.parser import text_string_to_metric_families

from inferencegraph.build.pods import HTTP_PORT
from inferencegraph.check.containers import mapping
from inferencegraph.cluster.api import Cluster
from inferencegraph.cluster.components import Part
from inferencegraph.cluster.failures import ClusterError
from inferencegraph.cluster.pods import is_ready
from inferencegraph.cluster.quality import Quality
from inferencegraph.cluster.speculation import ANSWERS, Speculation
from predictors.errors import first_line

AT_ONCE: Final = 16
Sums = defaultdict[str, float]


def _sums() -> Any:
    return defaultdict(float)


@dataclass(slots=True)
class Figures:
    """Sums since the pods started. `drift`: the indexes of all replicas, NaN where a replica has
    too few scores. `costs`: by currency and route. `calls`: of models by the gateway, by outcome;
    `asked`, `retried` and `refused`: of the cloud by the uplink. `quality` is that of HEM's router,
    `speculation` of an edge that asks the cloud itself."""

    decisions: Sums = field(default_factory=_sums)
    drift: list[float] = field(default_factory=list)
    costs: defaultdict[tuple[str, str], float] = field(default_factory=_sums)
    answers: Sums = field(default_factory=_sums)
    calls: Sums = field(default_factory=_sums)
    asked: float = 0.0
    retried: float = 0.0
    refused: float = 0.0
    quality: Quality = field(default_factory=Quality)
    speculation: Speculation = field(default_factory=Speculation)

    def add(self, text: str, side: str) -> None:
        """The samples of one pod's /metrics. Raises ValueError where they are none."""
        samples = [
            each for family in text_string_to_metric_families(text) for each in family.samples
        ]
        asks_the_cloud = any(each.name == ANSWERS for each in samples)
        for each in samples:
            self._count(each.name, each.labels, each.value, side)
            self.quality.take(each.name, each.value)
            if asks_the_cloud:
                self.speculation.take(each.name, each.labels, each.value)

    def include(self, other: "Figures") -> None:
        """Adds those of another site."""
        sums: tuple[tuple[Any, Any], ...] = (
            (self.decisions, other.decisions),
            (self.costs, other.costs),
            (self.answers, other.answers),
            (self.calls, other.calls),
        )
        for mine, others in sums:
            for key, value in others.items():
                mine[key] += value
        self.drift += other.drift
        self.asked += other.asked
        self.retried += other.retried
        self.refused += other.refused
        self.quality.include(other.quality)
        self.speculation.include(other.speculation)

    def _count(self, name: str, labels: dict[str, str], value: float, side: str) -> None:
        route = labels.get("route", "")
        match name:
            case "hem_decisions_total":
                self.decisions[route] += value
            case "hem_score_psi":
                self.drift.append(value)
            case "hem_cost_total":
                self.costs[labels.get("currency", ""), route] += value
            case "hem_attempts_total":
                outcome = labels.get("outcome", "")
                self.calls[outcome] += value
                if outcome == "answered":
                    self.answers[route] += value
            case "request_predict_seconds_count" if side == "uplink":
                self.asked += value
            case "hem_upstream_retries_total" if side == "uplink":
                self.retried += value
            case "hem_upstream_failures_total" if side == "uplink":
                self.refused += value

    @property
    def error_rate(self) -> float | None:
        """Share of calls that failed: the gateway's calls of models; without a gateway those of
        the cloud, by the uplink or by an edge that drafts. None where nobody was asked."""
        ended = self.calls["answered"] + self.calls["thrown_away"] + self.calls["failed"]
        if ended:
            return self.calls["failed"] / ended
        if self.asked:
            return min(1.0, self.refused / (self.asked + self.retried))
        if self.speculation.calls:
            return min(1.0, self.speculation.failed / self.speculation.calls)
        return None

    @property
    def psi(self) -> float | None:
        """The largest of the replicas'; NaN where all have too few scores, None where no router
        watches for drift."""
        known = [value for value in self.drift if not math.isnan(value)]
        return max(known) if known else math.nan if self.drift else None


@dataclass(frozen=True, slots=True)
class Telemetry:
    """`figures` by site; `answered`: names of the parts whose pods have told them, `at` that time;
    `notes`: why others have not."""

    figures: dict[str, Figures]
    answered: frozenset[str]
    notes: tuple[str, ...]
    at: datetime


class Reader:
    """Reads an owner's metrics, at most once in so many seconds: each pod is a request."""

    def __init__(self, cluster: Cluster, namespace: str, seconds: float = 0.0) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._seconds = seconds
        self._last: dict[str, tuple[float, Telemetry]] = {}

    def read(self, owner: str, parts: Sequence[Part]) -> Telemetry:
        now = time.monotonic()
        last = self._last.get(owner)
        if last is None or now - last[0] >= self._seconds:
            last = self._last[owner] = (now, telemetry(self._cluster, self._namespace, parts))
        return last[1]


def telemetry(cluster: Cluster, namespace: str, parts: Sequence[Part]) -> Telemetry:
    """Asks every ready pod, several at once."""
    asked = [
        (part, pod)
        for part in parts
        if part.kind == "InferenceService"
        for pod in part.pods
        if is_ready(pod)
    ]
    figures: dict[str, Figures] = {}
    answered: set[str] = set()
    silent: defaultdict[str, list[str]] = defaultdict(list)
    with ThreadPoolExecutor(AT_ONCE) as threads:
        texts = threads.map(lambda each: _metrics(cluster, namespace, each[1]), asked)
        for (part, _), text in zip(asked, texts, strict=True):
            if isinstance(text, ClusterError):
                silent[first_line(text).partition(": ")[2]].append(part.name)
                continue
            try:
                figures.setdefault(part.site, Figures()).add(text, part.side)
            except ValueError as error:
                silent[f"not Prometheus' text: {error}"].append(part.name)
                continue
            answered.add(part.name)
    notes = [f"no metrics of {_few(names)}: {why}" for why, names in silent.items()]
    return Telemetry(figures, frozenset(answered), tuple(notes), datetime.now(UTC))


def _metrics(cluster: Cluster, namespace: str, pod: object) -> str | ClusterError:
    metadata = mapping(mapping(pod).get("metadata"))
    annotations = mapping(metadata.get("annotations"))
    port = str(annotations.get("prometheus.io/port") or HTTP_PORT)
    path = str(annotations.get("prometheus.io/path") or "/metrics")
    try:
        return cluster.metrics(namespace, str(metadata.get("name")), port, path)
    except ClusterError as error:
        return error


def _few(names: Sequence[str], most: int = 4) -> str:
    told = list(dict.fromkeys(names))
    more = f" and {len(told) - most} others" if len(told) > most else ""
    return f"{', '.join(told[:most])}{more}"
