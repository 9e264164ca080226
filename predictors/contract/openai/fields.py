"""Fields of OpenAI's requests that only some engines take, and those of answers that are ours."""

from collections.abc import Mapping
from typing import Any, Final

# Of a choice: telemetry of V2, as far as it is of the answer and not of the call.
TELEMETRY_FIELD: Final = "telemetry"
# Of an answer: how it came about.
HEM_FIELD: Final = "hem"
SIGNALS: Final = ("mean_logprob", "min_logprob", "mean_margin")

# Fields of requests; they are passed on as they are.
RESPONSE_FORMAT: Final = "response_format"
LOGIT_BIAS: Final = "logit_bias"
OPTIONS: Final = (
    *("tools", "tool_choice", "parallel_tool_calls", RESPONSE_FORMAT),
    *(LOGIT_BIAS, "reasoning_effort", "verbosity"),
)
# An answer that goes on where the last message ends: vLLM's fields, which say it twice.
CONTINUE_FINAL_MESSAGE: Final = "continue_final_message"
ADD_GENERATION_PROMPT: Final = "add_generation_prompt"
# Values that ask for nothing: clients and frameworks send them.
NEUTRAL: Final[Mapping[str, tuple[Any, ...]]] = {
    "tools": ([],),
    "tool_choice": ("none", "auto"),
    "parallel_tool_calls": (True, False),
    RESPONSE_FORMAT: ({"type": "text"},),
    LOGIT_BIAS: ({},),
}


def asked_options(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a request that ask an engine for something. Where there are tools every field
    that is set counts, because `tool_choice: "none"` has a meaning then."""
    given = {name: fields.get(name) for name in OPTIONS}
    tools = bool(given["tools"])
    return {
        name: value
        for name, value in given.items()
        if value is not None and (tools or value not in NEUTRAL.get(name, ()))
    }
