"""Whether a query is answered by speculation, or by the far server alone.

`latency`: by whatever was faster of late. The first WARM_UP queries try both, and later a query now
and then tries the other one again: so seldom that the time that this costs stays below PROBE_SHARE,
and twice as seldom with each time in a row that it lost. Where it won it is tried again soon.

`capacity`: by speculation as long as it costs the far server less computing a token than answering
alone, as the verify side tells its seconds, and takes no more than `slower_at_most` times as long.

`always`: by speculation.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

from predictors.contract import Answer
from predictors.engines.speculative.speeds import NEWEST, Speed, seconds_of

Way = Literal["speculative", "cloud"]
SPECULATIVE: Final = "speculative"
CLOUD: Final = "cloud"

WARM_UP: Final = 32
WARM_UP_ALONE: Final = 4  # one in so many of them is the far server's: its times differ less
PROBE_SHARE: Final = 0.01  # of all time, for probes
LEAST_BETWEEN: Final = 32  # queries from one probe to the next
MOST_BETWEEN: Final = 1024  # where nothing but lost probes would make it more
SOON: Final = 4  # the same, behind a probe that won, until the medians tell
# Of the other's time that speculation takes at most: what is measured of a few answers is off by a
# few hundredths, and who gains less than that would often lose.
BETTER: Final = 0.95


class Policy(Protocol):
    def way(self) -> tuple[Way, str]:
        """Of the next query, and why it is not speculation."""
        ...

    def took(self, way: Way, answer: Answer) -> None:
        """A whole answer by that way."""
        ...


class Always:
    def way(self) -> tuple[Way, str]:
        return SPECULATIVE, ""

    def took(self, way: Way, answer: Answer) -> None:
        return None


@dataclass(slots=True)
class Speeds:
    """Of both ways. `asked` counts queries since the last probe, which `tries` a way and wins by
    taking at most `within` times as long as the other one. `lost` and `won`: probes in a row."""

    speculative: Speed = field(default_factory=Speed)
    cloud: Speed = field(default_factory=Speed)
    queries: int = 0
    asked: int = 0
    tries: Way | None = None
    within: float | None = None
    lost: int = 0
    won: int = 0

    def of(self, way: Way) -> Speed:
        return self.speculative if way == SPECULATIVE else self.cloud

    def took(self, way: Way, answer: Answer) -> None:
        if way == self.tries and self.within is not None:
            other = self.of(CLOUD if way == SPECULATIVE else SPECULATIVE)
            usual = other.seconds(answer.completion_tokens or 0)
            self._judge(seconds_of(answer), self.within * usual)
            self.tries = None
        self.of(way).took(answer)

    def _judge(self, seconds: float | None, limit: float) -> None:
        if seconds is not None and seconds <= limit:
            self.lost, self.won = 0, self.won + 1
        else:
            self.lost, self.won = self.lost + 1, 0

    def warming(self) -> Way | None:
        """The way to try while too little is known."""
        self.queries += 1
        if self.queries <= WARM_UP:
            return CLOUD if self.queries % WARM_UP_ALONE == 0 else SPECULATIVE
        for way in (SPECULATIVE, CLOUD):
            if not self.of(way).known:
                return way
        return None

    def slowdown(self) -> float:
        """How many times as long speculation takes as the far server alone, of answers as they are
        here."""
        tokens = self.speculative.tokens.value
        alone = self.cloud.seconds(tokens)
        return self.speculative.seconds(tokens) / alone if alone > 0 else math.inf

    def probes(self, way: Way, slower: float, within: float | None) -> bool:
        """Whether the next query tries the other `way`, which takes `slower` times as long, and
        wins as said above; None: its time alone does not tell."""
        self.asked += 1
        if self.asked < self._between(max(0.0, slower - 1)):
            return False
        if self.tries is not None and self.within is not None:
            self._judge(None, 0.0)  # the last one failed, or is not answered yet
        self.asked, self.tries, self.within = 0, way, within
        if within is None:
            self.lost = self.won = 0
        return True

    def _between(self, loss: float) -> float:
        if 0 < self.won < NEWEST:
            return SOON
        least = max(LEAST_BETWEEN, loss / PROBE_SHARE)
        return max(least, min(least * 2.0 ** min(self.lost, 32), MOST_BETWEEN))


@dataclass(slots=True)
class Latency:
    speeds: Speeds = field(default_factory=Speeds)

    def way(self) -> tuple[Way, str]:
        if (way := self.speeds.warming()) is not None:
            return way, "measured" if way == CLOUD else ""
        slowdown = self.speeds.slowdown()
        if slowdown <= BETTER:
            probes = self.speeds.probes(CLOUD, 1 / slowdown, 1 / BETTER)
            return (CLOUD, "measured") if probes else (SPECULATIVE, "")
        if self.speeds.probes(SPECULATIVE, slowdown, BETTER):
            return SPECULATIVE, ""
        return CLOUD, f"speculation takes {slowdown:.2f} times as long"

    def took(self, way: Way, answer: Answer) -> None:
        self.speeds.took(way, answer)


@dataclass(slots=True)
class Capacity:
    """`saves`: seconds of the far server's computing a token by speculation, against its answering
    alone; None while that is not known."""

    slower_at_most: float
    saves: Callable[[], float | None]
    speeds: Speeds = field(default_factory=Speeds)

    def way(self) -> tuple[Way, str]:
        if (way := self.speeds.warming()) is not None:
            return way, "measured" if way == CLOUD else ""
        slowdown, share = self.speeds.slowdown(), self.saves()
        reason, within = "", None
        if slowdown > self.slower_at_most:
            reason = f"speculation takes {slowdown:.2f} times as long"
            within = self.slower_at_most
        elif share is not None and share >= 1:
            reason = f"speculation costs the far server {share:.2f} times as much"
        if reason:
            probes = self.speeds.probes(SPECULATIVE, slowdown, within)
            return (SPECULATIVE, "") if probes else (CLOUD, reason)
        probes = self.speeds.probes(CLOUD, 1, 1 / self.slower_at_most)
        return (CLOUD, "measured") if probes else (SPECULATIVE, "")

    def took(self, way: Way, answer: Answer) -> None:
        self.speeds.took(way, answer)


POLICIES: Final[Mapping[str, Callable[[float, Callable[[], float | None]], Policy]]] = {
    "latency": lambda slower_at_most, saves: Latency(),
    "capacity": Capacity,
    "always": lambda slower_at_most, saves: Always(),
}
