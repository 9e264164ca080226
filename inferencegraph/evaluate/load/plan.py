"""What is asked how: levels of load, for how long, and whose turn it is."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeVar

import numpy as np

from predictors.errors import ConfigurationError

T = TypeVar("T")

DEFAULT_CONCURRENCY: Final = 8
DEFAULT_SECONDS: Final = 10.0
MAX_RATE: Final = 100_000.0
MAX_CALLERS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Load:
    """`levels`: requests a second of an open loop, callers of a closed one. For each level every
    target gets `seconds`, or `requests`, in `blocks` parts, after `warmup` seconds that don't
    count."""

    loop: Literal["open", "closed"]
    levels: tuple[float, ...]
    seconds: float | None
    requests: int | None
    warmup: float
    blocks: int
    seed: int

    def block_seconds(self) -> float | None:
        return None if self.seconds is None else self.seconds / self.blocks

    def block_requests(self, block: int) -> int | None:
        """All blocks together have `requests`."""
        if self.requests is None:
            return None
        return self.requests // self.blocks + (block < self.requests % self.blocks)

    def arrivals(self, level: float, block: int) -> Iterator[float]:
        """When the requests of a block are to leave, in seconds from its beginning: those of a
        Poisson process, and the same ones for each target."""
        place = self.levels.index(level)
        random = np.random.default_rng((self.seed, place, block))
        return poisson(level, self.block_seconds(), self.block_requests(block), random)

    def warm_up_arrivals(self, level: float) -> Iterator[float]:
        random = np.random.default_rng((self.seed, self.levels.index(level)))
        return poisson(level, self.warmup, None, random)


def load(
    rates: str | None,
    concurrency: str | None,
    seconds: float | None,
    requests: int | None,
    warmup: float,
    blocks: int,
    targets: int,
    seed: int,
) -> Load:
    """From the command line's values. Raises ConfigurationError naming the option."""
    if rates is not None and concurrency is not None:
        raise ConfigurationError(
            "--rate and --concurrency: give one; a rate asks whether it is answered or not, "
            "callers wait for their answers"
        )
    if seconds is not None and requests is not None:
        raise ConfigurationError("--duration and --requests: give one")
    if requests is None:
        seconds = DEFAULT_SECONDS if seconds is None else seconds
        if not 0 < seconds < float("inf"):
            raise ConfigurationError(f"--duration {seconds:g}: give seconds, more than 0")
    blocks = blocks if targets > 1 else 1
    if requests is not None and requests < blocks:
        raise ConfigurationError(f"--requests {requests}: {blocks} blocks need one each at least")
    if rates is not None:
        levels = _levels(rates, "--rate", MAX_RATE)
        return Load("open", levels, seconds, requests, warmup, blocks, seed)
    levels = _levels(concurrency or str(DEFAULT_CONCURRENCY), "--concurrency", MAX_CALLERS)
    for level in levels:
        if level != int(level):
            raise ConfigurationError(f"--concurrency {level:g}: callers are whole numbers")
    return Load("closed", levels, seconds, requests, warmup, blocks, seed)


def poisson(
    rate: float, seconds: float | None, requests: int | None, random: np.random.Generator
) -> Iterator[float]:
    """Times whose gaps are exponential with the mean 1 / `rate`: `requests` of them, or those
    below `seconds`."""
    time = 0.0
    made = 0
    while requests is None or made < requests:
        for gap in random.exponential(1 / rate, 1024):
            time += float(gap)
            if (seconds is not None and time >= seconds) or made == requests:
                return
            made += 1
            yield time


def turns(targets: Sequence[T], blocks: int) -> Iterator[tuple[int, T]]:
    """A B B A A B B A: a drift of the machine meets all alike. Each with its block's number."""
    for block in range(blocks):
        for each in targets if block % 2 == 0 else reversed(targets):
            yield block, each


def _levels(text: str, option: str, most: float) -> tuple[float, ...]:
    """One number, or several with commas between."""
    levels = []
    for word in text.split(","):
        try:
            level = float(word)
        except ValueError:
            raise ConfigurationError(
                f"{option} {word.strip()!r} is not a number; e.g. {option} 1,8,64"
            ) from None
        if not 0 < level <= most:
            raise ConfigurationError(
                f"{option} {word.strip()}: must be more than 0, at most {most:g}"
            )
        levels.append(level)
    return tuple(dict.fromkeys(levels))
