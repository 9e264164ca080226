"""Whether a query is answered by speculation, or by the far server alone.

`latency`: by whatever was faster of late. The first WARM_UP queries try both, and later a query now
and then tries the other one again: so seldom that the time that this costs stays below PROBE_SHARE.

`capacity`: by speculation as long as it costs the far server less computing a token than answering
alone, as the verify side tells its seconds, and takes no more than `slower_at_most` times as long.

`always`: by speculation.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

from predictors.contract import Answer
from predictors.engines.speculative.speeds import Speed

Way = Literal["speculative", "cloud"]
SPECULATIVE: Final = "speculative"
CLOUD: Final = "cloud"

WARM_UP: Final = 32
WARM_UP_ALONE: Final = 4  # one in so many of them is the far server's: its times differ less
PROBE_SHARE: Final = 0.01  # of all time, for probes
LEAST_BETWEEN: Final = 32  # queries from one probe to the next
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
    """Of both ways. `asked` counts queries since the last probe."""

    speculative: Speed = field(default_factory=Speed)
    cloud: Speed = field(default_factory=Speed)
    queries: int = 0
    asked: int = 0

    def of(self, way: Way) -> Speed:
        return self.speculative if way == SPECULATIVE else self.cloud

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

    def probes(self, slower: float) -> bool:
        """Whether the next query tries the other way, which takes `slower` times as long."""
        self.asked += 1
        loss = max(0.0, slower - 1)
        if self.asked < max(LEAST_BETWEEN, loss / PROBE_SHARE):
            return False
        self.asked = 0
        return True


@dataclass(slots=True)
class Latency:
    speeds: Speeds = field(default_factory=Speeds)

    def way(self) -> tuple[Way, str]:
        if (way := self.speeds.warming()) is not None:
            return way, "measured" if way == CLOUD else ""
        slowdown = self.speeds.slowdown()
        if slowdown <= BETTER:
            return (CLOUD, "measured") if self.speeds.probes(1 / slowdown) else (SPECULATIVE, "")
        if self.speeds.probes(slowdown):
            return SPECULATIVE, ""
        return CLOUD, f"speculation takes {slowdown:.2f} times as long"

    def took(self, way: Way, answer: Answer) -> None:
        self.speeds.of(way).took(answer)


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
        reason = ""
        if slowdown > self.slower_at_most:
            reason = f"speculation takes {slowdown:.2f} times as long"
        elif share is not None and share >= 1:
            reason = f"speculation costs the far server {share:.2f} times as much"
        if reason:
            return (SPECULATIVE, "") if self.speeds.probes(slowdown) else (CLOUD, reason)
        return (CLOUD, "measured") if self.speeds.probes(1) else (SPECULATIVE, "")

    def took(self, way: Way, answer: Answer) -> None:
        self.speeds.of(way).took(answer)


POLICIES: Final[Mapping[str, Callable[[float, Callable[[], float | None]], Policy]]] = {
    "latency": lambda slower_at_most, saves: Latency(),
    "capacity": Capacity,
    "always": lambda slower_at_most, saves: Always(),
}
