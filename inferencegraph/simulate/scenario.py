"""What is simulated: sites, the cloud that they share, and for how long."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from inferencegraph.build.mining import MINING_MODES, QUERY_STAGE
from inferencegraph.build.sites import DEFAULT_TIMEOUTS
from inferencegraph.simulate.times import Constant, Times
from predictors.errors import ConfigurationError, known
from predictors.upstream.settings import Limits

AT_ONCE: Final = Constant(0.0)
RANDOM: Final = "random"  # a Service of Kubernetes: by chance, whatever a replica has to do
LEAST_BUSY: Final = "least-busy"  # a gateway that counts the calls of each replica
BALANCING: Final = (RANDOM, LEAST_BUSY)


@dataclass(frozen=True, slots=True)
class Model:
    """`places`: queries at once, each for `seconds`, however many the others are; more wait, first
    come, first served. So `seconds` are those of a batch that is full."""

    places: int
    seconds: Times

    def __post_init__(self) -> None:
        _at_least(1, places=self.places)


@dataclass(frozen=True, slots=True)
class Site:
    """One edge node.

    rate: queries a second, at random (Poisson). hard: the share of them that mining sends to the
    cloud. mining: one query at a time. overhead: of a query's hops through the graph. round_trip:
    to the cloud and back. step_seconds: the graph's limit on a step, whose end is an error.
    """

    name: str
    rate: float
    hard: float
    edge: Model
    mining: Times = AT_ONCE
    overhead: Times = AT_ONCE
    round_trip: Times = AT_ONCE
    uplink: Limits = field(default_factory=Limits)
    mode: str = QUERY_STAGE
    step_seconds: float = DEFAULT_TIMEOUTS.service_client

    def __post_init__(self) -> None:
        _above_0(rate=self.rate, step_seconds=self.step_seconds)
        if not 0 <= self.hard <= 1:
            raise ConfigurationError(f"hard is a share from 0 to 1, not {self.hard:g}")
        if self.mode not in MINING_MODES:
            raise ConfigurationError(
                f"unknown mining mode {self.mode!r}; {known(self.mode, MINING_MODES)}; what a "
                "strategy of self-design takes is not simulated"
            )


@dataclass(frozen=True, slots=True)
class Cloud:
    """`replicas` of one model, each with a queue of its own; `balancing` chooses among them."""

    model: Model
    replicas: int = 1
    balancing: str = RANDOM

    def __post_init__(self) -> None:
        _at_least(1, replicas=self.replicas)
        if self.balancing not in BALANCING:
            raise ConfigurationError(
                f"unknown balancing {self.balancing!r}; {known(self.balancing, BALANCING)}"
            )


@dataclass(frozen=True, slots=True)
class Scenario:
    """Queries come for `warm_up` and `seconds`; those of the latter are counted, and each of them
    to its end. The same `seed` gives the same run."""

    sites: tuple[Site, ...]
    cloud: Cloud
    seconds: float = 600.0
    warm_up: float = 60.0
    seed: int = 0

    def __post_init__(self) -> None:
        _above_0(seconds=self.seconds)
        if self.warm_up < 0:
            raise ConfigurationError(f"warm_up is a number of 0 or more, not {self.warm_up:g}")
        names = Counter(site.name for site in self.sites)
        if not names:
            raise ConfigurationError("there is no site")
        if twice := next((name for name, count in names.items() if count > 1), None):
            raise ConfigurationError(f"two sites have the name {twice!r}")

    @property
    def end(self) -> float:
        """When the last query comes."""
        return self.warm_up + self.seconds


def _above_0(**values: float) -> None:
    for name, value in values.items():
        if not 0 < value < float("inf"):
            raise ConfigurationError(f"{name} is a number above 0, not {value:g}")


def _at_least(least: int, **values: int) -> None:
    for name, value in values.items():
        if value < least:
            raise ConfigurationError(f"{name} is {least} at least, not {value}")
