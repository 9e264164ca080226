"""How long something takes: distributions of seconds.

0.2                    always 0.2 s
exponential:0.2        with a mean of 0.2 s
lognormal:0.2,1.5      the mean, and the standard deviation in means (coefficient of variation)
measured:FILE          one of the seconds in FILE, one a line, at random
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

from predictors.errors import ConfigurationError, known


class Times(ABC):
    """A distribution of seconds; `mean` is its mean."""

    mean: float

    @abstractmethod
    def draw(self, random: Random) -> float: ...


@dataclass(frozen=True, slots=True)
class Constant(Times):
    mean: float

    def __post_init__(self) -> None:
        _check("a time", self.mean, 0.0)

    def draw(self, random: Random) -> float:
        return self.mean


@dataclass(frozen=True, slots=True)
class Exponential(Times):
    mean: float

    def __post_init__(self) -> None:
        _check("a mean time", self.mean, math.ulp(0.0))

    def draw(self, random: Random) -> float:
        return random.expovariate(1 / self.mean)


@dataclass(frozen=True, slots=True)
class Lognormal(Times):
    """`variation`: the standard deviation, in means."""

    mean: float
    variation: float

    def __post_init__(self) -> None:
        _check("a mean time", self.mean, math.ulp(0.0))
        _check("a coefficient of variation", self.variation, 0.0)

    def draw(self, random: Random) -> float:
        variance = math.log1p(self.variation**2)
        return random.lognormvariate(math.log(self.mean) - variance / 2, math.sqrt(variance))


class Measured(Times):
    """One of some seconds that were measured."""

    def __init__(self, seconds: list[float]) -> None:
        if not seconds:
            raise ConfigurationError("there are no measured times")
        for value in seconds:
            _check("a measured time", value, 0.0)
        self._seconds = seconds
        self.mean = math.fsum(seconds) / len(seconds)

    def draw(self, random: Random) -> float:
        return random.choice(self._seconds)


def parse_times(text: str) -> Times:
    """Raises ConfigurationError."""
    kind, colon, rest = text.partition(":")
    if not colon:
        kind, rest = "constant", text
    if kind == "measured":
        return Measured(_read(Path(rest)))
    if kind not in _KINDS:
        raise ConfigurationError(
            f"unknown kind of time {kind!r}; {known(kind, [*_KINDS, 'measured'])}"
        )
    make, parts = _KINDS[kind]
    values = [_number(each, f"{text!r}") for each in rest.split(",")]
    if len(values) != len(parts):
        raise ConfigurationError(f"{text!r}: {kind} takes {' and '.join(parts)}")
    return make(*values)


_KINDS: Final[Mapping[str, tuple[Callable[..., Times], tuple[str, ...]]]] = {
    "constant": (Constant, ("seconds",)),
    "exponential": (Exponential, ("a mean",)),
    "lognormal": (Lognormal, ("a mean", "a coefficient of variation")),
}


def _read(path: Path) -> list[float]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"measured times: {path} can't be read: {error}") from None
    rows = enumerate(lines, 1)
    return [_number(line, f"{path}, line {row}") for row, line in rows if line.strip()]


def _number(text: str, where: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ConfigurationError(f"{where}: {text.strip()!r} is no number of seconds") from None


def _check(what: str, value: float, least: float) -> None:
    if not least <= value < math.inf:
        above = "of 0 or more" if least == 0.0 else "above 0"
        raise ConfigurationError(f"{what} is a number {above}, not {value:g}")
