"""A benchmark's YAML: which manifests to run and which questions to ask."""

from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from predictors.errors import ConfigurationError


class Benchmark(BaseModel):
    """Paths are relative to the benchmark's own file; without `data`, the shipped test set."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    manifests: list[Path] = Field(min_length=1)
    graph: str | None = None
    data: Path | None = None
    concurrency: int = Field(8, ge=1)


def read_benchmark(path: Path) -> Benchmark:
    """Raises ConfigurationError naming the file and the field."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        benchmark = Benchmark.model_validate(content)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: {getattr(error, 'strerror', None) or error}") from None
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{path}: {' '.join(str(error).split())}") from None
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "the file"
        known = ", ".join(Benchmark.model_fields)
        raise ConfigurationError(
            f"{path}: {field}: {first['msg'].lower()}; fields: {known}"
        ) from None
    folder = path.parent
    return benchmark.model_copy(
        update={
            "manifests": [folder / manifest for manifest in benchmark.manifests],
            "data": folder / benchmark.data if benchmark.data else None,
        }
    )
