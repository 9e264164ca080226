"""The two APIs of OpenAI-compatible servers, in what they differ, and a query as a request."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from pydantic import BaseModel, Field

from predictors.contract import Query, Sampling
from predictors.contract.names import REPETITION_PENALTY
from predictors.contract.openai.fields import ADD_GENERATION_PROMPT, CONTINUE_FINAL_MESSAGE
from predictors.errors import InvalidRequest
from predictors.upstream.openai.choice import Choice, content_text

NONE: Final = "none"  # a server without a field for repetition penalties


@dataclass(frozen=True, slots=True)
class API:
    """`prompt(query)` are the fields that hold the query or its conversation,
    `logprobs(alternatives)` those that ask for log-probabilities. `text(choice)` is the text of a
    whole answer, "" where the model gave none, `delta(choice)` that of one event of a stream; they
    raise ValueError, and Declined."""

    path: str
    prompt: Callable[[Query], dict[str, Any]]
    logprobs: Callable[[int], dict[str, Any]]
    text: Callable[[Choice], str]
    delta: Callable[[Choice], str]


def _messages(query: Query) -> dict[str, Any]:
    fields: dict[str, Any] = {"messages": [message.as_json() for message in query.conversation]}
    if query.continues:
        fields |= {CONTINUE_FINAL_MESSAGE: True, ADD_GENERATION_PROMPT: False}
    return fields


def _prompt(query: Query) -> dict[str, Any]:
    """A conversation without a template: its texts, one paragraph each, and what there is of the
    answer right behind them."""
    if query.tokens:
        return {"prompt": list(query.tokens)}
    return {"prompt": "\n\n".join(message.content for message in query.asked) + query.begun}


def _content(choice: Choice, name: str) -> str:
    message = choice.get(name)
    if not isinstance(message, dict):
        raise ValueError(f"a choice without {name}")
    return content_text(message.get("content"), f"{name}.content")


def _delta(choice: Choice) -> str:
    """Events that end a stream, or tell of Azure's filter, have a delta of null, or none."""
    return _content(choice, "delta") if choice.get("delta") else ""


def _completion(choice: Choice) -> str:
    if "text" not in choice:
        raise ValueError("a choice without text")
    return content_text(choice["text"], "text")


CHAT: Final = API(
    path="/chat/completions",
    prompt=_messages,
    logprobs=lambda alternatives: {"logprobs": True, "top_logprobs": alternatives},
    text=lambda choice: _content(choice, "message"),
    delta=_delta,
)
COMPLETIONS: Final = API(
    path="/completions",
    prompt=_prompt,
    logprobs=lambda alternatives: {"logprobs": alternatives},
    text=_completion,
    delta=lambda choice: content_text(choice.get("text"), "text"),
)
APIS: Final[Mapping[str, API]] = {"chat": CHAT, "completions": COMPLETIONS}


class Dialect(BaseModel):
    """In what a server's API differs from OpenAI's; engines have it among their settings."""

    api: Literal["chat", "completions"] = Field(
        "chat", description="chat: the server applies the chat template; completions: raw text"
    )
    repetition_penalty_field: str = Field(
        "",
        description="repetition_penalty, repeat_penalty for llama.cpp, or none for a server that "
        "ignores or lacks it, as Ollama; if empty repetition_penalty, and only where somebody "
        "asks for one, because OpenAI has no such field",
    )
    top_logprobs: int = Field(
        2, ge=0, le=20, description="alternatives to ask for per token; 0: no log-probabilities"
    )
    stream: bool = Field(False, description="stream the answer, to tell its latencies")
    store: Literal["omit", "false"] = Field(
        "omit",
        description="false: each chat tells the server not to store it, by OpenAI's field of that "
        "name, whatever a caller asks for; omit: it is not told",
    )


def request_body(
    query: Query,
    model: str,
    max_tokens_field: str,
    dialect: Dialect,
    extra: Mapping[str, Any],
    *,
    stream: bool = False,
) -> dict[str, Any]:
    """A `raw` query goes to completions, whatever the dialect's API. `stream`: also where the
    dialect does without. `extra` fields stand for others; null takes one away.

    Raises InvalidRequest for a repetition penalty that the server has no field for.
    """
    api, sampling = api_of(query, dialect), query.sampling
    body: dict[str, Any] = {
        "model": model,
        **api.prompt(query),
        max_tokens_field: sampling.max_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        **_repetition_penalty(sampling, dialect.repetition_penalty_field),
        "stop": list(sampling.stop) or None,
        "seed": sampling.seed,
        "presence_penalty": sampling.presence_penalty or None,
        "frequency_penalty": sampling.frequency_penalty or None,
        "echo": query.echo or None,
        **query.options,
    }
    alternatives = max(dialect.top_logprobs, query.top_logprobs or 0)
    if alternatives or query.top_logprobs is not None:
        body.update(api.logprobs(alternatives))
    if dialect.stream or stream:
        body.update(stream=True, stream_options={"include_usage": True})
    if dialect.store == "false" and api is CHAT:
        body["store"] = False
    body.update(extra)
    return {name: value for name, value in body.items() if value is not None}


def api_of(query: Query, dialect: Dialect) -> API:
    return COMPLETIONS if query.raw else APIS[dialect.api]


def _repetition_penalty(sampling: Sampling, field: str) -> dict[str, float]:
    """OpenAI's `frequency_penalty` adds, this one multiplies: the one can't stand for the other."""
    asked, named = sampling.is_given(REPETITION_PENALTY), field not in ("", NONE)
    if sampling.repetition_penalty == 1.0:  # the server's own default may be another
        return {field: 1.0} if asked and named else {}
    if not asked and not named:
        return {}
    if field == NONE:
        raise InvalidRequest(
            f"this model has no repetition_penalty ({sampling.repetition_penalty:g} was asked): "
            "leave it out, or send 1"
        )
    return {field or REPETITION_PENALTY: sampling.repetition_penalty}
