"""A benchmark's YAML file: what is asked of whom, which systems are compared, and how.

Paths are relative to the benchmark's own file.
"""

from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from inferencegraph.evaluate.metrics import BY_NAME
from inferencegraph.evaluate.statistics import RESAMPLES
from inferencegraph.evaluate.systems import CLOUD_ONLY, DEPLOYED, EDGE_ONLY, Entry
from inferencegraph.read.documents import parse
from predictors.embedded import TEST_QUESTIONS
from predictors.errors import ConfigurationError, first_fault, known

Ways = Literal["graph", "gateway"]
SORTED_BY: Final = ("quality", "cost")


class Data(BaseModel):
    """A file of questions; see `inferencegraph.evaluate.datasets`. Without `scorer` the
    benchmark's."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: Path
    name: str = ""
    scorer: str | None = None


def _data(value: Any) -> Any:
    values = value if isinstance(value, list | tuple) else [value]
    return [{"file": each} if isinstance(each, str | Path) else each for each in values]


class Benchmark(BaseModel):
    """Whom it asks: `manifests` or a `spec` that is started, or the `url` of a running graph or
    gateway (`through`); with none of these it routes what the data have recorded of both models.

    `parameters` are those of each request. `rate`: questions a second, at random times, instead of
    so many at a time. `epsilon`: by how much the edge's answer may be worse and still count as
    good. `worst` is the lowest quality there is, which failures get.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    data: Annotated[tuple[Data, ...], BeforeValidator(_data)] = (Data(file=TEST_QUESTIONS),)
    manifests: tuple[Path, ...] = ()
    spec: Path | None = None
    graph: str | None = None
    url: str | None = None
    through: Ways = "graph"
    systems: tuple[Entry, ...] = ()
    scorer: str = "exact_match"
    scorer_options: dict[str, Any] = Field(default_factory=dict)
    parameters: dict[str, str | int | float] = Field(default_factory=dict)
    concurrency: int = Field(8, ge=1, le=10_000)
    rate: float | None = Field(None, gt=0)
    limit: int | None = Field(None, ge=1)
    seed: int = Field(0, ge=0)
    prices: Path | None = None
    models: dict[str, str] = Field(default_factory=dict)
    epsilon: float = Field(0.0, ge=0)
    worst: float = 0.0
    confidence: float = Field(0.95, ge=0.5, lt=1)
    resamples: int = Field(RESAMPLES, ge=100, le=100_000)
    baseline: str = CLOUD_ONLY
    sort_by: tuple[str, ...] = SORTED_BY
    columns: tuple[str, ...] | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        started = [name for name in ("manifests", "spec", "url") if getattr(self, name)]
        if len(started) > 1:
            raise ValueError(f"has {' and '.join(started)}; whom to ask is one of them")
        for field in ("sort_by", "columns"):
            for name in getattr(self, field) or ():
                if name not in BY_NAME:
                    raise ValueError(f"{field}: no metric {name!r}; {known(name, BY_NAME)}")
        return self

    @property
    def asks(self) -> bool:
        """Whether models are asked; otherwise recorded answers are routed."""
        return bool(self.manifests or self.spec or self.url)


DEFAULT_SYSTEMS: Final = (EDGE_ONLY, DEPLOYED, CLOUD_ONLY)


def read_benchmark(path: Path) -> Benchmark:
    """Raises ConfigurationError naming the file and the field."""
    documents = parse(path)
    content = documents[0] if len(documents) == 1 else documents
    try:
        benchmark = Benchmark.model_validate(content)
    except ValidationError as error:
        field, message, _ = first_fault(error)
        fields = ", ".join(Benchmark.model_fields)
        raise ConfigurationError(
            f"{path}: {field or 'the file'}: {message}; fields: {fields}"
        ) from None
    return _placed(benchmark, path.parent)


def _placed(benchmark: Benchmark, folder: Path) -> Benchmark:
    """With its paths as they are from here."""

    def place(path: Path | None) -> Path | None:
        return None if path is None else folder / path

    def router(entry: Any) -> Any:
        name = entry.router
        if name is not None and "://" not in name and not name.startswith("embedded:"):
            name = str(folder / name)
        return entry.model_copy(update={"router": name, "trained_on": place(entry.trained_on)})

    return benchmark.model_copy(
        update={
            "data": tuple(
                data.model_copy(update={"file": folder / data.file}) for data in benchmark.data
            ),
            "manifests": tuple(folder / path for path in benchmark.manifests),
            "spec": place(benchmark.spec),
            "prices": place(benchmark.prices),
            "systems": tuple(router(entry) for entry in benchmark.systems),
        }
    )
