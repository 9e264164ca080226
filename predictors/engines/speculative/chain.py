"""What is known of a sequence, what is drafted behind it, and which rounds about it are under way.

Nothing here waits: it is told what happened, and says what is left to do.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from predictors.contract.speculation import MOST_DRAFTED, Verdict


class Sure(NamedTuple):
    """A token that is the answer's."""

    token: int
    logprob: float
    margin: float


@dataclass(slots=True, eq=False)
class Flight:
    """A round under way: of `path`, all tokens up to the last drafted one, the first `known` were
    sure when it left, and those from `at` on are its draft. `verdict` came before that of an
    earlier round."""

    known: int
    at: int
    path: list[int]
    verdict: Verdict | None = None

    @property
    def draft(self) -> list[int]:
        return self.path[self.at :]

    @property
    def pending(self) -> list[int]:
        return self.path[self.known : self.at]


@dataclass(slots=True)
class Chain:
    """`known` are all tokens that are sure, the prompt's too; `ahead` the drafted ones behind
    them; `flights` the rounds under way that may still tell something. `taken` and `refused` count
    drafted tokens that were looked at."""

    known: list[int]
    ahead: list[int] = field(default_factory=list)
    flights: list[Flight] = field(default_factory=list)
    taken: int = 0
    refused: int = 0

    @property
    def path(self) -> list[int]:
        return [*self.known, *self.ahead]

    @property
    def unsent(self) -> int:
        """How many of those ahead can leave: those in no round that is under way, as far as a round
        can say what is pending before them."""
        at = self._covered()
        if at - len(self.known) > MOST_DRAFTED:
            return 0
        return min(len(self.known) + len(self.ahead) - at, MOST_DRAFTED)

    def leaves(self, count: int) -> Flight:
        """The next `count` tokens of the unsent ones."""
        at = self._covered()
        return self._flies(Flight(len(self.known), at, self.path[: at + count]))

    def branches(self, path: list[int], at: int) -> Flight:
        """Another way on: its draft begins at `at`."""
        return self._flies(Flight(len(self.known), at, path))

    def lost(self, flight: Flight) -> None:
        """Its verdict will not come."""
        if flight in self.flights:
            self.flights.remove(flight)

    def judged(self, flight: Flight, verdict: Verdict) -> Iterator[Sure]:
        """New sure tokens, one by one, also those of verdicts that came too early. Whoever stops in
        between leaves the rest unread."""
        if flight not in self.flights:
            return
        flight.verdict = verdict
        while (told := self._next()) is not None:
            self.flights.remove(told)
            assert told.verdict is not None
            yield from self._grown(told.at, told.verdict)
            self._drop()

    def _flies(self, flight: Flight) -> Flight:
        self.flights.append(flight)
        return flight

    def _next(self) -> Flight | None:
        """One that was answered, and begins within what is known."""
        for flight in self.flights:
            if flight.verdict is not None and flight.at <= len(self.known):
                return flight
        return None

    def _grown(self, at: int, verdict: Verdict) -> Iterator[Sure]:
        told = list(map(Sure, verdict.tokens, verdict.logprobs, verdict.margins))
        for sure in told[len(self.known) - at :]:
            self.known.append(sure.token)
            if self.ahead and self.ahead[0] == sure.token:
                self.taken += 1
                del self.ahead[0]
            else:
                self.refused += bool(self.ahead)
                self.ahead.clear()
            yield sure

    def _drop(self) -> None:
        """What was built on a refused token; where a branch has the large model's own token, it is
        what goes on."""
        self.flights = [flight for flight in self.flights if self._tells(flight)]
        if not self.ahead and self.flights:
            longest = max(self.flights, key=lambda flight: len(flight.path))
            self.ahead = longest.path[len(self.known) :]

    def _tells(self, flight: Flight) -> bool:
        """Whether its verdict can tell anything new."""
        path, known = flight.path, self.known
        return len(path) >= len(known) and path[: len(known)] == known

    def _covered(self) -> int:
        """Up to where the tokens ahead are in rounds without a gap."""
        path, reach = self.path, len(self.known)
        for flight in sorted(self.flights, key=lambda flight: flight.at):
            end = len(flight.path)
            if flight.at <= reach < end <= len(path) and flight.path == path[:end]:
                reach = end
        return reach
