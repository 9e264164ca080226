"""Answers from a file of recorded ones: a model that can't run here, replayed.

Nothing is computed. A benchmark sees the recorded text and log-probabilities; latencies are those
of the look-up or of the replayed stream, and every answer is marked `cached`.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from pathlib import Path

from pydantic import Field

from predictors.contract import Answer, Delta, Query, Sampling
from predictors.contract.chat import finish_of
from predictors.engines.base import EngineSettings, TextEngine
from predictors.engines.recorded.pace import Pace, parts_of
from predictors.engines.recorded.recordings import Recording, read_recordings
from predictors.errors import ConfigurationError, EngineError

SHOWN_CHARACTERS = 60


class RecordedSettings(EngineSettings):
    recordings: str = Field(description="JSONL file with a query and its text in each row")
    tokens_per_second: float | None = Field(
        None,
        gt=0,
        description="speed of streams; the recorded one if not given, and at once where none is",
    )


class RecordedEngine(TextEngine):
    """A query is looked up by its text and by the parameters that its row has."""

    Settings = RecordedSettings

    def __init__(self, settings: RecordedSettings) -> None:
        super().__init__(settings)
        self._tokens_per_second = settings.tokens_per_second
        self._path = Path(settings.recordings)
        self._rows: dict[str, list[Recording]] = {}

    async def start(self) -> None:
        """Raises ConfigurationError where two rows answer the same query with the same parameters,
        or a row is invalid."""
        await asyncio.to_thread(self._read)

    def _read(self) -> None:
        for row in read_recordings(self._path):
            same = self._rows.setdefault(row.query, [])
            for other in same:
                if row.sampling(Sampling()) == other.sampling(Sampling()):
                    raise ConfigurationError(f"{row.where}: the same query as in {other.where}")
            same.append(row)

    async def generate(self, queries: Sequence[Query]) -> list[Answer]:
        return [self._answer(query) for query in queries]

    async def stream(self, query: Query) -> AsyncGenerator[Delta]:
        begin = time.perf_counter()
        recorded = self._recorded(query)
        parts = parts_of(recorded)
        tokens = recorded.completion_tokens or len(parts) or 1
        pace = Pace.of(recorded, self._tokens_per_second)
        first = None
        for number, part in enumerate(parts):
            await pace.wait(begin, number)
            first = first or time.perf_counter()
            yield Delta(part, served_by=recorded.served_by)
        await pace.wait(begin, tokens - 1)
        now = time.perf_counter()
        first = first or now
        answer = replace(
            recorded,
            time_to_first_token=first - begin,
            inter_token_latency=(now - first) / (tokens - 1) if tokens > 1 else None,
            cached=True,
        )
        finish = finish_of(answer, query.sampling.max_tokens)
        yield Delta(finish_reason=finish, answer=answer, served_by=answer.served_by)

    async def whole(self, query: Query) -> list[Delta]:
        """At once, as `generate`."""
        return [delta async for delta in super().stream(query)]

    def _answer(self, query: Query) -> Answer:
        begin = time.perf_counter()
        recorded = self._recorded(query)
        return replace(
            recorded,
            time_to_first_token=time.perf_counter() - begin,
            inter_token_latency=None if recorded.inter_token_latency is None else 0.0,
            cached=True,
        )

    def _recorded(self, query: Query) -> Answer:
        for row in self._rows.get(query.text, ()):
            if row.sampling(query.sampling) == query.sampling:
                return row.answer
        how = "with these parameters" if query.text in self._rows else "at all"
        cut = len(query.text) > SHOWN_CHARACTERS
        shown = f"{query.text[: SHOWN_CHARACTERS - 3]}..." if cut else query.text
        raise EngineError(f"{self._path} has no answer {how} to {shown!r}")
