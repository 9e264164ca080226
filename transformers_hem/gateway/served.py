"""Who answers a chat, why, and what it cost: for headers, and for the object beside the answer."""

from dataclasses import dataclass
from typing import Any, Final

from predictors.contract.names import HEM_ROUTE, Scalar
from predictors.upstream.ledger.decision import HEM_GUARDS
from transformers_hem.algorithms.base import Route
from transformers_hem.gateway.attempt import Attempt
from transformers_hem.gateway.chat import Chat

HEM: Final = "hem"  # the field of the last chunk, and of a whole answer
LINK: Final = "link"  # why it degraded, where the edge's engine lost the cloud
HEADERS: Final = (
    *("x-hem-route", "x-hem-reason", "x-hem-served-by", "x-hem-score", "x-hem-degraded"),
)


@dataclass(frozen=True, slots=True)
class Served:
    """`chat` by `attempt`, one of those in its account. `continues` is the side whose answer this
    one goes on with."""

    chat: Chat
    attempt: Attempt
    continues: Route | None = None

    def headers(self) -> dict[str, str]:
        """None as long as nothing is decided."""
        decision, degraded = self.chat.decision, why_degraded(self.chat, self.attempt)
        if decision is None:
            return {}
        return {
            "x-hem-route": decision.route,
            "x-hem-reason": decision.reason,
            "x-hem-served-by": self.attempt.model,
            **({} if decision.score is None else {"x-hem-score": f"{decision.score:.4f}"}),
            **({"x-hem-degraded": degraded} if degraded else {}),
        }

    def decision(self) -> dict[str, Scalar]:
        """As V2's parameters, with this attempt's route; empty as long as nothing is decided."""
        if self.chat.decision is None:
            return {}
        written = {**self.chat.decision.parameters(), HEM_ROUTE: self.attempt.route}
        if verdicts := self.attempt.verdicts:
            written[HEM_GUARDS] = _told(str(written.get(HEM_GUARDS, "")), verdicts)
        return written

    def as_json(self) -> dict[str, Any]:
        decision, degraded = self.chat.decision, why_degraded(self.chat, self.attempt)
        assert decision is not None
        continues = self.continues or self.attempt.continues
        return {
            "route": decision.route,
            "score": decision.score,
            "threshold": decision.threshold,
            "algorithm": decision.algorithm,
            "reason": decision.reason,
            **({"strategy": decision.strategy} if decision.strategy else {}),
            "served_by": self.attempt.model,
            **({"degraded": degraded} if degraded else {}),
            **({"continues": continues} if continues else {}),
            **self.attempt.speculation,
            **self.chat.account.as_json(self.attempt),
        }


def why_degraded(chat: Chat, attempt: Attempt) -> str:
    """In one word, why the edge answered in the cloud's place, or ended its answer; empty where it
    did not."""
    return chat.degraded or (LINK if attempt.stands_in else "")


def _told(decided: str, leaving: str) -> str:
    """Verdicts of guards: those of privacy on what leaves stand for those on the request."""
    names = {each.partition("@")[0] for each in leaving.split() if "@" in each}
    others = [each for each in decided.split() if each.partition("@")[0] not in names]
    return " ".join([leaving, *others])
