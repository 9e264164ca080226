"""The tokens of a call, as a bill counts them."""

from dataclasses import dataclass
from typing import Any

from predictors.contract.answer import is_telemetry


@dataclass(frozen=True, slots=True)
class Usage:
    """`cached_tokens` are those of the `prompt_tokens` that the server kept from another call."""

    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.cached_tokens + other.cached_tokens,
            self.completion_tokens + other.completion_tokens,
        )


def parse_usage(usage: Any) -> Usage | None:
    """Of OpenAI's `usage`; None where it counts no tokens. A usage never fails an answer."""
    if not isinstance(usage, dict):
        return None
    prompt, completion = usage.get("prompt_tokens"), usage.get("completion_tokens")
    if not (is_telemetry("prompt_tokens", prompt) or is_telemetry("completion_tokens", completion)):
        return None
    return Usage(_count(prompt), min(_count(cached_of(usage)), _count(prompt)), _count(completion))


def cached_of(usage: dict[str, Any]) -> int | None:
    """Of OpenAI's `usage`; None where it does not tell."""
    details = usage.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else None
    return _count(cached) if is_telemetry("prompt_tokens", cached) else None


def _count(value: Any) -> int:
    return value if is_telemetry("prompt_tokens", value) else 0
