"""The Engine: queries in, answers out."""

import asyncio
import logging
from collections.abc import Sequence as Rows
from typing import ClassVar, Literal

import torch
from pydantic import Field

from predictors.engines.base import Engine, EngineSettings
from predictors.engines.huggingface.checkpoint import first_line
from predictors.engines.huggingface.continuous import ContinuousBatches
from predictors.engines.huggingface.loading import Loaded, load
from predictors.engines.huggingface.plain import PlainGroups, generate_group
from predictors.engines.huggingface.prompt import encode
from predictors.engines.huggingface.sequence import Sequence
from predictors.errors import ConfigurationError, EngineError
from predictors.protocol import Answer, Query, Sampling

log = logging.getLogger(__name__)

CPU_CACHE_TOKENS = 8192
# The query that every model answers before it is ready, on both paths where it can.
PROBE = Query("1 + 1 =", Sampling(max_tokens=8, temperature=0.0, repetition_penalty=1.0))
# How far (nats) both paths may be apart there: well above rounding, well below what a wrong
# position or mask does.
PROBE_TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 0.2, torch.float16: 0.05}


class HuggingFaceSettings(EngineSettings):
    model_dir: str = Field(
        description="directory in Hugging Face format, hub id, embedded:edge or embedded:cloud"
    )
    revision: str | None = Field(None, description="branch, tag or commit of a hub id")
    trust_remote_code: bool = Field(False, description="run code that comes with the model")
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="auto: the checkpoint's own on a GPU, float32 on the CPU"
    )
    threads: int | None = Field(None, ge=1, description="CPU threads per operation of torch")
    batching: Literal["auto", "continuous", "plain"] = Field(
        "auto", description="plain: in groups; auto: continuous where the model can"
    )
    max_batch_size: int = Field(32, ge=1, description="queries generated at once; others wait")
    kv_cache_tokens: int | None = Field(
        None,
        ge=64,
        description="tokens of all running queries together that the key-value cache of "
        f"continuous batching holds (CPU: {CPU_CACHE_TOKENS}; GPU: what memory is left)",
    )


class HuggingFaceEngine(Engine):
    """A causal language model of transformers, on the GPU where there is one."""

    Settings: ClassVar[type[EngineSettings]] = HuggingFaceSettings

    def __init__(self, settings: HuggingFaceSettings) -> None:
        super().__init__(settings)
        self._settings = settings
        self._loaded: Loaded | None = None
        self._batches: ContinuousBatches | PlainGroups | None = None
        self._context = 0

    async def start(self) -> None:
        self._loaded = await asyncio.to_thread(self._load)
        self._context = self._loaded.context
        try:
            self._batches = await self._start_batches(self._loaded)
        except EngineError as error:
            raise ConfigurationError(f"{self._settings.model_dir} can't answer: {error}") from error

    async def generate(self, queries: Rows[Query]) -> list[Answer]:
        assert self._loaded is not None and self._batches is not None, "start() comes first"
        sequences = [await encode(query, self._loaded, self._context) for query in queries]
        tasks = [asyncio.ensure_future(self._batches.run(sequence)) for sequence in sequences]
        try:
            await asyncio.gather(*tasks)
        except BaseException:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            raise
        return [sequence.answer() for sequence in sequences]

    async def healthy(self) -> bool:
        return self._batches is not None and await self._batches.healthy()

    async def close(self) -> None:
        if self._batches is not None:
            await self._batches.close()

    def _load(self) -> Loaded:
        if self._settings.threads is not None:
            torch.set_num_threads(self._settings.threads)
        return load(
            self._settings.model_dir,
            dtype=self._settings.dtype,
            revision=self._settings.revision,
            trust_remote_code=self._settings.trust_remote_code,
        )

    async def _start_batches(self, model: Loaded) -> ContinuousBatches | PlainGroups:
        if self._settings.batching != "plain":
            why = await self._try_continuous(model)
            if isinstance(why, ContinuousBatches):
                return why
            if self._settings.batching == "continuous":
                raise ConfigurationError(
                    f"{self._settings.model_dir} can't be batched continuously: {why}; "
                    "set batching to auto or plain"
                )
            log.warning("no continuous batching, queries go in groups: %s", why)
        groups = PlainGroups(model, self._settings.max_batch_size)
        await groups.start()
        await groups.run(await encode(PROBE, model, self._context))
        return groups

    async def _try_continuous(self, model: Loaded) -> ContinuousBatches | str:
        """Running, or why this model can't: transformers may refuse it, or compute nonsense for
        a kind of attention that it takes for another."""
        if not model.model.is_backend_compatible():
            return "its attention can't be replaced by the paged one"
        plain = await encode(PROBE, model, self._context)
        await asyncio.to_thread(generate_group, model, [plain])
        batches = ContinuousBatches(model, self._cache_tokens(model), self._settings.max_batch_size)
        probe = await encode(PROBE, model, self._context)
        try:
            await batches.start()
            await batches.run(probe)
        except Exception as error:
            await batches.close()
            return first_line(error)
        if not _agree(plain, probe, PROBE_TOLERANCE[model.model.dtype]):
            await batches.close()
            return "its probabilities there are not those of plain generation"
        self._context = min(self._context, batches.capacity)
        return batches

    def _cache_tokens(self, model: Loaded) -> int | None:
        if self._settings.kv_cache_tokens is None and model.model.device.type == "cpu":
            return CPU_CACHE_TOKENS
        return self._settings.kv_cache_tokens


def _agree(one: Sequence, other: Sequence, tolerance: float) -> bool:
    """Whether both saw the same distributions, up to where a tie was broken differently."""
    for index, (token, logprob) in enumerate(zip(one.tokens, one.logprobs, strict=True)):
        if index == len(other.tokens) or abs(logprob - other.logprobs[index]) > tolerance:
            return False
        if token != other.tokens[index]:
            return True
    return True
