"""Answers from a file of recorded ones: a model that can't run here, replayed.

Nothing is computed. A benchmark sees the recorded text and log-probabilities; latencies are those
of the look-up, and every answer is marked `cached`.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pydantic import Field

from predictors.contract import Answer, Query, Sampling
from predictors.engines.base import EngineSettings, TextEngine
from predictors.engines.recorded.recordings import Recording, read_recordings
from predictors.errors import ConfigurationError, EngineError

SHOWN_CHARACTERS = 60


class RecordedSettings(EngineSettings):
    recordings: str = Field(description="JSONL file with a query and its text in each row")


class RecordedEngine(TextEngine):
    """A query is looked up by its text and by the parameters that its row has."""

    Settings = RecordedSettings

    def __init__(self, settings: RecordedSettings) -> None:
        super().__init__(settings)
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

    def _answer(self, query: Query) -> Answer:
        begin = time.perf_counter()
        for row in self._rows.get(query.text, ()):
            if row.sampling(query.sampling) == query.sampling:
                return replace(
                    row.answer,
                    time_to_first_token=time.perf_counter() - begin,
                    inter_token_latency=None if row.answer.inter_token_latency is None else 0.0,
                    cached=True,
                )
        how = "with these parameters" if query.text in self._rows else "at all"
        cut = len(query.text) > SHOWN_CHARACTERS
        shown = f"{query.text[: SHOWN_CHARACTERS - 3]}..." if cut else query.text
        raise EngineError(f"{self._path} has no answer {how} to {shown!r}")
