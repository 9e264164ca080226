"""What a refusal of an OpenAI-compatible server is about: the content, or fields that it lacks."""

import re
from collections.abc import Callable, Collection
from typing import Any, Final

from predictors.contract.openai.errors import CONTEXT, InvalidField
from predictors.contract.openai.fields import ADD_GENERATION_PROMPT, CONTINUE_FINAL_MESSAGE
from predictors.errors import Cause, ContextTooLong, HEMError, InvalidRequest, UpstreamError
from predictors.upstream.attempt import Refusal
from predictors.upstream.json_body import parse_json
from predictors.upstream.openai.choice import is_withheld
from predictors.upstream.redaction import repeated

# Fields that not every model takes, and that a request may do without or call otherwise.
OPTIONAL: Final = (
    *("max_tokens", "max_completion_tokens", "temperature", "top_p", "seed", "stop"),
    *("logprobs", "top_logprobs", "stream_options", "repetition_penalty", "repeat_penalty"),
)
# What only a request for the rest of an answer has. Servers name one, or both in their message.
CONTINUING: Final = re.compile(rf"\b(?:{CONTINUE_FINAL_MESSAGE}|{ADD_GENERATION_PROMPT})\b")
# 403: OpenAI's, of a model without log-probabilities.
REFUSING: Final = frozenset({400, 403, 422})
LACKING: Final = re.compile(
    r"unsupported|not (?:be )?(?:support|permit|allow|accept|enabled|available)"
    r"|n't (?:support|allow)|cannot (?:be used|both)|unrecogni[sz]ed|unknown|unexpected"
    r"|extra_forbidden|deprecated",
    re.I,
)


class UnsupportedFields(InvalidRequest):
    """The server lacks these fields of the request."""

    def __init__(self, reason: str, names: Collection[str]) -> None:
        super().__init__(reason)
        self.names = frozenset(names)


def told(otherwise: Callable[[Refusal], HEMError]) -> Callable[[Refusal], HEMError]:
    """For HTTPUpstream's `refused`: what a refusal means, by `otherwise` where it is about neither
    content nor fields."""

    def refused(refusal: Refusal) -> HEMError:
        error = _error(refusal.body)
        if is_withheld(error):
            text = f"{refusal.where} declined to answer: {repeated(refusal.reason)}"
            return UpstreamError(text, Cause.DECLINED, answered=refusal.status)
        names = _lacking(refusal, error)
        if names:
            return UnsupportedFields(str(refusal.error()), names)
        return _with_field(otherwise(refusal), error)

    return refused


def _with_field(meant: HEMError, error: Any) -> HEMError:
    """What the caller can mend, with the field that the server names."""
    if type(meant) is not InvalidRequest:
        return meant
    named = error if isinstance(error, dict) else {}
    param, code = named.get("param"), named.get("code")
    if code == CONTEXT:
        return ContextTooLong(str(meant))
    if CONTINUING.search(param if isinstance(param, str) and param else str(meant)):
        param = CONTINUE_FINAL_MESSAGE
    if not isinstance(param, str) or not param:
        return meant
    return InvalidField(str(meant), param, code if isinstance(code, str) else None)


def _error(body: bytes) -> Any:
    """OpenAI's `{"error": {...}}`, which Gemini puts into a list; else the whole."""
    try:
        content = parse_json(body)
    except ValueError:
        return None
    if isinstance(content, list) and len(content) == 1:
        content = content[0]
    return content.get("error", content) if isinstance(content, dict) else None


def _lacking(refusal: Refusal, error: Any) -> list[str]:
    """ "max_tokens is too large" is about a value: no field is lacking."""
    if refusal.status not in REFUSING or not LACKING.search(refusal.reason):
        return []
    named = error.get("param") if isinstance(error, dict) else None
    return [n for n in OPTIONAL if n == named or re.search(rf"\b{n}\b", refusal.reason)]
