"""The response cache, one for all text engines: it stands in front of an engine as an engine.

settings     what `python -m predictors` takes
key          which queries are the same, and of which model
record       an answer as bytes
memory       a store in this process
disk         a store in an SQLite file
flights      callers who ask the same at the same time wait for one computation
engine       the Engine: hits from the store, the rest from the engine behind
metrics      what Prometheus sees
"""

from predictors.cache.engine import with_cache
from predictors.cache.settings import CacheSettings

__all__ = ["CacheSettings", "with_cache"]
