"""Answers from a file of recorded ones, and computes nothing: a model that can't run here replayed.

A benchmark sees the recorded text and log-probabilities; latencies are those of reading, and every
answer says `cached`.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

from pydantic import Field

from predictors.contract import (
    Answer,
    Query,
    Sampling,
)
from predictors.engines.base import TextEngine
from predictors.engines.recorded.recordings import Recording, read_recordings
from predictors.errors import ConfigurationError, EngineError
from predictors.settings import EngineSettings

SHOWN_CHARACTERS = 60


class RecordedSettings(EngineSettings):
    recordings: str = Field(description="JSONL file with a query and its text in each row")


class RecordedEngine(TextEngine):
    """A query is looked up by its text and by the parameters that its row has."""

    Settings = RecordedSettings
    _rows: dict[str, list[Recording]]

    async def start(self) -> None:
        self._path = Path(cast(RecordedSettings, self.settings).recordings)
        self._rows = await asyncio.to_thread(_by_query, self._path)

    async def generate(self, queries: Sequence[Query]) -> list[Answer]:
        return [self._answer(query) for query in queries]

    def _answer(self, query: Query) -> Answer:
        begin = time.perf_counter()
        for row in self._rows.get(query.text, ()):
            if row.sampling(query.sampling) == query.sampling:
                return _replayed(row.answer, time.perf_counter() - begin)
        how = "with these parameters" if query.text in self._rows else "at all"
        raise EngineError(f"{self._path} has no answer {how} to {_shown(query.text)}")


def _by_query(path: Path) -> dict[str, list[Recording]]:
    """Raises ConfigurationError where two rows answer the same query with the same parameters."""
    rows: dict[str, list[Recording]] = {}
    for row in read_recordings(path):
        same = rows.setdefault(row.query, [])
        for other in same:
            if row.sampling(Sampling()) == other.sampling(Sampling()):
                raise ConfigurationError(f"{row.where}: the same query as in {other.where}")
        same.append(row)
    return rows


def _replayed(answer: Answer, seconds: float) -> Answer:
    between = None if answer.inter_token_latency is None else 0.0
    return replace(answer, time_to_first_token=seconds, inter_token_latency=between, cached=True)


def _shown(text: str) -> str:
    cut = text if len(text) <= SHOWN_CHARACTERS else f"{text[: SHOWN_CHARACTERS - 3]}..."
    return repr(cut)
