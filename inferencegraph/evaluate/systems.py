"""The systems of a benchmark: ways to decide which side answers, and what each was made from."""

import hashlib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from predictors.errors import ConfigurationError
from transformers_hem.algorithms import ALGORITHMS
from transformers_hem.algorithms.base import Algorithm
from transformers_hem.algorithms.parameters import parse, take_threshold
from transformers_hem.routers.directory import algorithm_of, locate

DEPLOYED: Final = "routed"  # as what is asked routes by itself
EDGE_ONLY, CLOUD_ONLY, ORACLE = "EdgeOnly", "CloudOnly", "OracleRouter"
MEASURED: Final = (EDGE_ONLY, CLOUD_ONLY)  # each is asked itself where a pair runs
_MOST: Final = 200  # systems of one grid

Value = str | float | int | bool
Values = Annotated[
    tuple[Value, ...], BeforeValidator(lambda v: v if isinstance(v, list | tuple) else [v])
]
Thresholds = Annotated[
    tuple[Annotated[float, Field(ge=0, le=1)], ...],
    BeforeValidator(lambda v: v if isinstance(v, list | tuple) else [v]),
]


class SystemEntry(BaseModel):
    """An algorithm by its name, or a trained router by its directory; lists of parameters and of
    thresholds make a system for each combination. `trained_on`: the file that the router learned
    from, where the directory does not have its rows."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str | None = None
    algorithm: str | None = None
    router: str | None = None
    parameters: dict[str, Values] = Field(default_factory=dict)
    threshold: Thresholds = ()
    trained_on: Path | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if (self.algorithm is None) == (self.router is None):
            raise ValueError("needs algorithm or router, one of them")
        if self.algorithm == DEPLOYED and (self.parameters or self.threshold):
            raise ValueError("routed is what the manifests say; it takes no parameters")
        return self


def _entry(value: Any) -> Any:
    return {"algorithm": value} if isinstance(value, str) else value


Entry = Annotated[SystemEntry, BeforeValidator(_entry)]


@dataclass(frozen=True, slots=True)
class System:
    """`algorithm` is None for what the pair itself does (routed) and for the oracle, which needs
    none. `threshold`: above it a query is hard; None where no threshold applies."""

    name: str
    kind: str
    algorithm: Algorithm | None = None
    threshold: float | None = None
    router: str | None = None
    trained_on: Path | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)

    @property
    def stage(self) -> Literal["query", "answer"]:
        return self.algorithm.stage if self.algorithm else "query"


def systems_of(entries: Sequence[SystemEntry]) -> list[System]:
    """Raises ConfigurationError naming the entry."""
    made = [system for entry in entries for system in _expanded(entry)]
    if len(made) > _MOST:
        raise ConfigurationError(f"systems: {len(made)} of them; at most {_MOST}")
    names = [system.name for system in made]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ConfigurationError(f"systems: two are called {twice!r}; give each a name of its own")
    return made


def _expanded(entry: SystemEntry) -> Iterator[System]:
    kind = entry.algorithm or algorithm_of(locate(entry.router or ""))
    base = entry.name or (Path(entry.router).name if entry.router else kind)
    if entry.router and entry.router.startswith("embedded:"):
        base = entry.name or entry.router
    names, columns = list(entry.parameters), list(entry.parameters.values())
    thresholds: Sequence[float | None] = entry.threshold or (None,)
    many = [name for name in names if len(entry.parameters[name]) > 1]
    for chosen in itertools.product(*columns):
        values = {name: _text(value) for name, value in zip(names, chosen, strict=True)}
        for threshold in thresholds:
            told = [f"{name}={values[name]}" for name in many]
            if len(thresholds) > 1:
                told.append(f"threshold={threshold:g}")
            name = f"{base} ({', '.join(told)})" if told else base
            yield _system(name, kind, entry, values, threshold)


def _system(
    name: str, kind: str, entry: SystemEntry, values: dict[str, str], threshold: float | None
) -> System:
    given = dict(values)
    if kind in (DEPLOYED, ORACLE) and "labels" not in values:
        if given or threshold is not None:
            raise ConfigurationError(f"systems: {name}: {kind} takes no parameters here")
        return System(name, kind)
    owner = ALGORITHMS.load(kind)
    taken = take_threshold(owner, values)
    if entry.router is not None:
        values.setdefault("router", entry.router)
    algorithm = owner(parse(kind, owner, values))
    if threshold is None:
        threshold = algorithm.default_threshold if taken is None else taken
    elif taken is not None:
        raise ConfigurationError(f"systems: {name}: its threshold is given twice")
    if owner.fixed_route is None and threshold is None:
        raise ConfigurationError(f"systems: {name}: {kind} has no threshold of its own; give one")
    router = values.get("router")
    return System(name, kind, algorithm, threshold, router, entry.trained_on, given)


def _text(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def router_sha256(router: str) -> str:
    """Of a trained router's files, by name and content."""
    whole = hashlib.sha256()
    folder = locate(router)
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            whole.update(f"{path.relative_to(folder)}\0".encode())
            whole.update(hashlib.sha256(path.read_bytes()).digest())
    return whole.hexdigest()
