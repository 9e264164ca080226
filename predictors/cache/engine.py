"""The Engine that answers from the cache and from the engine behind it, and its metrics.

Only greedy answers are looked up and kept, unless `cache_sampled`: a sampled one is meant to
differ, and a seed is a promise that not every engine and no API keeps. Whatever happens to the
cache, queries are answered.
"""

import logging
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Literal, cast

from prometheus_client import Counter, Gauge

from predictors.cache.flights import Answers, Flights, Queries
from predictors.cache.key import answer_key
from predictors.cache.store import Store, StoreError, pack, unpack
from predictors.contract import EDGE, Answer, Delta, Query, Sampling
from predictors.contract.answer import Speculation
from predictors.contract.chat import finish_of
from predictors.contract.tensors import TensorRequest, TensorResponse, TensorType
from predictors.engines.base import DraftChecker, TensorEngine, TextEngine
from predictors.engines.recorded.recordings import Recording
from predictors.errors import ConfigurationError
from predictors.upstream.ledger.decision import DECISION, forces_cloud
from predictors.upstream.tenant import TENANT

log = logging.getLogger("kserve.hem")

_QUERIES = Counter(
    "hem_cache_queries_total",
    "Queries by result: hit; miss (computed and kept); joined (waited for the same query of "
    "another caller); passed (sampled, so not looked up).",
    ["model_name", "result"],
)
_ERRORS = Counter(
    "hem_cache_errors_total",
    "Operations on the cache that failed; the predictor went on without it.",
    ["model_name", "operation"],
)
_BYTES = Gauge("hem_cache_bytes", "Bytes that the cache holds.", ["model_name"])
_ENTRIES = Gauge("hem_cache_entries", "Answers that the cache holds.", ["model_name"])


class CachedEngine(TextEngine):
    """In front of `engine`, whose model is `identity`. Raises ConfigurationError where the store's
    file is another program's."""

    def __init__(
        self,
        engine: TextEngine,
        store: Store,
        identity: bytes,
        model_name: str,
        *,
        keep_sampled: bool = False,
        by_tenant: bool = True,
    ) -> None:
        super().__init__(engine.settings)
        self.takes = engine.takes
        self.remote = engine.remote
        self.reads_route = engine.reads_route
        self._engine = engine
        self._store = store
        self._identity = identity
        self._keep_sampled = keep_sampled
        self._by_tenant = by_tenant
        self._imported: Answers = {}
        self._everybodys: frozenset[bytes] = frozenset()
        self._model_name = model_name
        for operation in ("open", "read", "write"):
            _ERRORS.labels(model_name, operation)  # a series that is not there yet has no rate
        _BYTES.labels(model_name).set_function(lambda: store.size)
        _ENTRIES.labels(model_name).set_function(lambda: store.entries)
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
        self._everybodys = frozenset(self._imported)

    async def start(self) -> None:
        await self._keep(self._imported)
        self._imported = {}
        await self._engine.start()
        self.takes = self._engine.takes  # some engines know it once they have their model

    async def generate(self, queries: Sequence[Query]) -> list[Answer]:
        begin = time.perf_counter()
        if not all(map(self._caches, queries)):
            self._count("passed", len(queries))
            return await self._engine.generate(queries)
        keys = list(map(self._key, queries))
        hits = await self._look_up(keys, begin)
        missing = {k: q for k, q in zip(keys, queries, strict=True) if k not in hits}
        computed, joined = await self._missing(missing) if missing else ({}, {})
        waited = time.perf_counter() - begin
        shared = {key: _shared(answer, waited) for key, answer in joined.items()}
        for result, answers in (("hit", hits), ("miss", computed), ("joined", shared)):
            self._count(result, sum(key in answers for key in keys))
        answers = {**hits, **shared, **computed}
        return [answers[key] for key in keys]

    async def stream(self, query: Query) -> AsyncGenerator[Delta]:
        """A hit comes as one part."""
        async with aclosing(self._deltas(query, self._engine.stream)) as deltas:
            async for delta in deltas:
                yield delta

    async def whole(self, query: Query) -> list[Delta]:
        async with aclosing(self._deltas(query, self._at_once)) as deltas:
            return [delta async for delta in deltas]

    async def _at_once(self, query: Query) -> AsyncGenerator[Delta]:
        for delta in await self._engine.whole(query):
            yield delta

    async def _deltas(
        self, query: Query, computed: Callable[[Query], AsyncGenerator[Delta]]
    ) -> AsyncGenerator[Delta]:
        """Only an answer that came to its end is kept, and one that is text alone: its tokens,
        reasoning and calls are no part of a record."""
        if not self._caches(query) or query.top_logprobs is not None:
            self._count("passed", 1)
            async with aclosing(computed(query)) as deltas:
                async for delta in deltas:
                    yield delta
            return
        key = self._key(query)
        hits = await self._look_up([key], time.perf_counter())
        self._count("hit" if hits else "miss", 1)
        if answer := hits.get(key):
            finish = finish_of(answer, query.sampling.max_tokens)
            served_by = answer.served_by
            yield Delta(answer.text, finish_reason=finish, answer=answer, served_by=served_by)
            return
        text_alone = True
        async with aclosing(computed(query)) as deltas:
            async for delta in deltas:
                text_alone = text_alone and not (delta.reasoning or delta.tool_calls)
                if delta.answer is not None and text_alone:
                    await self._keep({key: delta.answer})
                yield delta

    async def healthy(self) -> bool:
        return await self._engine.healthy()

    def cause_of_death(self) -> str | None:
        return self._engine.cause_of_death()

    @property
    def draft_checker(self) -> DraftChecker | None:
        """Rounds are not cached: the engine remembers them."""
        return self._engine.draft_checker

    async def close(self) -> None:
        await self._engine.close()
        await self._store.close()

    def _key(self, query: Query) -> bytes:
        """Each tenant has answers of its own, but for those that the operator imported."""
        key = answer_key(self._identity, query)
        name = TENANT.get() if self._by_tenant else ""
        if not name or key in self._everybodys:
            return key
        return answer_key(self._identity, query, name)

    def _caches(self, query: Query) -> bool:
        """An answer of the engine's other model is neither kept nor looked up."""
        if self.reads_route and DECISION.get().get("route") == EDGE:
            return False
        return self._keep_sampled or query.sampling.greedy

    async def _missing(self, queries: Queries) -> tuple[Answers, Answers]:
        """Computed for this caller, and for another one. Who forces the cloud waits for nobody:
        another one's answer may be the small model's in the end."""
        if self.reads_route and forces_cloud():
            return await self._compute(queries), {}
        return await self._flights.answers(queries)

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
        kept = {key: pack(answer) for key, answer in answers.items() if not _stands_in(answer)}
        if not kept:
            return
        try:
            await self._store.write(kept)
        except StoreError as error:
            self._failed("write", error)
        else:
            self._last_failure = ""

    def _count(self, result: str, queries: int) -> None:
        _QUERIES.labels(self._model_name, result).inc(queries)

    def _failed(self, operation: Literal["open", "read", "write"], error: Exception) -> None:
        """Counts each failure, and logs it unless the last one had the same words."""
        _ERRORS.labels(self._model_name, operation).inc()
        if str(error) != self._last_failure:
            log.error("going on without the cache: %s", error)
        self._last_failure = str(error)


class CachedTensorEngine(CachedEngine, TensorEngine):
    """In front of an engine that answers tensors too, which are not cached."""

    async def infer(self, request: TensorRequest) -> TensorResponse:
        return await cast(TensorEngine, self._engine).infer(request)

    def inputs(self) -> list[TensorType]:
        return cast(TensorEngine, self._engine).inputs()

    def outputs(self) -> list[TensorType]:
        return cast(TensorEngine, self._engine).outputs()


def _stands_in(answer: Answer) -> bool:
    """Whether a small model answered where a large one would have."""
    return answer.speculation is not None and answer.speculation.route == EDGE


def _shared(answer: Answer, seconds: float) -> Answer:
    """For a caller who waited so long for another one's: that a small model stands in is told."""
    shared, told = unpack(pack(answer), seconds), answer.speculation
    if told is None or not _stands_in(answer):
        return shared
    said = Speculation(told.route, told.reason, told.continues)
    return replace(shared, speculation=said)
