"""A query and how to generate its answer: reads them out of V2 requests, and writes requests."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final, Literal

from predictors.contract.answer import is_number
from predictors.contract.chat import USER, Message
from predictors.contract.names import (
    CLOUD,
    EDGE,
    HEM_PREFER,
    HEM_PREFIX,
    INT64,
    MAX_TOKENS,
    REPETITION_PENALTY,
    SEED,
    STOP,
    TEMPERATURE,
    TEXT_INPUT,
    TOP_P,
    Scalar,
)
from predictors.errors import InvalidRequest

MAX_MAX_TOKENS: Final = 1_000_000
MAX_STOP_STRINGS: Final = 16
# Engines compute in FP32, where smaller values become 0, or divide a number to infinity.
# A lower temperature than this one (vLLM's _SAMPLING_EPS) always picks the likeliest token.
LOWEST_TEMPERATURE: Final = 1e-5
LOWEST_TOP_P: Final = 1.1754943508222875e-38  # FP32's smallest normal number
# The largest FP16 logit, 65504, divided by it stays within FP32.
LOWEST_REPETITION_PENALTY: Final = 1e-30


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to generate. Defaults are the contract's, the same for every engine.

    temperature 0 is greedy, and so is one below LOWEST_TEMPERATURE; a `top_p` below LOWEST_TOP_P
    keeps the likeliest token alone, as LOWEST_TOP_P does. `stop` strings end the answer and are not
    part of it. The two penalties that are added (OpenAI's, -2 to 2) are not V2's: a token that the
    answer holds n > 0 times loses presence_penalty + n * frequency_penalty of its logit.

    `given` are the V2 parameters that a caller or the operator named, whatever their values:
    another server may lack one, and then a default of ours is not sent to it.
    """

    max_tokens: int = 512
    temperature: float = 0.8
    top_p: float = 0.8
    repetition_penalty: float = 1.05
    stop: tuple[str, ...] = ()
    seed: int | None = None
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    given: frozenset[str] = field(default=frozenset(), compare=False)

    def __post_init__(self) -> None:
        if self.temperature < LOWEST_TEMPERATURE:
            object.__setattr__(self, "temperature", 0.0)
        if self.top_p < LOWEST_TOP_P:
            object.__setattr__(self, "top_p", LOWEST_TOP_P)

    @property
    def greedy(self) -> bool:
        return self.temperature == 0.0

    def is_given(self, name: str) -> bool:
        """Whether somebody named the parameter: what is not the contract's default was named."""
        return name in self.given or getattr(self, name) != getattr(CONTRACT_SAMPLING, name)


CONTRACT_SAMPLING: Final = Sampling()


@dataclass(frozen=True, slots=True)
class Query:
    """One row of a request, or one choice of a chat or a completion.

    `text` is the query, of a conversation its last user message. `messages` is the conversation,
    empty where the text is all of it. A `raw` text goes to the model as it is, without its chat
    template; `tokens` are such a text in the model's own numbers. `top_logprobs` asks for
    log-probabilities of the tokens, and for so many alternatives. `echo` asks for a raw prompt in
    front of its answer, as the first part of a stream, with the log-probabilities of its tokens
    where those of the answer are asked for; then `sampling.max_tokens` may be 0. With `continues`
    the last message, an assistant's, is what there is of the answer: it counts as prompt, and the
    answer is the new text alone. `options` are fields of OpenAI's API that only some engines take:
    tools, tool_choice, response_format and so on.
    """

    text: str
    sampling: Sampling = Sampling()
    messages: tuple[Message, ...] = ()
    raw: bool = False
    tokens: tuple[int, ...] = ()
    top_logprobs: int | None = None
    echo: bool = False
    continues: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def conversation(self) -> tuple[Message, ...]:
        return self.messages or (Message(USER, self.text),)

    @property
    def asked(self) -> tuple[Message, ...]:
        """The conversation without what there is of the answer."""
        return self.conversation[:-1] if self.continues else self.conversation

    @property
    def begun(self) -> str:
        """What there is of the answer."""
        return self.conversation[-1].content if self.continues else ""


def parse_texts(shape: Sequence[int], datatype: str, data: Any) -> list[str]:
    """The N queries of a `text_input` tensor: BYTES, [N] or [N, 1], str or UTF-8 bytes.

    Raises InvalidRequest that names what is wrong.
    """
    if datatype != "BYTES":
        raise InvalidRequest(f"{TEXT_INPUT} must have datatype BYTES, not {datatype!r}")
    if len(shape) not in (1, 2) or (len(shape) == 2 and shape[1] != 1):
        raise InvalidRequest(f"{TEXT_INPUT} must have shape [N] or [N, 1], not {list(shape)}")
    if not isinstance(data, Sequence) or isinstance(data, str | bytes):
        raise InvalidRequest(f"{TEXT_INPUT} has no data")
    rows = [row for item in data for row in (item if isinstance(item, list) else [item])]
    if len(rows) != shape[0]:
        raise InvalidRequest(f"{TEXT_INPUT} has shape {list(shape)} but {len(rows)} elements")
    if not rows:
        raise InvalidRequest(f"{TEXT_INPUT} is empty; send at least one query")
    return [_text(row, index) for index, row in enumerate(rows)]


def _text(row: Any, index: int) -> str:
    if isinstance(row, bytes):
        try:
            row = row.decode()
        except UnicodeDecodeError as error:
            raise InvalidRequest(f"{TEXT_INPUT}[{index}] is not UTF-8: {error.reason}") from None
    if not isinstance(row, str):
        kind = "null" if row is None else type(row).__name__
        raise InvalidRequest(f"{TEXT_INPUT}[{index}] must be a string, not {kind}")
    if not row.strip():
        raise InvalidRequest(f"{TEXT_INPUT}[{index}] is empty")
    if not _is_utf8(row):
        raise InvalidRequest(f"{TEXT_INPUT}[{index}] has a lone surrogate")
    return row


def parse_sampling(parameters: Mapping[str, Any], defaults: Sampling) -> Sampling:
    """Reads generation parameters; those that are missing or null come from `defaults`, others are
    ignored.

    Numbers may be decimal strings, because gRPC parameters can't be floats. Raises InvalidRequest
    that names the parameter, its value and what it may be.
    """
    values = {
        name: _PARSERS[name](name, value)
        for name, value in parameters.items()
        if name in _PARSERS and value is not None
    }
    given = defaults.given | values.keys()
    return replace(defaults, **values, given=given) if values else defaults


def parse_prefer(parameters: Mapping[str, Any]) -> Literal["edge", "cloud"] | None:
    """The caller's `hem_prefer`, or None. Raises InvalidRequest for any other value."""
    prefer = parameters.get(HEM_PREFER)
    if prefer not in (None, EDGE, CLOUD):
        raise InvalidRequest(f"{HEM_PREFER} must be {EDGE!r} or {CLOUD!r}, not {prefer!r}")
    return prefer


def plain_parameters(parameters: Mapping[str, Any]) -> dict[str, Scalar]:
    """As V2 has them: a null is as good as absent, and a list of `stop` strings is a JSON array in
    a string. Raises InvalidRequest for any other list, and for an object."""
    return {name: _plain(name, value) for name, value in parameters.items() if value is not None}


def _plain(name: str, value: Any) -> Scalar:
    if isinstance(value, str | int | float):
        return value
    if name == STOP and isinstance(value, list):
        return json.dumps(value)
    raise InvalidRequest(
        f"parameter {name!r} must be a string, a number or a boolean, not {_shown(value)}"
    )


def hem_parameters(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The `hem_*` parameters of a request, which its response carries back."""
    return {name: value for name, value in parameters.items() if name.startswith(HEM_PREFIX)}


def sampling_parameters(sampling: Sampling) -> dict[str, Scalar]:
    """The inverse of `parse_sampling`, for those who send V2 requests."""
    parameters: dict[str, Scalar] = {
        MAX_TOKENS: sampling.max_tokens,
        TEMPERATURE: sampling.temperature,
        TOP_P: sampling.top_p,
        REPETITION_PENALTY: sampling.repetition_penalty,
    }
    if sampling.stop:
        parameters[STOP] = json.dumps(sampling.stop)
    if sampling.seed is not None:
        parameters[SEED] = sampling.seed
    return parameters


def grpc_scalars(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters for gRPC, where V2 of kserve has neither floats nor integers beyond 64 bits with a
    sign: they travel as decimal strings."""
    return {name: _grpc_scalar(value) for name, value in parameters.items()}


def _grpc_scalar(value: Any) -> Any:
    large = type(value) is int and value not in INT64
    return repr(value) if large or isinstance(value, float) else value


def text_request(
    texts: Sequence[str], parameters: Mapping[str, Scalar] | None = None, id: str | None = None
) -> dict[str, Any]:
    """The V2 JSON request that asks `texts`."""
    tensor = {
        "name": TEXT_INPUT,
        "shape": [len(texts)],
        "datatype": "BYTES",
        "data": list(texts),
    }
    request: dict[str, Any] = {"inputs": [tensor]}
    if id is not None:
        request["id"] = id
    if parameters:
        request["parameters"] = dict(parameters)
    return request


def _integer(name: str, value: Any, low: int, high: int) -> int:
    number = _parsed(int, value) if isinstance(value, str) else value
    if isinstance(number, float) and number.is_integer():
        number = int(number)
    if type(number) is not int or not low <= number <= high:
        raise InvalidRequest(
            f"{name} must be a whole number from {low} to {high}, not {_shown(value)}"
        )
    return number


def _number(name: str, value: Any, low: float, high: float, low_too: bool = False) -> float:
    """Above `low`, or `low` itself with `low_too`, and at most `high`."""
    number = _parsed(float, value) if isinstance(value, str) else value
    if not is_number(number) or not low <= number <= high or (number == low and not low_too):
        above = f"from {low:g} to" if low_too else f"above {low:g} and at most"
        raise InvalidRequest(f"{name} must be a number {above} {high:g}, not {_shown(value)}")
    return float(number)


def _parsed(kind: type[int] | type[float], text: str) -> Any:
    """The number that `text` is, or None."""
    try:
        return kind(text)
    except ValueError:
        return None


def _stop(name: str, value: Any) -> tuple[str, ...]:
    """A string, a list of strings, or a JSON array of them in a string: V2 parameters can't be
    lists."""
    strings: Any = value if isinstance(value, list) else [value]
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            strings = json.loads(value)
        except (ValueError, RecursionError):
            strings = [value]
    if (
        not isinstance(strings, list)
        or len(strings) > MAX_STOP_STRINGS
        or not all(isinstance(string, str) and string and _is_utf8(string) for string in strings)
    ):
        raise InvalidRequest(
            f"{name} must be a string, or a JSON array of up to {MAX_STOP_STRINGS} non-empty "
            f"strings in a string, not {_shown(value)}"
        )
    return tuple(strings)


def _is_utf8(text: str) -> bool:
    """False for a lone surrogate, which JSON can write but no engine can take."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _shown(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else f"{shown[:77]}..."


_PARSERS: Final[Mapping[str, Callable[[str, Any], Any]]] = {
    MAX_TOKENS: partial(_integer, low=1, high=MAX_MAX_TOKENS),
    TEMPERATURE: partial(_number, low=0.0, high=2.0, low_too=True),
    TOP_P: partial(_number, low=0.0, high=1.0),
    REPETITION_PENALTY: partial(_number, low=LOWEST_REPETITION_PENALTY, high=10.0, low_too=True),
    SEED: partial(_integer, low=0, high=2**63 - 1),
    STOP: _stop,
}
SAMPLING: Final = tuple(_PARSERS)  # the names of V2's generation parameters
