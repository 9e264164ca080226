"""Metrics of the router that a HEM server has in force: what it promises, which version it is, and
what the last retraining and the last check have told. Files are read when Prometheus asks."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from prometheus_client import REGISTRY
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from transformers_hem.routers.directory import place_of
from transformers_hem.serving.decision import Decider
from transformers_hem.serving.promised import promised_loss
from transformers_hem.versions.told import CHECKED, RETRAINED, told


class Served(Collector):
    """Tells of versions where the router in force is one of a folder of versions."""

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._version: int | None = None
        self._promised: float | None = None

    def set(self, decider: Decider) -> None:
        """What is in force from now on."""
        self._version = decider.router_version
        self._promised = promised_loss(decider)
        versioned = decider.router is not None and self._version is not None
        self._folder = place_of(decider.router or "") if versioned else None

    def describe(self) -> list[GaugeMetricFamily]:
        return []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        if self._promised is not None:
            text = "Quality loss against cloud-only that the threshold in force promises at most."
            yield _gauge("hem_promised_quality_loss", text, self._promised)
        if self._folder is None or self._version is None:
            return
        text = "Version of the router that this server has in force."
        yield _gauge("hem_router_version", text, self._version)
        yield from _retrained(told(self._folder, RETRAINED))
        yield from _checked(told(self._folder, CHECKED), self._version)


def _retrained(facts: dict[str, Any]) -> Iterator[GaugeMetricFamily]:
    if not isinstance(rows := facts.get("rows"), dict):
        return
    used = GaugeMetricFamily(
        "hem_retrain_rows", "Rows of the last retraining, by where they come from.", labels=["kind"]
    )
    for kind, count in rows.items():
        used.add_metric([str(kind)], float(count))
    yield used
    yield _gauge(
        "hem_retrain_promoted",
        "1: the last retraining has put a new version in force; 0: the old one stayed.",
        float(bool(facts.get("promoted"))),
    )
    if result := facts.get("result"):
        ended = GaugeMetricFamily(
            "hem_retrain_result", "1: what became of the last retraining.", labels=["result"]
        )
        ended.add_metric([str(result)], 1.0)
        yield ended
    yield from _time("hem_retrain_timestamp_seconds", "When the last retraining was.", facts)


# Of the version in force; nothing of another one.
_LIVE: Final = (
    (
        "live",
        "hem_live_quality_loss",
        "Quality loss of live queries, as the last check has estimated it.",
    ),
    ("low", "hem_live_quality_loss_low", "Lower end of the interval of the live quality loss."),
    ("high", "hem_live_quality_loss_high", "Upper end of the interval of the live quality loss."),
    ("rows", "hem_live_quality_rows", "Live queries behind the live quality loss."),
)
# Of the version that was checked last, also where another one has taken its place.
_CHECKED: Final = (
    ("kept", "hem_promise_kept", "0: the last check has found the promise broken; 1: it has not."),
    ("version", "hem_promise_checked_version", "Version that the last check was about."),
)


def _checked(facts: dict[str, Any], version: int) -> Iterator[GaugeMetricFamily]:
    live = _LIVE if facts.get("version") == version else ()
    for field, name, text in (*live, *_CHECKED):
        if isinstance(value := facts.get(field), int | float):
            yield _gauge(name, text, float(value))
    yield from _time("hem_promise_checked_timestamp_seconds", "When the last check was.", facts)


def _time(name: str, text: str, facts: dict[str, Any]) -> Iterator[GaugeMetricFamily]:
    try:
        yield _gauge(name, text, datetime.fromisoformat(str(facts.get("at"))).timestamp())
    except ValueError:
        return


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, value=value)


SERVED = Served()
REGISTRY.register(SERVED)
