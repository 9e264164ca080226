"""The Engine that answers from the cache, and from the engine behind it.

Only greedy answers are looked up and kept, unless forced: a sampled one is meant to differ, and a
seed is a promise that not every engine and no API keeps. Whatever happens to the cache, queries
are answered.
"""

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from predictors.cache.disk import DiskStore
from predictors.cache.flights import Answers, Flights, Queries
from predictors.cache.key import answer_key, model_identity
from predictors.cache.memory import MemoryStore
from predictors.cache.metrics import CacheMetrics, Operation
from predictors.cache.record import pack, unpack
from predictors.cache.settings import OFF, CacheSettings
from predictors.cache.store import Store, StoreError
from predictors.contract import (
    Answer,
    Query,
    Sampling,
)
from predictors.contract.tensors import (
    TensorRequest,
    TensorResponse,
    TensorType,
)
from predictors.engines.base import Engine, TensorEngine, TextEngine
from predictors.engines.recorded.recordings import Recording, read_recordings
from predictors.errors import ConfigurationError

log = logging.getLogger("kserve.hem")


def with_cache(
    engine: Engine, settings: CacheSettings, model_name: str, engine_name: str, sampling: Sampling
) -> Engine:
    """`engine`, or an engine that caches its answers, as the settings say.

    `sampling`: how imported answers were made, where their rows don't say. Raises
    ConfigurationError where the settings or the imported file are wrong.
    """
    if settings.cache == OFF:
        if settings.cache_import:
            raise ConfigurationError("--cache_import needs a cache; set --cache memory or a path")
        return engine
    if not isinstance(engine, TextEngine):
        raise ConfigurationError(
            f"--cache {settings.cache}: {engine_name} answers tensors, only text is cached"
        )
    identity = model_identity(model_name, engine_name, engine.settings)
    store = _store(settings, model_name)
    kind = CachedTensorEngine if isinstance(engine, TensorEngine) else CachedEngine
    cached = kind(engine, store, identity, model_name, keep_sampled=settings.cache_sampled)
    if settings.cache_import:
        cached.to_import(read_recordings(Path(settings.cache_import)), sampling)
    return cached


def _store(settings: CacheSettings, model_name: str) -> Store:
    if settings.path is None:
        return MemoryStore(settings.cache_bytes)
    return DiskStore(settings.path, settings.cache_bytes, model_name)


class CachedEngine(TextEngine):
    """In front of `engine`, whose model is `identity`. Raises ConfigurationError where the store
    is another model's."""

    def __init__(
        self,
        engine: TextEngine,
        store: Store,
        identity: bytes,
        model_name: str,
        *,
        keep_sampled: bool = False,
    ) -> None:
        super().__init__(engine.settings)
        self._engine = engine
        self._store = store
        self._identity = identity
        self._keep_sampled = keep_sampled
        self._imported: Answers = {}
        self._metrics = CacheMetrics(model_name, store)
        self._flights = Flights(self._compute)
        self._last_failure = ""
        try:
            store.open()
        except StoreError as error:
            self._failed("open", error)

    def to_import(self, recordings: Iterable[Recording], defaults: Sampling) -> None:
        """Answers to keep at the start. Raises ConfigurationError for one that would never be
        looked up."""
        for recording in recordings:
            query = Query(recording.query, recording.sampling(defaults))
            if not self._caches(query):
                raise ConfigurationError(
                    f"{recording.where}: made with temperature {query.sampling.temperature:g}, "
                    "where only greedy answers are looked up; give its row temperature 0, or set "
                    "cache_sampled"
                )
            self._imported[answer_key(self._identity, query)] = recording.answer

    async def start(self) -> None:
        await self._keep(self._imported)
        self._imported = {}
        await self._engine.start()

    async def generate(self, queries: Sequence[Query]) -> list[Answer]:
        begin = time.perf_counter()
        if not all(self._caches(query) for query in queries):
            self._metrics.count("passed", len(queries))
            return await self._engine.generate(queries)
        keys = [answer_key(self._identity, query) for query in queries]
        hits = await self._look_up(keys, begin)
        missing = {k: q for k, q in zip(keys, queries, strict=True) if k not in hits}
        computed, joined = await self._flights.answers(missing) if missing else ({}, {})
        waited = time.perf_counter() - begin
        shared = {key: unpack(pack(answer), waited) for key, answer in joined.items()}
        self._metrics.count("hit", sum(key in hits for key in keys))
        self._metrics.count("miss", sum(key in computed for key in keys))
        self._metrics.count("joined", sum(key in shared for key in keys))
        found = {**hits, **shared, **computed}
        return [found[key] for key in keys]

    async def healthy(self) -> bool:
        return await self._engine.healthy()

    def cause_of_death(self) -> str | None:
        return self._engine.cause_of_death()

    async def close(self) -> None:
        await self._engine.close()
        await self._store.close()

    def _caches(self, query: Query) -> bool:
        return self._keep_sampled or query.sampling.greedy

    async def _compute(self, queries: Queries) -> Answers:
        answers = await self._engine.generate(list(queries.values()))
        computed = dict(zip(queries, answers, strict=True))
        await self._keep(computed)
        return computed

    async def _look_up(self, keys: Sequence[bytes], begin: float) -> Answers:
        """Latencies count from `begin`, a `time.perf_counter()`."""
        try:
            records = await self._store.read(dict.fromkeys(keys))
            seconds = time.perf_counter() - begin
            hits = {key: unpack(record, seconds) for key, record in records.items()}
        except (StoreError, ValueError) as error:
            self._failed("read", error)
            return {}
        return hits

    async def _keep(self, answers: Mapping[bytes, Answer]) -> None:
        if not answers:
            return
        try:
            await self._store.write({key: pack(answer) for key, answer in answers.items()})
        except StoreError as error:
            self._failed("write", error)
        else:
            self._last_failure = ""

    def _failed(self, operation: Operation, error: Exception) -> None:
        """Counts each, and logs those that the last one didn't say already."""
        self._metrics.failed(operation)
        if str(error) != self._last_failure:
            log.error("going on without the cache: %s", error)
        self._last_failure = str(error)


class CachedTensorEngine(CachedEngine, TensorEngine):
    """In front of an engine that answers tensors too, which are not cached."""

    _engine: "TextAndTensorEngine"

    async def infer(self, request: TensorRequest) -> TensorResponse:
        return await self._engine.infer(request)

    def inputs(self) -> list[TensorType]:
        return self._engine.inputs()

    def outputs(self) -> list[TensorType]:
        return self._engine.outputs()


class TextAndTensorEngine(TextEngine, TensorEngine):
    """What CachedTensorEngine stands in front of; only a type."""
