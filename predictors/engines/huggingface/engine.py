"""The Engine: queries in, answers out.

torch and transformers are imported when the engine starts: a broken model directory is then
reported before the seconds that their import takes, and before any server runs.
"""

import asyncio
from collections.abc import Sequence as Rows
from typing import TYPE_CHECKING, ClassVar

from predictors.contract import Answer, Query
from predictors.engines.base import TextEngine
from predictors.engines.checkpoint import (
    check,
    is_local,
    resolve,
)
from predictors.engines.huggingface.sequence import Sequence
from predictors.engines.huggingface.settings import HuggingFaceSettings
from predictors.engines.side_by_side import side_by_side
from predictors.settings import EngineSettings

if TYPE_CHECKING:
    from predictors.engines.huggingface.batching import Batches
    from predictors.engines.huggingface.loading import Loaded

# Below it the threads of one operation wait for each other longer than they compute: at 0.9 and
# 3.3 million parameters two threads answer 16 callers at half and two thirds of one's rate.
ONE_THREAD_PARAMETERS = 10_000_000


class HuggingFaceEngine(TextEngine):
    """A model of transformers that generates text, on the GPU where there is one.

    Raises ConfigurationError where a model directory on this machine is not whole.
    """

    Settings: ClassVar[type[EngineSettings]] = HuggingFaceSettings

    def __init__(self, settings: HuggingFaceSettings) -> None:
        super().__init__(settings)
        self._settings = settings
        self._loaded: Loaded | None = None
        self._batches: Batches | None = None
        if is_local(settings.model_dir):
            check(resolve(settings.model_dir, settings.revision))

    async def start(self) -> None:
        self._loaded = await asyncio.to_thread(self._load)
        from predictors.engines.huggingface.batching import start_batches

        self._batches = await start_batches(self._loaded, self._settings)

    async def generate(self, queries: Rows[Query]) -> list[Answer]:
        model, batches = self._loaded, self._batches
        assert model is not None and batches is not None, "start() comes first"
        sequences = [await Sequence.of(query, model, batches.context) for query in queries]
        await side_by_side(batches.run(sequence) for sequence in sequences)
        return [sequence.answer() for sequence in sequences]

    async def healthy(self) -> bool:
        return self._batches is not None and await self._batches.healthy()

    def cause_of_death(self) -> str | None:
        return self._batches.cause_of_death() if self._batches is not None else None

    async def close(self) -> None:
        if self._batches is not None:
            await self._batches.close()

    def _load(self) -> "Loaded":
        import torch

        from predictors.engines.huggingface.loading import load

        settings = self._settings
        loaded = load(
            settings.model_dir,
            dtype=settings.dtype,
            revision=settings.revision,
            trust_remote_code=settings.trust_remote_code,
            quantization=settings.quantization,
        )
        small = loaded.model.num_parameters() < ONE_THREAD_PARAMETERS
        if settings.threads is not None or small:
            torch.set_num_threads(settings.threads or 1)
        return loaded
