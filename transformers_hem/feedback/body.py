"""The bodies of POST /feedback: one feedback, a list, or {"feedback": [...]}."""

import math
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Final, Literal, Self

import orjson
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from predictors.errors import InvalidRequest, PayloadTooLarge, first_fault, known
from transformers_hem.feedback.records import (
    REQUEST_ID_LENGTH,
    YEAR_9999,
    Feedback,
    Preferred,
    key_of,
)
from transformers_hem.serving.clients import client_of

MOST: Final = 1000  # of one request
SCALE: Final = (1.0, 5.0)  # of ratings that name none
_ANSWER: Final = 65_536
_STEP: Final = 1e-6  # seconds: of one request the last counts, in whatever store it is
_VERDICTS: Final = ("thumbs", "rating", "correct", "answer", "preferred")
_WORDS: Final = r"^[^\x00-\x1f\x7f]+$"
_HASH: Final = r"^[0-9a-f]{16}$"  # of a client, as exports have it


class Said(BaseModel):
    """One feedback, as a client sends it. `at` is the client's clock, in seconds since 1970 or as
    ISO 8601; `key` makes it one however often it is sent; `client` who says it, where that is not
    who sends it, or `client_hash`, as the store has it."""

    model_config: ClassVar[ConfigDict] = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False
    )

    request_id: Annotated[str, Field(min_length=1, max_length=REQUEST_ID_LENGTH, pattern=_WORDS)]
    thumbs: Literal["up", "down"] | None = None
    rating: float | None = None
    scale: Annotated[list[float], Field(min_length=2, max_length=2)] | None = None
    correct: bool | None = None
    answer: Annotated[str, Field(min_length=1, max_length=_ANSWER)] | None = None
    preferred: Preferred | None = None
    key: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    at: float | str | None = None
    client: Annotated[str, Field(min_length=1, max_length=256, pattern=_WORDS)] | None = None
    client_hash: Annotated[str, Field(pattern=_HASH)] | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if all(getattr(self, name) is None for name in _VERDICTS):
            raise ValueError(f"says nothing: give one of {', '.join(_VERDICTS)}")
        if self.correct and self.answer is not None:
            raise ValueError("contradicts itself: correct is true, and answer is what is right")
        if self.client is not None and self.client_hash is not None:
            raise ValueError("has a client and a client_hash: give one of them")
        return self

    @model_validator(mode="after")
    def _rating_is_on_its_scale(self) -> Self:
        if self.rating is None:
            if self.scale is not None:
                raise ValueError("has a scale, and no rating")
            return self
        low, high = self.scale or SCALE
        if not low < high or not math.isfinite(high - low):
            raise ValueError(f"scale must be [low, high], not [{low:g}, {high:g}]")
        if not low <= self.rating <= high:
            raise ValueError(
                f"rating {self.rating:g} is not on the scale [{low:g}, {high:g}]; `scale` names "
                "another one"
            )
        return self

    def rated(self) -> float | None:
        low, high = self.scale or SCALE
        return None if self.rating is None else (self.rating - low) / (high - low)


# By pydantic's types of errors, in words for who sends JSON.
_MESSAGES: Final = {
    "string_type": "must be a text",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "string_too_short": "must not be empty",
    "string_pattern_mismatch": "must have no control characters",
    "model_type": "must be an object",
}
_FIELDS_TAKE: Final = {
    "scale": "must be two numbers, [low, high]",
    "at": "must be a time, as 2026-11-29T12:00:00Z or seconds since 1970",
    "client_hash": "must be 16 hexadecimal digits, as exports have them",
}
_SHOWN: Final = 60  # characters of a wrong value
_LIST: Final = TypeAdapter(list[Said])
_FIELDS: Final = tuple(Said.model_fields)


@dataclass(frozen=True, slots=True)
class Arrival:
    """Who sends it, and when. `key` is that of the whole request, by its header. `names`: it may
    say for others, as an admin may."""

    client: str
    origin: str
    now: float
    keeps_text: bool
    key: str = ""
    names: bool = False


def read_body(content: bytes, arrival: Arrival) -> list[Feedback]:
    """Raises InvalidRequest, which names the feedback and its field; PayloadTooLarge."""
    try:
        body = orjson.loads(content or b"null")
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(f"the body is not valid JSON: {error}") from None
    rows = _rows(body)
    if len(rows) > MOST:
        raise PayloadTooLarge(f"{len(rows)} feedbacks in one request; at most {MOST}")
    try:
        said = _LIST.validate_python(rows)
    except ValidationError as error:
        raise InvalidRequest(_fault(error)) from None
    return [_feedback(each, number, arrival) for number, each in enumerate(said)]


def _rows(body: Any) -> list[Any]:
    if isinstance(body, Mapping) and "feedback" in body:
        if others := sorted(body.keys() - {"feedback"}):
            raise InvalidRequest(f"{others[0]!r} is not known beside feedback")
        body = body["feedback"]
    rows = [body] if isinstance(body, Mapping) else body
    if not isinstance(rows, list) or not rows:
        raise InvalidRequest(
            'send {"request_id": ..., "thumbs": "up"}, a list of such objects, or '
            '{"feedback": [...]}'
        )
    return rows


def _fault(error: ValidationError) -> str:
    where, message, value = first_fault(error)
    number, _, field = where.partition(".")
    field = field.partition(".")[0]
    if error.errors()[0]["type"] == "extra_forbidden":
        return f"feedback[{number}]: {field!r} is not known; {known(field, _FIELDS)}"
    at = f"feedback[{number}]{'.' if field else ''}{field}"
    message = _FIELDS_TAKE.get(field) or _MESSAGES.get(error.errors()[0]["type"], message)
    message = message.replace("Input should", "must").replace("String should", "must")
    if not field or message == "is required":
        return f"{at}: {message}"
    return f"{at}: {message}, not {_shown(value)}"


def _shown(value: Any) -> str:
    """As JSON has it; the beginning of what is long."""
    text = orjson.dumps(value).decode()
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _feedback(said: Said, number: int, arrival: Arrival) -> Feedback:
    given, client = said.key, _client(said, number, arrival)
    if given is None and arrival.key:
        given = f"{arrival.key}\0{number}"
    return Feedback(
        key=uuid.uuid4().hex if given is None else key_of(client, given),
        origin=arrival.origin,
        request_id=said.request_id,
        at=arrival.now + number * _STEP,
        client=client,
        said_at=_time(said.at, number),
        thumb_up=None if said.thumbs is None else said.thumbs == "up",
        rating=said.rated(),
        correct=said.correct,
        preferred=said.preferred,
        corrected=said.answer is not None,
        answer=said.answer.replace("\0", "") if said.answer and arrival.keeps_text else None,
    )


def _client(said: Said, number: int, arrival: Arrival) -> str:
    """Raises InvalidRequest."""
    if said.client is None and said.client_hash is None:
        return arrival.client
    if not arrival.names:
        raise InvalidRequest(
            f"feedback[{number}]: 'client{'' if said.client else '_hash'}' is not known, but from "
            "an admin, who may send what others say; leave it out"
        )
    return said.client_hash or client_of({}, name=said.client or "")


def _utc(text: str) -> float:
    """A time without a zone is UTC, wherever the server runs."""
    found = datetime.fromisoformat(text)
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def _time(at: float | str | None, number: int) -> float | None:
    if at is None:
        return None
    try:
        seconds = _utc(at) if isinstance(at, str) else at
    except (ValueError, OverflowError, OSError):
        seconds = math.nan
    if not 0 <= seconds < YEAR_9999:
        raise InvalidRequest(f"feedback[{number}].at: {_FIELDS_TAKE['at']}, not {_shown(at)}")
    return seconds
