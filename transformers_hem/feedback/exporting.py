"""Rows to train on, as lines."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Self

import orjson
from sqlalchemy.exc import SQLAlchemyError

from predictors.errors import InvalidRequest, first_line
from transformers_hem.feedback.faults import Unusable
from transformers_hem.feedback.opening import reading_engine
from transformers_hem.feedback.place import Place
from transformers_hem.feedback.reading import Example, examples

_LINES: Final = 200  # of one chunk


@dataclass(frozen=True, slots=True)
class Asked:
    """Feedback that came in [since, until), in seconds since 1970. `both`: rows with a score of
    each side alone, as `hem train` takes them."""

    since: float | None = None
    until: float | None = None
    both: bool = False

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Self:
        """Raises InvalidRequest."""
        if others := sorted(query.keys() - {"since", "until", "both"}):
            raise InvalidRequest(f"{others[0]!r} is not known; known: both, since, until")
        times = {name: _seconds(name, query[name]) for name in ("since", "until") if name in query}
        return cls(**times, both=query.get("both", "") in ("1", "true"))

    def wants(self, example: Example) -> bool:
        edge, cloud = example.scores
        if self.both:
            return edge is not None and cloud is not None
        return edge is not None or cloud is not None or bool(example.feedback.signal)


def exported(place: Place, asked: Asked) -> Iterator[bytes]:
    """Some lines at a time. Raises HEMError as it goes."""
    engine = reading_engine(place)
    try:
        with engine.connect() as connection:
            lines: list[bytes] = []
            for example in examples(connection, asked.since, asked.until):
                if asked.wants(example):
                    lines.append(orjson.dumps(example.as_json(), option=orjson.OPT_APPEND_NEWLINE))
                if len(lines) == _LINES:
                    yield b"".join(lines)
                    lines.clear()
            if lines:
                yield b"".join(lines)
    except SQLAlchemyError as error:
        raise Unusable(f"the store {place.shown}: {_why(error)}") from None
    finally:
        engine.dispose()


def _why(error: SQLAlchemyError) -> str:
    return first_line(getattr(error, "orig", None) or error)


def _seconds(name: str, text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not math.isfinite(seconds):
        raise InvalidRequest(f"{name} must be seconds since 1970, not {text!r:.40}")
    return seconds
