"""Calls of models as spans, by OpenTelemetry's conventions for generative AI (v0.1.0 of
semantic-conventions-genai: gen_ai.client.inference; its status is development).

A call with all its retries is one span; its attempts are HTTP spans below it.
"""

from collections.abc import Mapping
from typing import Any, Final

from predictors.contract.usage import Usage
from predictors.tracing.spans import Attributes, Kind, Span, Value, span

CHAT, COMPLETION = "chat", "text_completion"
PROVIDER: Final = "kserve-hem"  # who tells; what stands behind is told by the model's name
FIRST_CHUNK: Final = "gen_ai.response.time_to_first_chunk"


def operation_of(path: str) -> str:
    """Of OpenAI's paths; V2 has one query without roles."""
    return CHAT if path.endswith("/chat/completions") else COMPLETION


def model_call(
    operation: str, model: str, *, remote: bool, streams: bool, more: Attributes | None = None
) -> Span:
    """`remote`: another server computes the answer."""
    about: dict[str, Value] = {
        "gen_ai.operation.name": operation,
        "gen_ai.provider.name": PROVIDER,
        "gen_ai.request.model": model,
        "gen_ai.request.stream": streams,
        **(more or {}),
    }
    return span(f"{operation} {model}", about, Kind.CLIENT if remote else Kind.INTERNAL)


def used(usage: Usage) -> dict[str, Value]:
    told: dict[str, Value] = {
        "gen_ai.usage.input_tokens": usage.prompt_tokens,
        "gen_ai.usage.output_tokens": usage.completion_tokens,
    }
    if usage.cached_tokens:
        told["gen_ai.usage.cache_read.input_tokens"] = usage.cached_tokens
    return told


def decided(parameters: Mapping[str, Any]) -> dict[str, Value]:
    """A decision's `hem_*` parameters as attributes: `hem.route`, `hem.score`, and so on."""
    return {name.replace("_", ".", 1): value for name, value in parameters.items()}
