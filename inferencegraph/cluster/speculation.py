"""What an edge tells whose engine drafts, and asks the cloud to check: the strategy `speculative`.
Such a site has no uplink: its calls of the cloud are the edge's own."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

ANSWERS: Final = "hem_speculative_answers_total"  # tells that a predictor is one
DRAFTED: Final = "speculative"  # the way of an answer whose drafts were checked
WAYS: Final = (DRAFTED, "cloud", "edge")


def _sums() -> Any:
    return defaultdict(float)


@dataclass(slots=True)
class Speculation:
    """Sums since the pods started: `answers` and their `tokens` by way, `drafts` of tokens
    (drafted, accepted), `calls` of the cloud, those that `failed` among them, and the `bytes` of
    all. `speaks`: a pod has told."""

    answers: defaultdict[str, float] = field(default_factory=_sums)
    tokens: defaultdict[str, float] = field(default_factory=_sums)
    drafts: defaultdict[str, float] = field(default_factory=_sums)
    rounds: float = 0.0
    passes: float = 0.0
    calls: float = 0.0
    failed: float = 0.0
    bytes: float = 0.0
    speaks: bool = False

    def take(self, name: str, labels: Mapping[str, str], value: float) -> None:
        """One sample of a predictor that is one."""
        self.speaks = True
        match name:
            case "hem_speculative_answers_total":
                self.answers[labels.get("way", "")] += value
            case "hem_speculative_answer_tokens_total":
                self.tokens[labels.get("way", "")] += value
            case "hem_speculative_tokens_total":
                self.drafts[labels.get("kind", "")] += value
            case "hem_speculative_rounds_total":
                self.rounds += value
            case "hem_speculative_passes_total":
                self.passes += value
            case "hem_upstream_attempts_total":
                self.calls += value
            case "hem_upstream_failures_total":
                self.failed += value
            case "hem_upstream_bytes_total":
                self.bytes += value

    def include(self, other: "Speculation") -> None:
        """Adds those of another site."""
        self.speaks |= other.speaks
        for mine, others in (
            (self.answers, other.answers),
            (self.tokens, other.tokens),
            (self.drafts, other.drafts),
        ):
            for key, value in others.items():
                mine[key] += value
        self.rounds += other.rounds
        self.passes += other.passes
        self.calls += other.calls
        self.failed += other.failed
        self.bytes += other.bytes

    @property
    def acceptance(self) -> float | None:
        """Of the drafted tokens, the share that is in the answers."""
        drafted = self.drafts["drafted"]
        return self.drafts["accepted"] / drafted if drafted else None

    @property
    def passes_a_token(self) -> float | None:
        tokens = self.tokens[DRAFTED]
        return self.passes / tokens if tokens else None

    def sentences(self) -> list[str]:
        """For people; none where no edge drafts."""
        if not self.speaks:
            return []
        told = [
            f"answers: {self.answers[DRAFTED]:,.0f} by both, {self.answers['cloud']:,.0f} by the "
            f"cloud alone, {self.answers['edge']:,.0f} by the edge"
        ]
        if self.acceptance is not None:
            passes = self.passes_a_token
            told.append(
                f"drafts: {self.acceptance:.1%} of {self.drafts['drafted']:,.0f} tokens taken, "
                f"{self.rounds:,.0f} rounds"
                + (f", {passes:.2f} cloud passes a token" if passes is not None else "")
            )
        told.append(
            f"calls of the cloud: {self.calls:,.0f}, {self.failed:,.0f} failed, "
            f"{self.bytes:,.0f} bytes"
        )
        return told

    def as_json(self) -> Mapping[str, Any] | None:
        if not self.speaks:
            return None
        return {
            "answers": {way: int(self.answers[way]) for way in WAYS},
            "draftedTokens": int(self.drafts["drafted"]),
            "acceptedTokens": int(self.drafts["accepted"]),
            "acceptance": self.acceptance,
            "rounds": int(self.rounds),
            "cloudPasses": int(self.passes),
            "cloudPassesPerToken": self.passes_a_token,
            "cloudCalls": int(self.calls),
            "failedCalls": int(self.failed),
            "bytes": int(self.bytes),
        }
