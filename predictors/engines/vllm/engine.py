"""The Engine: queries in, answers out.

vLLM is imported when the engine starts: a broken model directory is then reported before the
seconds that the import takes, and before any server runs.
"""

import asyncio
import itertools
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from importlib.util import find_spec
from typing import TYPE_CHECKING

from predictors.contract import Answer, Delta, Query, Sampling
from predictors.contract.openai.fields import LOGIT_BIAS, RESPONSE_FORMAT
from predictors.engines.base import (
    CONTINUES,
    LOGPROBS,
    MESSAGES,
    PENALTIES,
    RAW,
    TOKENS,
    TextEngine,
)
from predictors.engines.checkpoint import check, is_local, resolve
from predictors.engines.prompt import Prompt, encode
from predictors.engines.side_by_side import in_turns, side_by_side
from predictors.engines.vllm.failures import Failures
from predictors.engines.vllm.settings import VLLMSettings
from predictors.errors import ConfigurationError, EngineError, HEMError

if TYPE_CHECKING:
    from vllm.v1.engine.async_llm import AsyncLLM

if find_spec("vllm") is None:
    raise ModuleNotFoundError("No module named 'vllm'", name="vllm")

# The first query makes vLLM import and compile what it needs; nobody should wait for that.
PROBE = Query("1 + 1 =", Sampling(max_tokens=4))
# vLLM's own default of max_num_seqs on a server GPU.
ROWS_AT_ONCE = 256


class VLLMEngine(TextEngine):
    """A model behind vLLM's asynchronous engine, whose processes end with this one.

    `llm` is None before the start and after the end. The constructor raises ConfigurationError
    where a model directory on this machine is not whole.
    """

    Settings = VLLMSettings
    takes = frozenset(
        {CONTINUES, LOGPROBS, MESSAGES, PENALTIES, RAW, TOKENS, LOGIT_BIAS, RESPONSE_FORMAT}
    )

    def __init__(self, settings: VLLMSettings) -> None:
        super().__init__(settings)
        self._settings = settings
        self.llm: AsyncLLM | None = None
        self._ids = itertools.count()
        self._failures = Failures()
        if settings.speculative_config:  # vLLM knows no biases there
            self.takes = self.takes - {LOGIT_BIAS}
        if is_local(settings.model_dir):
            check(resolve(settings.model_dir, settings.revision))

    async def start(self) -> None:
        self.llm = await asyncio.to_thread(self._load)
        try:
            await self.generate([PROBE])
        except HEMError as error:
            raise ConfigurationError(
                f"model_dir {self._settings.model_dir} can't answer: {error}"
            ) from error

    async def generate(self, queries: Sequence[Query]) -> list[Answer]:
        prompts = await in_turns(map(self._encoded, queries))
        pairs = zip(queries, prompts, strict=True)
        rows = (self._answer(query, prompt) for query, prompt in pairs)
        return await side_by_side(rows, self._settings.max_num_seqs or ROWS_AT_ONCE)

    async def stream(self, query: Query) -> AsyncGenerator[Delta]:
        deltas = self._deltas(query, await self._encoded(query), as_it_comes=True)
        async with aclosing(deltas):
            async for delta in deltas:
                yield delta

    async def whole(self, query: Query) -> list[Delta]:
        return await self._whole(query, await self._encoded(query))

    async def healthy(self) -> bool:
        return self.llm is not None and not self.llm.errored

    def cause_of_death(self) -> str | None:
        if self.llm is None or not self.llm.errored:
            return None
        return f"vLLM has died: {self._failures.cause(self.llm.dead_error)}"

    async def close(self) -> None:
        llm, self.llm = self.llm, None
        if llm is not None:
            if llm.output_handler is not None and not llm.get_num_unfinished_requests():
                llm.output_handler.cancel()  # else it logs the end as a failure
            await asyncio.to_thread(llm.shutdown)
        self._failures.close()

    async def _encoded(self, query: Query) -> Prompt:
        llm = self._started()
        config = llm.model_config
        context, vocabulary = config.max_model_len, config.get_vocab_size()
        return await encode(query, llm.get_tokenizer(), context, vocabulary)

    async def _answer(self, query: Query, prompt: Prompt) -> Answer:
        (delta,) = await self._whole(query, prompt)
        assert delta.answer is not None
        return delta.answer

    async def _whole(self, query: Query, prompt: Prompt) -> list[Delta]:
        deltas = self._deltas(query, prompt, as_it_comes=False)
        async with aclosing(deltas):
            return [delta async for delta in deltas]

    def _deltas(self, query: Query, prompt: Prompt, *, as_it_comes: bool) -> AsyncGenerator[Delta]:
        """Of the answer, bit by bit or in one part, which costs vLLM less."""
        from vllm.sampling_params import RequestOutputKind

        from predictors.engines.vllm.generation import generate
        from predictors.engines.vllm.parameters import sampling_params
        from predictors.engines.vllm.written import Written

        kind = RequestOutputKind.DELTA if as_it_comes else RequestOutputKind.FINAL_ONLY
        telling = self._settings.logprobs or query.top_logprobs is not None
        parameters = sampling_params(query, prompt.max_tokens, kind, telling=telling)
        written = Written(query, len(prompt.tokens), telling=telling)
        request = f"query-{next(self._ids)}"
        return generate(self._started(), prompt, parameters, written, request, self._failures)

    def _load(self) -> "AsyncLLM":
        from predictors.engines.vllm.loading import load

        return load(self._settings, self._failures)

    def _started(self) -> "AsyncLLM":
        if self.llm is None:
            raise EngineError("the engine is closed")
        return self.llm
