"""Options of the cache, and the engine that they make of another."""

from pathlib import Path
from typing import Final

from pydantic import Field, field_validator

from predictors.cache.disk import DiskStore
from predictors.cache.engine import CachedEngine, CachedTensorEngine
from predictors.cache.key import model_identity
from predictors.cache.store import MemoryStore
from predictors.contract import Sampling
from predictors.engines.base import Engine, TensorEngine, TextEngine
from predictors.engines.recorded.recordings import read_recordings
from predictors.errors import ConfigurationError
from predictors.settings import EngineSettings

OFF: Final = "off"
MEMORY: Final = "memory"


class CacheSettings(EngineSettings):
    cache: str = Field(
        OFF, description="off, memory, or the path of a file (with a / in it), one per model"
    )
    cache_bytes: int = Field(
        64 * 1024 * 1024, ge=4096, description="most bytes of answers and keys that are kept"
    )
    cache_sampled: bool = Field(
        False, description="also keep answers that were sampled (temperature above 0)"
    )
    cache_by_tenant: bool = Field(
        True, description="answers of a tenant, as the gateway names it by its token, are its own"
    )
    cache_import: str = Field("", description="JSONL file of recorded answers to start with")

    @field_validator("cache")
    @classmethod
    def _known_place(cls, cache: str) -> str:
        if cache in (OFF, MEMORY):
            return cache
        if "/" not in cache:
            raise ValueError("must be off, memory, or a path with a / in it, such as ./edge.cache")
        path = Path(cache).expanduser()
        if path.is_dir():
            raise ValueError("is a directory; name a file in it, one for each model")
        if not path.parent.is_dir():
            raise ValueError(f"there is no directory {path.parent}")
        return cache


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
    store = (
        MemoryStore(settings.cache_bytes)
        if settings.cache == MEMORY
        else DiskStore(Path(settings.cache).expanduser(), settings.cache_bytes)
    )
    kind = CachedTensorEngine if isinstance(engine, TensorEngine) else CachedEngine
    cached = kind(
        engine,
        store,
        identity,
        model_name,
        keep_sampled=settings.cache_sampled,
        by_tenant=settings.cache_by_tenant,
    )
    if settings.cache_import:
        cached.to_import(read_recordings(Path(settings.cache_import)), sampling)
    return cached
