"""Metrics of the versions that a HEM server serves from: the one in force here, and what the last
retraining and the last check have told. Files are read when Prometheus asks."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from prometheus_client import REGISTRY
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from transformers_hem.routers.directory import place_of
from transformers_hem.serving.decision import Decider
from transformers_hem.versions.told import CHECKED, RETRAINED, told


class Served(Collector):
    """Tells nothing where the router in force is none of a folder of versions."""

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._version: int | None = None

    def set(self, decider: Decider) -> None:
        """What is in force from now on."""
        self._version = decider.router_version
        versioned = decider.router is not None and self._version is not None
        self._folder = place_of(decider.router or "") if versioned else None

    def describe(self) -> list[GaugeMetricFamily]:
        return []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        if self._folder is None or self._version is None:
            return
        text = "Version of the router that this server has in force."
        yield _gauge("hem_router_version", text, self._version)
        yield from _retrained(told(self._folder, RETRAINED))
        yield from _checked(told(self._folder, CHECKED))


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
    yield from _time("hem_retrain_timestamp_seconds", "When the last retraining was.", facts)


_CHECKED: Final = (
    (
        "promised",
        "hem_promised_quality_loss",
        "Quality loss against cloud-only that the version in force promises.",
    ),
    (
        "live",
        "hem_live_quality_loss",
        "Quality loss of live queries, as the last check has estimated it.",
    ),
    ("low", "hem_live_quality_loss_low", "Lower end of the interval of the live quality loss."),
    ("rows", "hem_live_quality_rows", "Live queries behind the live quality loss."),
    ("kept", "hem_promise_kept", "0: the last check has found the promise broken; 1: it has not."),
)


def _checked(facts: dict[str, Any]) -> Iterator[GaugeMetricFamily]:
    for field, name, text in _CHECKED:
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
