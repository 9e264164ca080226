"""What one answer's speculation took: rounds, tokens, passes, bytes, time."""

import time
from dataclasses import dataclass, field

from predictors.contract import CLOUD, EDGE
from predictors.contract.answer import Speculation
from predictors.contract.speculation import Verdict
from predictors.upstream.traffic import Link


@dataclass(slots=True)
class Tally:
    """`route`: who answered, at the end; `reason` why, where it was not by speculation alone."""

    route: str
    reason: str = ""
    continues: str = ""
    rounds: int = 0
    drafted: int = 0
    accepted: int = 0
    passes: int = 0
    computing: float = 0.0  # seconds of the verify side
    prompt: float = 0.0  # those of the first round, which computes the prompt
    link: Link = field(default_factory=Link)
    _open: int = 0
    _since: float = 0.0
    _waited: float = 0.0

    def breaks(self, reason: str, *, begun: bool) -> None:
        """The far server failed, and the small model goes on."""
        self.route, self.reason = EDGE, reason
        self.continues = CLOUD if begun else ""

    def left(self, drafted: int) -> None:
        self.rounds += 1
        self.drafted += drafted
        if self._open == 0:
            self._since = time.perf_counter()
        self._open += 1

    def came(self, verdict: Verdict | None) -> None:
        self._open -= 1
        if self._open == 0:
            self._waited += time.perf_counter() - self._since
        if verdict is not None:
            self.passes += verdict.passes
            self.computing += verdict.seconds

    def told(self) -> Speculation:
        waited = self._waited
        if self._open:
            waited += time.perf_counter() - self._since
        return Speculation(
            route=self.route,
            reason=self.reason,
            continues=self.continues,
            draft_rounds=self.rounds,
            drafted_tokens=self.drafted,
            accepted_tokens=self.accepted,
            cloud_passes=self.passes,
            link_bytes_sent=self.link.sent,
            link_bytes_received=self.link.received,
            link_seconds=max(0.0, waited - self.computing),
        )
