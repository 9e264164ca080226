"""A LinearRouter on disk: config.json and weights.safetensors, checked when it is loaded."""

import errno
import hashlib
import math
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
from pydantic import Field, ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from predictors.errors import ConfigurationError
from transformers_hem import embedded
from transformers_hem.calibration import CalibratedConfig
from transformers_hem.features import LENGTHS, FeatureConfig, TextFeatures, Values, extract

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "weights.safetensors"

Config = TypeVar("Config", bound=CalibratedConfig)
Link = Literal["logistic", "clip", "difference"]
SUMS: dict[Link, int] = {"logistic": 1, "clip": 1, "difference": 2}

_ASIDE = ".router-"
_FULL = (errno.ENOSPC, errno.EDQUOT)


class RouterConfig(CalibratedConfig):
    """What config.json says.

    `link` turns the linear sums into a difficulty, see the function of that name; `intercepts` has
    one number a sum. `data_sha256` is of the training file, `weights_sha256` of
    weights.safetensors; `epsilon` is what the edge was allowed to be worse by, in labels' units.
    """

    version: Literal[2] = 2
    algorithm: Literal["LinearRouter"] = "LinearRouter"
    link: Link
    intercepts: tuple[float, ...]
    features: FeatureConfig
    seed: int
    rows: int
    data_sha256: str
    epsilon: float = Field(default=0.0, ge=0)
    metrics: dict[str, float | int | str]
    weights_sha256: str = ""


def locate(name: str) -> Path:
    """The directory that `HEM_ROUTER` or a `router` parameter means."""
    if name.startswith(embedded.PREFIX):
        return embedded.directory(name)
    if name.startswith("file://"):
        return Path(name.removeprefix("file://"))
    if "://" in name:
        raise ConfigurationError(
            f"router {name!r} must be mounted first: put it in the InferenceService's storageUri "
            "and name the mount, /mnt/models"
        )
    return Path(name)


@dataclass(frozen=True, slots=True)
class LinearModel:
    """A linear model over text features. `weights` is float32 [features.config.width, sums]."""

    config: RouterConfig
    features: TextFeatures
    weights: Values

    def score(self, text: str) -> float:
        """Difficulty of one query in [0, 1]."""
        return link(self.config.link, self.sums(text))

    def sums(self, text: str) -> list[float]:
        columns, values = self.features.row(extract(text, self.config.features.buckets))
        totals: list[float] = (values @ self.weights[columns]).tolist()
        return [total + more for total, more in zip(totals, self.config.intercepts, strict=True)]

    def save(self, out: Path) -> None:
        """Writes the directory aside, then renames it into place; replaces an older router only."""
        tensors = save_tensors(self._tensors())
        config = self.config.model_copy(update={"weights_sha256": sha256(tensors)})
        with new_directory(out) as aside:
            (aside / WEIGHTS_FILE).write_bytes(tensors)
            write_config(aside, config)

    def _tensors(self) -> dict[str, np.ndarray]:
        """Only the buckets that training saw: the rest weigh nothing. In half precision, which
        training has rounded to already."""
        seen = np.flatnonzero(self.features.idf)
        count = self.config.features.buckets
        return {
            "buckets": seen.astype(np.uint32),
            "idf": self.features.idf[seen].astype(np.float16),
            "weights": self.weights[seen].astype(np.float16),
            "length_mean": self.features.mean,
            "length_rate": self.features.rate,
            "length_weights": self.weights[count:],
        }

    @classmethod
    def load(cls, directory: Path) -> "LinearModel":
        """Raises ConfigurationError naming the file and what is wrong with it."""
        config = read_config(directory, RouterConfig)
        path = directory / WEIGHTS_FILE
        content = read_file(path)
        if sha256(content) != config.weights_sha256:
            raise ConfigurationError(
                f"{path} is damaged, or belongs to another {CONFIG_FILE}: its sha256 differs"
            )
        try:
            return cls._assemble(config, load_tensors(content))
        except (SafetensorError, KeyError, ValueError, IndexError) as error:
            raise ConfigurationError(f"{path} is not a router's weights: {error}") from error

    @classmethod
    def _assemble(cls, config: RouterConfig, tensors: dict[str, np.ndarray]) -> "LinearModel":
        seen = tensors["buckets"].astype(np.int64)
        idf = np.zeros(config.features.buckets, dtype=np.float32)
        idf[seen] = tensors["idf"]
        sums = SUMS[config.link]
        if len(config.intercepts) != sums:
            raise ValueError(f"{config.link} has {sums} sums, not {len(config.intercepts)}")
        weights = np.zeros((config.features.width, sums), dtype=np.float32)
        weights[seen] = tensors["weights"]
        weights[config.features.buckets :] = tensors["length_weights"]
        mean, rate = tensors["length_mean"], tensors["length_rate"]
        if mean.shape != (2, len(LENGTHS)) or rate.shape != (2, len(LENGTHS)):
            raise ValueError(f"it has not {len(LENGTHS)} lengths, twice")
        if not all(np.isfinite(array).all() for array in (idf, weights, mean, rate)):
            raise ValueError("it has values that are not finite")
        return cls(config, TextFeatures(config.features, idf, mean, rate), weights)


def link(name: Link, sums: Sequence[float]) -> float:
    """From linear sums to a difficulty in [0, 1].

    `clip`: z cut to [0, 1]; `logistic`: P(hard) = 1 / (1 + exp(-z)); `difference`: of P(edge right)
    and P(cloud right), in that order, (1 + P(cloud right) - P(edge right)) / 2.
    """
    if name == "clip":
        return min(max(sums[0], 0.0), 1.0)
    chances = [0.5 * (1.0 + math.tanh(z / 2)) for z in sums]  # never overflows, as exp(-z) does
    return chances[0] if name == "logistic" else (1.0 + chances[1] - chances[0]) / 2


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@contextmanager
def new_directory(out: Path) -> Iterator[Path]:
    """A directory aside that becomes `out` when the block ends well, in place of an older router.

    Raises ConfigurationError where `out` is something else or can't be written, the disk being full
    included; whatever is raised, `out` stays as it was and nothing half-written is left.
    """
    with _unwritable(out):
        _require_free(out)
        out.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=_ASIDE, dir=out.parent))
    try:
        with _unwritable(out):
            (aside / "new").mkdir()
        with _unwritable(out, *_FULL):
            yield aside / "new"
        with _unwritable(out):
            _replace(out, aside)
    finally:
        shutil.rmtree(aside)


def require_place(out: Path) -> None:
    """Told before the work is done: raises ConfigurationError where `new_directory` would. Leaves
    nothing."""
    with _unwritable(out):
        _require_free(out)
        place = out.parent
        while not _is_there(place):
            place = place.parent
        os.rmdir(tempfile.mkdtemp(prefix=_ASIDE, dir=place))


@contextmanager
def _unwritable(out: Path, *numbers: int) -> Iterator[None]:
    """An OSError, or one of these numbers only, becomes a ConfigurationError about `out`."""
    try:
        yield
    except OSError as error:
        if numbers and error.errno not in numbers:
            raise
        raise ConfigurationError(f"{out} can't be written: {error.strerror}") from error


def _require_free(out: Path) -> None:
    """What is there already is an older router, and can be moved away."""
    if not _is_there(out):
        return
    if not (out.is_dir() and _is_router(out)):
        raise ConfigurationError(f"{out} exists and is not a router directory; choose another")
    if out.samefile(os.curdir) or os.path.ismount(out):
        kind = "a mount" if os.path.ismount(out) else "the working directory"
        raise ConfigurationError(f"{out} is {kind}, which can't be replaced; choose another")


def _is_there(path: Path) -> bool:
    """Raises OSError where nothing could be, as in a file or by too long a name."""
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    return True


def _replace(out: Path, aside: Path) -> None:
    if not out.exists():
        os.rename(aside / "new", out)
        return
    os.rename(out, aside / "old")
    try:
        os.rename(aside / "new", out)
    except OSError:
        os.rename(aside / "old", out)
        raise


def _is_router(directory: Path) -> bool:
    """An empty one counts; a language model's, which has a config.json of its own, does not."""
    path = directory / CONFIG_FILE
    return b'"algorithm"' in path.read_bytes() if path.is_file() else not any(directory.iterdir())


def write_config(directory: Path, config: CalibratedConfig) -> None:
    (directory / CONFIG_FILE).write_text(config.model_dump_json(indent=2) + "\n")


def read_config(directory: Path, kind: type[Config]) -> Config:
    """Raises ConfigurationError naming the file, the field and what is wrong with it."""
    path = directory / CONFIG_FILE
    content = read_file(path)
    try:
        return kind.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "it"
        raise ConfigurationError(f"{path}: {where}: {first['msg']}") from error


def read_file(path: Path) -> bytes:
    """A file of a router directory. Raises ConfigurationError where it can't be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"no router in {path.parent}: {path.name}: {error.strerror}; `hem train` writes one"
        ) from error
