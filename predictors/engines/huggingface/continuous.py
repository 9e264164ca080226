"""Continuous batching: queries join and leave the running batch at any token.

transformers' manager runs the batch in a thread of its own and samples with one configuration for
all. Its logits processors are the seam where every request may have its own way, so ours chooses
the tokens there (`sampling.Sampler`) and hands the manager scores whose maximum is the chosen
token. That gives each query its penalty, seed and telemetry, which the manager alone can't.

It needs batches that are prepared after the last one was sampled, hence no asynchronous batches
and no CUDA graphs; without flash attention the manager would use neither anyway.

A small model's only query runs outside of the batch: see `alone`. Whoever computes there asks the
manager to pause (`apart`): as long as a pass of the batch takes, transformers notes in the model's
configuration that attention is not causal, because the batch has a mask of its own, and a pass
beside it would see tokens that are still to come. While nobody is in the batch there is no pass of
it, and nothing to pause: see `turns`.
"""

import asyncio
import contextlib
import itertools
import logging
import math
import threading
import time
from collections.abc import Iterator, Sequence as Rows
from typing import Any

import torch
from transformers import (
    ContinuousBatchingConfig,
    GenerationConfig,
    LogitsProcessorList,
)
from transformers.generation.continuous_batching import ContinuousBatchingManager
from transformers.generation.continuous_batching.cb_logits_processors import (
    ContinuousBatchingLogitsProcessorList,
)

from predictors.engines.huggingface.alone import generate_alone
from predictors.engines.huggingface.loading import Loaded
from predictors.engines.huggingface.sampling import Sampler
from predictors.engines.huggingface.sequence import Sequence, failed, resolve
from predictors.engines.huggingface.suspects import Breakdown, Suspects
from predictors.engines.huggingface.turns import Turns
from predictors.errors import EngineError, first_line

log = logging.getLogger(__name__)

PAGE_TOKENS = 32
# Prompt tokens computed per step on the CPU; what is longer is split, so that answers which
# are being generated go on meanwhile.
CPU_STEP_TOKENS = 512
JOIN_SECONDS = 10.0
# How long starting the manager again may fail, before only a new process can help.
RECOVERY_SECONDS = 30.0


class NotPaused(EngineError):
    """The batch has ended, or begins: there is nobody who could pause."""


class SequenceSampler(ContinuousBatchingLogitsProcessorList):
    """Chooses every row's token by its own sequence. Lives in the manager's thread, except for
    `sequences` and `suspects`, which the event loop writes: request id -> sequence, and who is
    tried alone."""

    def __init__(self) -> None:
        super().__init__(LogitsProcessorList())
        self.do_processing = True
        self.sequences: dict[str, Sequence] = {}
        self.suspects = Suspects(lambda: bool(self.sequences))
        self._sampler = Sampler()
        self._rows: list[Sequence | None] = []

    def prepare_tensor_args(
        self, requests_in_batch: Rows[Any], arg_storage: torch.Tensor
    ) -> torch.Tensor:
        """Called before each step; the rows of its logits are the requests past their prompt."""
        self._rows = [
            self.sequences.get(request.state.request_id)
            for request in requests_in_batch
            if request.has_new_token
        ]
        return arg_storage

    def __call__(
        self, input_ids: torch.Tensor, scores: torch.Tensor, logits_processor_args: torch.Tensor
    ) -> torch.Tensor:
        """[rows, vocabulary] logits in; out the same shape, 1 at the chosen token, else 0.

        A request whose prompt goes on in the next step has a row too; such rows come last.
        """
        unread = [None] * (scores.shape[0] - len(self._rows))
        tokens = self._sampler.choose(
            scores, [*self._rows, *unread], spreads=not self.suspects.trying
        )
        return torch.zeros_like(scores).scatter_(-1, tokens.unsqueeze(-1), 1.0)


class ContinuousBatches:
    """Runs sequences in one continuous batch; `context` bounds each one's prompt and answer, in
    tokens.

    `cache_tokens` bounds the key-value cache over all queries together; None leaves it to the
    manager, which takes most of the free memory. When the manager's thread dies (out of memory,
    say), a new one starts, with the `cache_tokens` of that moment; the sequence over which it died
    fails, and the others go on where they were. With `alone` set, a sequence stays out of the batch
    while it is the only one.

    `manager` is None before the start and after the end; `sampler.sequences` are in the batch now.
    """

    def __init__(self, model: Loaded, cache_tokens: int | None, batch_size: int) -> None:
        self.context = model.context
        self.alone = False
        self.cache_tokens = cache_tokens
        self.manager: ContinuousBatchingManager | None = None
        self.sampler = SequenceSampler()
        self._model = model
        self._present = 0
        self._turns = Turns()
        self._leave = threading.Event()  # of the sequence that runs alone
        self._batch_size = batch_size
        self._ids = itertools.count()
        self._starting = asyncio.Lock()
        self._failing_since = math.inf
        self._failure = ""
        self._closed = threading.Event()

    async def start(self) -> None:
        """Starts the manager's thread. Raises what transformers raises for a model without
        paged attention."""
        await asyncio.to_thread(self._start)

    async def run(self, sequence: Sequence) -> None:
        """Returns when the sequence has ended; cancelled, its place in the batch is free again.

        Raises EngineError where it failed, or all of its batch together.
        """
        self._present += 1
        self._leave.set()
        try:
            await asyncio.sleep(0)  # the other rows of a request come in this same turn
            if self.alone and self._present == 1 and not self._closed.is_set():
                await self._run_alone(sequence)
            if not sequence.ended:
                await self._run_in_batch(sequence)
        finally:
            self._present -= 1

    async def _run_alone(self, sequence: Sequence) -> None:
        """It may not have ended then, or not have begun: it goes on in the batch."""
        self._leave = threading.Event()
        try:
            await asyncio.to_thread(self._alone, sequence, self._leave)
        except asyncio.CancelledError:
            sequence.cancelled = True
            raise
        except NotPaused:
            return
        except Exception as error:  # out of memory, or anything a model's own code raises
            log.exception("a query failed")
            raise failed(first_line(error)) from error
        if sequence.failure:
            raise failed(sequence.failure)

    def _alone(self, sequence: Sequence, leave: threading.Event) -> None:
        with self.apart():
            generate_alone(self._model, sequence, leave)

    async def ready(self) -> None:
        """Returns once the batch runs. Raises EngineError where it can't be started."""
        await self._running()

    @contextlib.contextmanager
    def apart(self) -> Iterator[None]:
        """The calling thread has the model, and the batch waits; between two such turns of one
        thread it takes a step. Raises NotPaused."""
        manager = self.manager
        if manager is None:
            raise NotPaused("continuous batching doesn't run")
        if self._turns.takes(stopped=not manager.is_running()):
            try:
                yield
            finally:
                self._turns.gives()
            return
        with contextlib.ExitStack() as stack:
            stack.callback(self._turns.resumed)
            pause = manager.pause()
            try:
                stack.enter_context(pause)
            except RuntimeError as error:
                stack.pop_all()
                raise NotPaused(first_line(error)) from error
            self._turns.paused()
            yield

    async def _run_in_batch(self, sequence: Sequence) -> None:
        suspects = self.sampler.suspects
        while not sequence.ended:
            await suspects.cleared()
            try:
                await self._steps(sequence, sequence.max_tokens)
                suspects.all_is_well()
                return
            except Breakdown as breakdown:
                await suspects.try_alone(breakdown, lambda: self._steps(sequence, 1))

    async def _steps(self, sequence: Sequence, tokens: int) -> None:
        """In the batch, until the sequence has ended or has so many tokens more. Raises Breakdown
        where the batch ended before it, EngineError where it failed itself."""
        async with self._turns.in_batch():
            await self._in_batch(sequence, tokens)

    async def _in_batch(self, sequence: Sequence, tokens: int) -> None:
        manager = await self._running()
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        request = f"query-{next(self._ids)}"

        def on_end() -> None:
            if sequence.stopped or sequence.failure:  # the manager knows of end and length only
                manager.cancel_request(request)
            loop.call_soon_threadsafe(resolve, done, sequence.failure)

        sequence.on_end = on_end
        self.sampler.sequences[request] = sequence
        try:
            manager.register_result_handler(request, lambda out: resolve(done, out.error))
            self._submit(manager, request, sequence, tokens)
            await done
        except EngineError as error:
            if sequence.failure or _alive(manager) or self._closed.is_set():
                raise
            raise Breakdown(str(error)) from error
        except BaseException:
            sequence.cancelled = True
            manager.cancel_request(request)
            raise
        finally:
            del self.sampler.sequences[request]
            manager.output_router.result_handlers.pop(request, None)

    async def healthy(self) -> bool:
        """True also where a new manager had to be, and could be, started."""
        try:
            await self._running()
        except EngineError as error:
            log.error("not healthy: %s", error)
            return False
        return True

    def cause_of_death(self) -> str | None:
        failing = time.monotonic() - self._failing_since
        return self._failure if failing >= RECOVERY_SECONDS else None

    async def close(self) -> None:
        self._closed.set()
        self._leave.set()
        await asyncio.to_thread(self._stop)

    def _submit(
        self, manager: ContinuousBatchingManager, request: str, sequence: Sequence, tokens: int
    ) -> None:
        manager.add_request(
            [*sequence.prompt, *sequence.tokens],
            request_id=request,
            max_new_tokens=min(tokens, sequence.max_tokens - len(sequence.tokens)),
            eos_token_id=sorted(self._model.end_tokens) or -1,
        )
        # Asked after the request was queued: a thread that dies later fails what is queued,
        # one that died before would leave it there for ever.
        reason = manager.background_thread_status.can_accept_new_requests()
        if reason:
            raise EngineError(f"continuous batching stopped: {_cause(manager) or reason}")

    async def _running(self) -> ContinuousBatchingManager:
        async with self._starting:
            if self.manager is None or not _alive(self.manager):
                if self._closed.is_set():
                    raise EngineError("the engine is closed")
                if self.manager is not None:
                    cause = _cause(self.manager)
                    log.error("continuous batching died and is started again: %s", cause)
                await self._restart()
            assert self.manager is not None
            return self.manager

    async def _restart(self) -> None:
        try:
            self._leave.set()
            async with self._turns.in_batch():
                await asyncio.to_thread(self._stop)
                await asyncio.to_thread(self._start)
        except Exception as error:  # no memory for a new cache, say
            self._failing_since = min(self._failing_since, time.monotonic())
            self._failure = f"continuous batching can't be started again: {first_line(error)}"
            raise EngineError(self._failure) from error
        self._failing_since = math.inf

    def _start(self) -> None:
        on_gpu = self._model.model.device.type != "cpu"
        blocks = None if self.cache_tokens is None else -(-self.cache_tokens // PAGE_TOKENS)
        manager = self._model.model.init_continuous_batching(
            generation_config=GenerationConfig(
                do_sample=False, eos_token_id=sorted(self._model.end_tokens) or -1
            ),
            continuous_batching_config=ContinuousBatchingConfig(
                page_size=PAGE_TOKENS,
                num_blocks=blocks,
                max_batch_tokens=None if on_gpu else CPU_STEP_TOKENS,
                max_requests_per_batch=self._batch_size,
                use_async_batching=False,
                use_cuda_graph=False,
                auto_switch_to_flash=False,  # would fetch a kernel from the hub
            ),
        )
        manager.logit_processor = self.sampler
        manager.warmup()  # allocates the cache here, where an error is raised and not logged
        # A sequence longer than the cache could never be scheduled, and the manager would break
        # down over it.
        capacity = int(manager.batch_processor.cache.num_blocks) * PAGE_TOKENS
        self.context = min(self._model.context, capacity)
        # A thread inherits whether it is a daemon, and the manager's must be one: an interpreter
        # that ends without `close` would wait for it for ever.
        starter = threading.Thread(target=manager.start, daemon=True)
        starter.start()
        starter.join()
        self.manager = manager

    def _stop(self) -> None:
        manager, self.manager = self.manager, None
        if manager is not None:
            manager.stop(block=True, timeout=JOIN_SECONDS, hard_stop=True)


def _alive(manager: ContinuousBatchingManager) -> bool:
    return manager.background_thread_status.can_accept_new_requests() is None


def _cause(manager: ContinuousBatchingManager) -> Exception | None:
    cause: Exception | None = manager.background_thread_status.fatal_error
    return cause
