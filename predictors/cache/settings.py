"""Options of the cache."""

from pathlib import Path
from typing import Final

from pydantic import Field, field_validator

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
    cache_import: str = Field("", description="JSONL file of recorded answers to start with")

    @property
    def path(self) -> Path | None:
        """The file, or None where the cache is off or in memory."""
        return None if self.cache in (OFF, MEMORY) else Path(self.cache).expanduser()

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
