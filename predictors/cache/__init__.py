"""The response cache, one for all text engines: it stands in front of an engine as an engine.

settings   options of `python -m predictors`, and `with_cache`, which puts the cache in front
engine     the Engine: hits from the store, the rest from the engine behind; metrics
key        which queries are the same, and of which model
flights    callers who ask the same at the same time wait for one computation
store      the seam to stores of records, a record's bytes, a store in memory
disk       a store in an SQLite file

A new store is a subclass of `store.Store` and a line in `with_cache`. What may change an answer
belongs into the key; a change of the key or of a record's bytes is a new `key.FORMAT`.
"""

from predictors.cache.settings import CacheSettings, with_cache

__all__ = ["CacheSettings", "with_cache"]
