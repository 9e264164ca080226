"""What a metric is."""

from collections.abc import Callable
from dataclasses import dataclass

from inferencegraph.evaluate.outcome import Run


@dataclass(frozen=True, slots=True)
class Metric:
    """`compute(run, cloud)`: one number about `run`, where `cloud` is the same questions all
    answered by the cloud model; None where it is not defined. `show` is for people."""

    name: str
    title: str
    compute: Callable[[Run, Run], float | None]
    show: Callable[[float], str]


def percent(value: float) -> str:
    return f"{100 * value:.1f}%"
