"""Who answers a chat, why, and what it cost: for headers, and for the object beside the answer."""

from dataclasses import dataclass
from typing import Any, Final

from transformers_hem.gateway.account import Account, Attempt
from transformers_hem.serving.decision import Decision

HEM: Final = "hem"  # the field of the last chunk, and of a whole answer
HEADERS: Final = (
    *("x-hem-route", "x-hem-reason", "x-hem-served-by", "x-hem-score", "x-hem-degraded"),
)


@dataclass(frozen=True, slots=True)
class Served:
    """By `attempt`, one of those in the `account`. `degraded` is why the cloud failed for which the
    edge stands in."""

    decision: Decision
    attempt: Attempt
    account: Account
    degraded: str = ""

    def headers(self) -> dict[str, str]:
        score = self.decision.score
        return {
            "x-hem-route": self.decision.route,
            "x-hem-reason": self.decision.reason,
            "x-hem-served-by": self.attempt.model,
            **({} if score is None else {"x-hem-score": f"{score:.4f}"}),
            **({"x-hem-degraded": self.degraded} if self.degraded else {}),
        }

    def as_json(self) -> dict[str, Any]:
        return {
            "route": self.decision.route,
            "score": self.decision.score,
            "threshold": self.decision.threshold,
            "algorithm": self.decision.algorithm,
            "reason": self.decision.reason,
            "served_by": self.attempt.model,
            **({"degraded": self.degraded} if self.degraded else {}),
            **self.account.as_json(self.attempt),
        }
