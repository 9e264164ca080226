"""What came back from use: what is known of how a query's two sides did, and how it came to be
known."""

import math
from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final, Literal

import numpy as np

from predictors.errors import ConfigurationError
from transformers_hem.arrays import Flags, Floats, Indices
from transformers_hem.routers.linear.texts import Reading

Kind = Literal["base", "shadow", "explicit", "implicit"]
Side = Literal["edge", "cloud"]

# How much a row counts before anything else is known of it. A scorer of ours saw both answers of
# base rows and shadow pairs; a user says something; a retry may mean anything.
WEIGHTS: Final[dict[Kind, float]] = {"base": 1.0, "shadow": 1.0, "explicit": 1.0, "implicit": 0.3}
TRUSTED: Final[frozenset[Kind]] = frozenset(("base", "shadow"))


@dataclass(frozen=True, slots=True)
class Propensity:
    """How likely what was seen was to be seen, as whoever decided knew it when it was decided.

    `edge`: that the edge served the query, 0 or 1 without exploration. `shadow_edge`,
    `shadow_cloud`: that the other side was asked too, of a query that this side served.
    """

    edge: float
    shadow_edge: float = 0.0
    shadow_cloud: float = 0.0

    def __post_init__(self) -> None:
        for name in ("edge", "shadow_edge", "shadow_cloud"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigurationError(
                    f"a propensity is from 0 to 1, not {getattr(self, name)!r} ({name})"
                )

    @classmethod
    def of_served(cls, served: Side, propensity: float, shadow_share: float = 0.0) -> "Propensity":
        """`propensity`: that this side served; `shadow_share`: that the other was asked too,
        whichever served."""
        edge = propensity if served == "edge" else 1 - propensity
        return cls(edge, shadow_share, shadow_share)

    @property
    def sees_edge(self) -> float:
        return self.edge + (1 - self.edge) * self.shadow_cloud

    @property
    def sees_cloud(self) -> float:
        return 1 - self.edge + self.edge * self.shadow_edge

    @property
    def sees_both(self) -> float:
        return self.edge * self.shadow_edge + (1 - self.edge) * self.shadow_cloud


CERTAIN: Final = Propensity(edge=1.0, shadow_edge=1.0, shadow_cloud=1.0)


@dataclass(frozen=True, slots=True)
class Observation:
    """`edge` and `cloud`: how that side's answer did, 0 (bad) to 1 (good); None: nobody saw it.

    `at`: when, in seconds; `client`: who said so, empty where nobody did, as of shadow pairs.
    Raises ConfigurationError for what can't have been seen.
    """

    query: str
    edge: float | None
    cloud: float | None
    kind: Kind
    propensity: Propensity = CERTAIN
    at: float = 0.0
    client: str = ""

    def __post_init__(self) -> None:
        if self.kind not in WEIGHTS:
            raise ConfigurationError(f"unknown kind {self.kind!r}; known: {', '.join(WEIGHTS)}")
        if not math.isfinite(self.at):
            raise ConfigurationError(f"a time must be finite, not {self.at!r}")
        if self.edge is None and self.cloud is None:
            raise ConfigurationError("an observation of neither side says nothing")
        if self.kind in TRUSTED and (self.edge is None or self.cloud is None):
            raise ConfigurationError(f"an observation of kind {self.kind!r} has both sides")
        self._require("edge", self.edge, self.propensity.sees_edge)
        self._require("cloud", self.cloud, self.propensity.sees_cloud)

    def _require(self, side: str, outcome: float | None, propensity: float) -> None:
        if outcome is None:
            return
        if not 0 <= outcome <= 1:
            raise ConfigurationError(f"an outcome is from 0 to 1, not {outcome!r} ({side})")
        if propensity == 0:
            raise ConfigurationError(
                f"the {side}'s answer was seen, which its propensity of 0 says can't be"
            )


@dataclass(frozen=True, slots=True)
class Observations:
    """N of them in columns.

    `outcomes` float [N, 2] of edge and cloud, NaN where not seen; `propensities` float [N, 3], of
    seeing the edge, the cloud, and both; `weights` float [N], how much each counts; `clients` int
    [N], its place in `names`, -1 for nobody; `trusted`: a scorer of ours says so. `sides` int [N]:
    who served, 0 the edge and 1 the cloud; -1 of base rows, and where chance chose. `reading`: what
    was read of the queries' words by whoever needed it first; subsets share it.
    """

    queries: list[str]
    outcomes: Floats
    propensities: Floats
    weights: Floats
    times: Floats
    clients: Indices
    trusted: Flags
    sides: Indices
    names: tuple[str, ...] = ()
    reading: Reading = field(default_factory=Reading, compare=False, repr=False)

    @classmethod
    def of(cls, rows: Iterable[Observation]) -> "Observations":
        """Of each row nothing is kept but what stands in the columns: rows may come from a store,
        one by one."""
        queries: list[str] = []
        texts: dict[str, str] = {}  # equal ones are kept once
        clients: dict[str, int] = {}
        said, trusted, sides = array("q"), array("b"), array("b")
        columns = array("d")  # of each row edge, cloud, the three propensities, weight and time
        for row in rows:
            queries.append(texts.setdefault(row.query, row.query))
            chance = row.propensity
            columns.extend((_known(row.edge), _known(row.cloud)))
            columns.extend((chance.sees_edge, chance.sees_cloud, chance.sees_both))
            columns.extend((WEIGHTS[row.kind], row.at))
            said.append(clients.setdefault(row.client, len(clients)) if row.client else -1)
            trusted.append(row.kind in TRUSTED)
            sides.append(_server(row))
        numbers = np.array(columns, dtype=float).reshape(-1, 7)
        names, order = _sorted(clients)
        return cls(
            queries=queries,
            outcomes=numbers[:, 0:2].copy(),
            propensities=numbers[:, 2:5].copy(),
            weights=numbers[:, 5].copy(),
            times=numbers[:, 6].copy(),
            clients=np.append(order, -1)[np.array(said, dtype=np.int64)],
            trusted=np.array(trusted, dtype=bool),
            sides=np.array(sides, dtype=np.int64),
            names=names,
        )

    def __len__(self) -> int:
        return len(self.queries)

    @property
    def seen(self) -> Flags:
        """[N, 2]"""
        return np.asarray(~np.isnan(self.outcomes))

    @property
    def paired(self) -> Flags:
        """[N]: both sides were seen."""
        return np.asarray(self.seen.all(axis=1))

    @property
    def of_traffic(self) -> Flags:
        """[N]: drawn from it, by a chance that may be 1; base rows are of unknown origin."""
        return np.asarray((self.sides >= 0) | (self.propensities[:, 2] < 1))

    def subset(self, chosen: Indices) -> "Observations":
        """The rows at `chosen`, in that order."""
        return replace(
            self,
            queries=[self.queries[i] for i in chosen],
            outcomes=self.outcomes[chosen],
            propensities=self.propensities[chosen],
            weights=self.weights[chosen],
            times=self.times[chosen],
            clients=self.clients[chosen],
            trusted=self.trusted[chosen],
            sides=self.sides[chosen],
        )


def _sorted(clients: dict[str, int]) -> tuple[tuple[str, ...], Indices]:
    """Their names in order, and for each number its name's place there."""
    names = sorted(clients)
    order = np.zeros(len(names), np.int64)
    order[[clients[name] for name in names]] = np.arange(len(names))
    return tuple(names), order


def _server(row: Observation) -> int:
    if row.kind == "base":
        return -1
    return {1.0: 0, 0.0: 1}.get(row.propensity.edge, -1)


def _known(outcome: float | None) -> float:
    return math.nan if outcome is None else outcome
