"""Rows to train on, as lines."""

import math
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Final, Self

import orjson

from predictors.errors import InvalidRequest
from transformers_hem.feedback.place import Place
from transformers_hem.feedback.reading import Example, examples, reading

_LINES: Final = 200  # of one chunk
_FLAGS: Final = {"1": True, "true": True, "0": False, "false": False}


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
        both = query.get("both", "0")
        if both not in _FLAGS:
            raise InvalidRequest(f"both must be 1 or 0, not {both!r:.40}")
        return cls(**times, both=_FLAGS[both])

    def wants(self, example: Example) -> bool:
        edge, cloud = example.scores
        if self.both:
            return edge is not None and cloud is not None
        return edge is not None or cloud is not None or bool(example.feedback.signal)


def exported(place: Place, asked: Asked) -> Generator[bytes, None, None]:
    """Some lines at a time. Raises HEMError as it goes."""
    with reading(place) as connection:
        lines: list[bytes] = []
        for example in examples(connection, asked.since, asked.until):
            if asked.wants(example):
                lines.append(orjson.dumps(example.as_json(), option=orjson.OPT_APPEND_NEWLINE))
            if len(lines) == _LINES:
                yield b"".join(lines)
                lines.clear()
        if lines:
            yield b"".join(lines)


def _seconds(name: str, text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not math.isfinite(seconds):
        raise InvalidRequest(f"{name} must be seconds since 1970, not {text!r:.40}")
    return seconds
