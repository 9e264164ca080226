"""What one choice of a completion says: its text, why it ended, or that there is no answer."""

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

import orjson

from predictors.contract.chat import FinishReason
from predictors.errors import Cause
from predictors.upstream.attempt import Declined

Choice: TypeAlias = Mapping[str, Any]

# An answer that ended so is not one: the server gave up (vLLM, SGLang, LMDeploy; DeepSeek; Zhipu).
BROKEN: Final = frozenset({"error", "abort", "insufficient_system_resource", "network_error"})
# Ends by which the server withholds what the model said: OpenAI's and Azure's own (Gemini adds the
# category behind a colon), Gemini's, Anthropic's, Bedrock's and Zhipu's as proxies pass them on.
WITHHELD: Final = frozenset(
    {
        *("content_filter", "content_filtered", "guardrail_intervened", "refusal", "sensitive"),
        *("safety", "recitation", "blocklist", "prohibited_content", "spii"),
    }
)
# Codes of errors that say the same of the question: Azure's, OpenAI's, a predictor's of ours.
WITHHELD_CODES: Final = WITHHELD | {
    *("content_policy_violation", "responsibleaipolicyviolation", "moderation_blocked"),
    str(Cause.DECLINED),
}
UNFINISHED: Final = frozenset({"", "null", "none"})
# Parts of a content that are its text; others are reasoning, references, and the like.
TEXT_PARTS: Final = frozenset({"text", "output_text"})

# Fields of an event, its choice and that one's delta that say nothing beside a piece of text.
ABOUT: Final = frozenset(
    {"id", "object", "created", "model", "choices", "usage", "system_fingerprint", "service_tier"}
)
_PLACE: Final = frozenset(
    {"index", "delta", "text", "finish_reason", "logprobs", "stop_reason", "token_ids"}
)
_SAID: Final = frozenset({"role", "content"})


def piece(event: Any) -> Choice | None:
    """The choice of an event that may have a piece of text and has nothing else, as nearly all do;
    None where it has to be looked at closely."""
    if type(event) is not dict or not ABOUT.issuperset(event) or event.get("usage"):
        return None
    choices = event.get("choices")
    if type(choices) is not list or len(choices) != 1 or event.get("object") == "error":
        return None
    choice = choices[0]
    if type(choice) is not dict or not _PLACE.issuperset(choice):
        return None
    if choice.get("finish_reason") is not None or choice.get("logprobs"):
        return None
    delta = choice.get("delta")
    if delta is not None and not (type(delta) is dict and _SAID.issuperset(delta)):
        return None
    return choice


def first_choice(response: Any) -> Choice | None:
    """None where there is none, as in a stream's event of usage alone, or its ping.

    Raises ValueError for an error and for what is not a completion, Declined where the server
    withholds the answer.
    """
    if isinstance(response, list) and len(response) == 1:
        response = response[0]  # Gemini's errors
    if not isinstance(response, dict):
        raise ValueError("not a completion: it is not a JSON object")
    raise_error(response)
    choices = response.get("choices")
    if not isinstance(choices, list) or not choices or choices[0] is None:
        return None
    choice = choices[0]
    if not isinstance(choice, dict):
        raise ValueError("not a completion: its choice is not an object")
    raise_error(choice)
    if reason := finish_reason(choice):
        if reason in BROKEN:
            raise ValueError(f"a completion that ended with {reason!r}")
        if reason.partition(":")[0] in WITHHELD:
            raise Declined(f"finish_reason {reason!r}")
    return choice


def raise_error(body: Mapping[str, Any]) -> None:
    """Of an event, a whole answer or a choice that holds an error. Raises ValueError; Declined."""
    error = body.get("error")
    if isinstance(error, dict) and not any(error.values()):
        error = None
    if not error:
        if body.get("object") != "error" and body.get("type") != "error":
            return
        error = body
    message = error.get("message") or error if isinstance(error, dict) else error
    text = message if isinstance(message, str) else orjson.dumps(message).decode()
    raise Declined(text) if is_withheld(error) else ValueError(f"an error: {text}")


def is_withheld(error: Any) -> bool:
    """Whether an error says that the question's or the answer's content is refused."""
    codes = (error.get("code"), error.get("type")) if isinstance(error, dict) else ()
    return any(str(code).lower() in WITHHELD_CODES for code in codes)


def finish_reason(choice: Choice) -> str:
    """In lower case; empty as long as there is none. SGLang's is an object with a `type`."""
    reason = choice.get("finish_reason")
    if reason is None:
        return ""
    if isinstance(reason, dict):
        reason = reason.get("type", reason)
    text = str(reason).strip().lower()
    return "" if text in UNFINISHED else text


def refusal(choice: Choice) -> str:
    """What the model said instead of an answer; empty where it answered. A stream has it in
    pieces."""
    said = _message(choice).get("refusal")
    return said if isinstance(said, str) else ""


def content_text(content: Any, name: str) -> str:
    """The text of a content: a string, null (all tokens went into reasoning; a stream's first
    event) or parts. Raises ValueError for what is none of them, Declined for a refusal."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if not isinstance(content, list | dict):
        raise ValueError(f"a choice whose {name} is not a string")
    parts = content if isinstance(content, list) else [content]
    return "".join(_part_text(part, name) for part in parts)


def _part_text(part: Any, name: str) -> str:
    if not isinstance(part, dict):
        return content_text(part, name)
    kind = part.get("type", "text")
    if kind == "refusal":
        raise Declined(content_text(part.get("refusal"), name))
    return content_text(part.get("text"), name) if kind in TEXT_PARTS else ""


def ended_by(reason: str) -> FinishReason:
    """A finish_reason (see above) as OpenAI's API has it."""
    if reason in ("length", "max_tokens", "model_length"):
        return "length"
    return "tool_calls" if reason in ("tool_calls", "function_call", "tool_use") else "stop"


def reasoning(choice: Choice) -> str:
    """What the model thought before it answered: DeepSeek's and vLLM's `reasoning_content`, or
    OpenRouter's and newer vLLM's `reasoning`."""
    message = _message(choice)
    said = message.get("reasoning_content") or message.get("reasoning")
    return said if isinstance(said, str) else ""


def tool_calls(choice: Choice) -> tuple[Mapping[str, Any], ...]:
    """Of a whole message, or the pieces of them that an event has."""
    calls = _message(choice).get("tool_calls")
    return (
        tuple(call for call in calls if isinstance(call, dict)) if isinstance(calls, list) else ()
    )


def _message(choice: Choice) -> Mapping[str, Any]:
    message = choice.get("message") or choice.get("delta")
    return message if isinstance(message, dict) else {}
