"""What Prometheus sees of the cache, on /metrics beside kserve's own."""

from typing import Literal

from prometheus_client import Counter, Gauge

from predictors.cache.store import Store

Result = Literal["hit", "miss", "joined", "passed"]
Operation = Literal["open", "read", "write"]

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


class CacheMetrics:
    """The metrics of one model's cache."""

    def __init__(self, model_name: str, store: Store) -> None:
        self._model = model_name
        _BYTES.labels(model_name).set_function(lambda: store.size)
        _ENTRIES.labels(model_name).set_function(lambda: store.entries)

    def count(self, result: Result, queries: int) -> None:
        _QUERIES.labels(self._model, result).inc(queries)

    def failed(self, operation: Operation) -> None:
        _ERRORS.labels(self._model, operation).inc()
