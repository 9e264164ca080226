"""Chat and completion requests -> queries. Every field is read, or refused by its name."""

from collections import Counter
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Final, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictInt,
    StrictStr,
    ValidationError,
    WithJsonSchema,
)

from predictors.contract.chat import ASSISTANT, Message
from predictors.contract.names import (
    INT32,
    MAX_TOKENS,
    REPETITION_PENALTY,
    SEED,
    STOP,
    TEMPERATURE,
    TOP_P,
)
from predictors.contract.openai.errors import InvalidField
from predictors.contract.openai.fields import (
    ADD_GENERATION_PROMPT,
    CONTINUE_FINAL_MESSAGE,
    OPTIONS,
    RESPONSE_FORMAT,
    asked_options,
)
from predictors.contract.openai.messages import MESSAGES_SCHEMA, last_query, parse_messages
from predictors.contract.query import Query, Sampling, parse_sampling
from predictors.errors import InvalidRequest

Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Token = Annotated[int, Field(strict=True, ge=0, lt=INT32.stop)]  # tokenizers have no others
Penalty = Annotated[float, Field(strict=True, ge=-2, le=2, allow_inf_nan=False)]

MAX_CHOICES: Final = 128


class StreamOptions(BaseModel):
    model_config = ConfigDict(extra="forbid")

    include_usage: Annotated[bool, Field(strict=True)] = False
    include_obfuscation: Annotated[bool, Field(strict=True)] = False  # never: it is allowed not to


class Request(BaseModel):
    """What chats and completions share. A null is as good as absent."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    model: StrictStr
    stream: Annotated[bool | None, Field(strict=True)] = None
    stream_options: StreamOptions | None = None
    n: Annotated[int, Field(strict=True, ge=1, le=MAX_CHOICES)] | None = None
    max_tokens: StrictInt | None = None
    temperature: Number | None = None
    top_p: Number | None = None
    repetition_penalty: Number | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    stop: StrictStr | list[StrictStr] | None = None
    seed: StrictInt | None = None
    logit_bias: dict[str, Number] | None = None
    user: StrictStr | None = None  # who asks: no answer depends on it

    @classmethod
    def parse(cls, body: Any) -> Self:
        """Raises InvalidField, with the path of the first field that is wrong."""
        if not isinstance(body, dict):
            raise InvalidRequest("the body must be a JSON object")
        try:
            request = cls.model_validate(body)
        except ValidationError as error:
            raise _fault(error) from None
        if request.stream_options is not None and not request.stream:
            raise InvalidField("stream_options need stream: true", "stream_options")
        return request

    @property
    def choices(self) -> int:
        return self.n or 1

    @property
    def include_usage(self) -> bool:
        return self.stream_options is not None and self.stream_options.include_usage

    def sampling(self, defaults: Sampling) -> Sampling:
        """Raises InvalidField."""
        names = (MAX_TOKENS, TEMPERATURE, TOP_P, REPETITION_PENALTY, SEED, STOP)
        sampling = defaults
        for name in names:
            value = self._max_tokens() if name == MAX_TOKENS else getattr(self, name)
            if value is None:
                continue
            if name == TOP_P and value == 0:
                value = 1e-6  # OpenAI's range begins at 0: the likeliest token alone
            if name == SEED:
                value = int(value) & (2**63 - 1)  # theirs may be negative
            try:
                sampling = parse_sampling({name: _as_list(value)}, sampling)
            except InvalidRequest as error:
                raise InvalidField(str(error), name) from None
        return replace(
            sampling,
            presence_penalty=self.presence_penalty or 0.0,
            frequency_penalty=self.frequency_penalty or 0.0,
        )

    def _max_tokens(self) -> int | None:
        return self.max_tokens

    def options(self) -> dict[str, Any]:
        """Those that ask for something."""
        return asked_options({name: getattr(self, name, None) for name in OPTIONS})


class ChatRequest(Request):
    messages: Annotated[Any, WithJsonSchema(MESSAGES_SCHEMA)]  # read by parse_messages
    max_completion_tokens: StrictInt | None = None
    logprobs: Annotated[bool | None, Field(strict=True)] = None
    top_logprobs: Annotated[int, Field(strict=True, ge=0, le=20)] | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: StrictStr | dict[str, Any] | None = None
    parallel_tool_calls: Annotated[bool | None, Field(strict=True)] = None
    response_format: dict[str, Any] | None = None
    reasoning_effort: StrictStr | None = None
    verbosity: StrictStr | None = None
    continue_final_message: Annotated[bool | None, Field(strict=True)] = None
    add_generation_prompt: Annotated[bool | None, Field(strict=True)] = None
    # What the caller keeps for itself: nothing of an answer depends on it.
    metadata: dict[str, Any] | None = None
    store: Annotated[bool | None, Field(strict=True)] = None
    safety_identifier: StrictStr | None = None
    prompt_cache_key: StrictStr | None = None
    service_tier: StrictStr | None = None

    def queries(self, defaults: Sampling, *, text_alone: bool = True) -> list[Query]:
        """One for each choice; a seed counts up from choice to choice. `text_alone`: see
        parse_messages. Raises InvalidField."""
        messages = parse_messages(self.messages, text_alone=text_alone)
        if self.top_logprobs is not None and not self.logprobs:
            raise InvalidField("top_logprobs need logprobs: true", "top_logprobs")
        if self.store:
            raise InvalidField("store: nothing is stored here", "store")
        self._check_end(messages)
        alone = len(messages) == 1 and messages[0].role == "user" and not messages[0].fields
        query = Query(
            last_query(messages),
            self.sampling(defaults),
            messages=() if alone else messages,
            top_logprobs=(self.top_logprobs or 0) if self.logprobs else None,
            continues=bool(self.continue_final_message),
            options=self.options(),
        )
        return _choices(query, self.choices)

    def _check_end(self, messages: tuple[Message, ...]) -> None:
        """The last message is answered, or goes on where it ends. Raises InvalidField."""
        continues = bool(self.continue_final_message)
        if self.add_generation_prompt is continues:
            raise InvalidField(
                f"{ADD_GENERATION_PROMPT} and {CONTINUE_FINAL_MESSAGE} can't be the same: "
                "an answer begins, or the last message goes on",
                ADD_GENERATION_PROMPT,
            )
        if not continues:
            return
        if messages[-1].role != ASSISTANT or "tool_calls" in messages[-1].fields:
            raise InvalidField(
                f"{CONTINUE_FINAL_MESSAGE}: the last message must be an assistant's text",
                CONTINUE_FINAL_MESSAGE,
            )
        if asked_options({RESPONSE_FORMAT: self.response_format}):
            raise InvalidField(
                f"{CONTINUE_FINAL_MESSAGE}: {RESPONSE_FORMAT} is of whole answers",
                CONTINUE_FINAL_MESSAGE,
            )

    def _max_tokens(self) -> int | None:
        one, other = self.max_completion_tokens, self.max_tokens
        if one is not None and other is not None and one != other:
            raise InvalidField("max_tokens and max_completion_tokens differ", "max_tokens")
        return other if one is None else one


class CompletionRequest(Request):
    prompt: StrictStr | list[StrictStr] | list[Token] | list[list[Token]]
    logprobs: Annotated[int, Field(strict=True, ge=0, le=20)] | None = None
    echo: Annotated[bool | None, Field(strict=True)] = None
    best_of: Annotated[int, Field(strict=True, ge=1)] | None = None
    suffix: StrictStr | None = None

    def queries(self, defaults: Sampling, *, text_alone: bool = True) -> list[Query]:
        """Of each prompt one for each choice, one prompt after the other. With `echo` max_tokens
        may be 0: the prompt alone. Raises InvalidField."""
        if self.suffix:
            raise InvalidField("suffix: no model here fills gaps", "suffix")
        if self.best_of is not None and self.best_of != self.choices:
            raise InvalidField("best_of must be n: all answers are returned", "best_of")
        sampling = self.sampling(defaults)
        if self._prompt_alone:
            sampling = replace(sampling, max_tokens=0)
        prompts = self._prompts()
        queries = [
            Query(
                text,
                sampling,
                raw=True,
                tokens=tokens,
                top_logprobs=self.logprobs,
                echo=bool(self.echo),
                options=self.options(),
            )
            for text, tokens in prompts
        ]
        return [choice for query in queries for choice in _choices(query, self.choices)]

    @property
    def _prompt_alone(self) -> bool:
        return bool(self.echo) and self.max_tokens == 0

    def _max_tokens(self) -> int | None:
        return None if self._prompt_alone else self.max_tokens

    def _prompts(self) -> list[tuple[str, tuple[int, ...]]]:
        given = self.prompt
        if given == "" or given == []:
            raise InvalidField("prompt is empty", "prompt")
        if isinstance(given, str):
            return [(given, ())]
        if isinstance(given[0], int):
            return [("", tuple(given))]
        for index, prompt in enumerate(given):
            if not prompt:
                raise InvalidField(f"prompt[{index}] is empty", f"prompt[{index}]")
        return [(p, ()) if isinstance(p, str) else ("", tuple(p)) for p in given]


def _choices(query: Query, count: int) -> list[Query]:
    seed = query.sampling.seed
    if seed is None or count == 1:
        return [query] * count
    seeds = [(seed + number) & (2**63 - 1) for number in range(count)]
    return [replace(query, sampling=replace(query.sampling, seed=each)) for each in seeds]


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _fault(error: ValidationError) -> InvalidField:
    """The first one; of a union's alternatives the one that says most: the deepest, and there that
    of the alternative with the fewest."""
    faults = error.errors(include_url=False)
    alternatives = Counter(each["loc"][:2] for each in faults)
    fault = max(faults, key=lambda each: (len(each["loc"]), -alternatives[each["loc"][:2]]))
    fault = faults[0] if len({each["loc"][0] for each in faults}) > 1 else fault
    path = _path(fault["loc"])
    if fault["type"] == "extra_forbidden":
        return InvalidField(f"unknown or unsupported field {path!r}", path, "unsupported")
    if fault["type"] == "missing":
        return InvalidField(f"{path} is required", path)
    return InvalidField(f"{path}: {fault['msg'].removeprefix('Value error, ')}", path)


def _path(places: tuple[int | str, ...]) -> str:
    """Without the names of a union's alternatives, which pydantic writes in between."""
    path = ""
    for place in places:
        if isinstance(place, int):
            path += f"[{place}]"
        elif not place.startswith(("list[", "str", "int", "dict[", "constrained-")):
            path += f".{place}" if path else place
        elif not path:
            path = place
    return path
