"""Groups through plain `generate`, for models that transformers can't batch continuously.

Those are models without paged attention: state-space models, some attention of their own. What
waits is taken as one group with left padding; a group runs until its last sequence has ended, and
those that arrive meanwhile form the next one.
"""

import asyncio
import contextlib
import logging
import queue
import threading
import time

import torch
from transformers import (
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    StoppingCriteria,
    StoppingCriteriaList,
)

from predictors.engines.huggingface.loading import Loaded
from predictors.engines.huggingface.sampling import Sampler
from predictors.engines.huggingface.sequence import Sequence, resolve
from predictors.errors import EngineError, first_line

# How long an idle engine waits for more queries after the first: callers that start together
# go together.
LINGER_SECONDS = 0.005
JOIN_SECONDS = 10.0
CLOSED = "the engine is closed"

log = logging.getLogger(__name__)


class _Choose(LogitsProcessor):
    """Chooses each row's token, and returns scores of 1 there, else 0."""

    def __init__(self, group: list[Sequence]) -> None:
        self._group = group
        self._sampler = Sampler()

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        tokens = self._sampler.choose(scores, [s if s.running else None for s in self._group])
        return torch.zeros_like(scores).scatter_(-1, tokens.unsqueeze(-1), 1.0)


class _Stop(StoppingCriteria):
    """Ends the rows whose sequences have ended or were cancelled; the group ends with its last."""

    def __init__(self, group: list[Sequence]) -> None:
        self._group = group

    def __call__(
        self, input_ids: torch.Tensor, scores: torch.Tensor | None, **kwargs: object
    ) -> torch.Tensor:
        ended = [not sequence.running for sequence in self._group]
        return torch.tensor(ended, device=input_ids.device)


@torch.no_grad()
def generate_group(model: Loaded, group: list[Sequence]) -> None:
    """Runs sequences to their ends as one padded batch, in the calling thread."""
    rows, mask = _padded(model, group)
    model.model.generate(
        input_ids=rows,
        attention_mask=mask,
        generation_config=GenerationConfig(
            do_sample=False,
            max_new_tokens=max(sequence.max_tokens for sequence in group),
            pad_token_id=model.pad_token,
            **model.beginning,
        ),
        logits_processor=LogitsProcessorList([_Choose(group)]),
        stopping_criteria=StoppingCriteriaList([_Stop(group)]),
    )


def _padded(model: Loaded, group: list[Sequence]) -> tuple[torch.Tensor, torch.Tensor]:
    """Prompts and their mask, both [rows, longest prompt]. On the left, where the answer goes on
    at the right end; on the right for an encoder, which counts positions from the left."""
    width = max(len(sequence.prompt) for sequence in group)
    rows, mask = [], []
    for sequence in group:
        padding = width - len(sequence.prompt)
        pad, real = [model.pad_token] * padding, [1] * len(sequence.prompt)
        rows.append(sequence.prompt + pad if model.encoder_decoder else pad + sequence.prompt)
        mask.append(real + [0] * padding if model.encoder_decoder else [0] * padding + real)
    device = model.model.device
    return torch.tensor(rows, device=device), torch.tensor(mask, device=device)


class PlainGroups:
    """Runs sequences in groups of at most `batch_size`, one group at a time, in one thread.

    `context` bounds a sequence's prompt and answer, in tokens.
    """

    def __init__(self, model: Loaded, batch_size: int) -> None:
        self.context = model.context
        self._model = model
        self._batch_size = batch_size
        self._waiting: queue.SimpleQueue[Sequence | None] = queue.SimpleQueue()
        self._group: list[Sequence] = []
        self._closed = False
        self._death: str | None = None
        self._thread = threading.Thread(target=self._work, daemon=True, name="generate")

    async def start(self) -> None:
        self._thread.start()

    async def run(self, sequence: Sequence) -> None:
        """Returns when the sequence has ended; cancelled, its row stops counting at once and its
        group goes on without it. Raises EngineError where it failed."""
        if self._closed or self._death:
            raise EngineError(self._death or CLOSED)
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()

        def on_end() -> None:
            loop.call_soon_threadsafe(resolve, done, sequence.failure)

        sequence.on_end = on_end
        self._waiting.put(sequence)
        if self._death:  # the thread ended meanwhile, and looks at nothing any more
            resolve(done, self._death)
        try:
            await done
        except asyncio.CancelledError:
            sequence.cancelled = True
            raise

    async def ready(self) -> None:
        """It always is."""

    def apart(self) -> contextlib.AbstractContextManager[None]:
        """Around a pass of another thread: a group may run beside it."""
        return contextlib.nullcontext()

    async def healthy(self) -> bool:
        """The thread tells its death to who waits before it has ended."""
        return self._death is None and self._thread.is_alive()

    def cause_of_death(self) -> str | None:
        return self._death

    async def close(self) -> None:
        self._closed = True
        self._waiting.put(None)
        _fail(self._group, CLOSED)
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join, JOIN_SECONDS)

    def _work(self) -> None:
        """Runs one group after the other, until `close`."""
        try:
            while (first := self._waiting.get()) is not None:
                self._group = [sequence for sequence in self._take(first) if sequence.running]
                if self._closed:
                    _fail(self._group, CLOSED)
                elif self._group:
                    self._generate(self._group)
        except BaseException as error:  # `sys.exit` in a model's own code, say
            log.exception("the thread that generates has ended")
            self._death = f"the thread that generates has ended: {error!r}"
            waiting = [self._waiting.get_nowait() for _ in range(self._waiting.qsize())]
            _fail([*self._group, *filter(None, waiting)], self._death)

    def _generate(self, group: list[Sequence]) -> None:
        """Where the group breaks down, its halves run again from the start, until those over which
        it did are alone and fail."""
        try:
            generate_group(self._model, group)
        except Exception as error:  # out of memory, or anything a model's own code raises
            left = [sequence for sequence in group if sequence.running]
            log.exception("a group of %d queries failed", len(group))
            if self._closed or len(group) == 1:
                _fail(left, first_line(error))
                return
            for sequence in left:
                sequence.restart()
            half = (len(left) + 1) // 2
            for part in filter(None, (left[:half], left[half:])):
                self._generate(part)

    def _take(self, first: Sequence) -> list[Sequence]:
        group = [first]
        deadline = time.monotonic() + LINGER_SECONDS
        while len(group) < self._batch_size:
            try:
                item = self._waiting.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                break
            if item is None:
                self._waiting.put(None)
                break
            group.append(item)
        return group


def _fail(group: list[Sequence], cause: str) -> None:
    for sequence in group:
        sequence.end(failure=cause)
