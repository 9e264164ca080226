"""What a model thinks of a prompt's own tokens, for `echo`.

A forward pass of its own, between the steps of whatever generates. It goes in parts on a key-value
cache: of a part the logits are in memory, [tokens, vocabulary], never of the whole prompt, and
between two parts the batch has a turn. One thread computes one part after the other, whosever they
are, so that a short prompt waits for a part of a long one and not for its whole. Of prompts that
have several parts, one is computed at a time: there is one cache.
"""

import asyncio
import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import torch
from transformers import DynamicCache

from predictors.contract import Delta, ScoredToken
from predictors.engines.huggingface.continuous import ContinuousBatches, NotPaused
from predictors.engines.huggingface.loading import Loaded
from predictors.engines.huggingface.placing import placed
from predictors.engines.huggingface.plain import PlainGroups
from predictors.engines.huggingface.sampling import Sampler
from predictors.engines.huggingface.sequence import NAN, Sequence, Top, failed
from predictors.errors import ContextTooLong, EngineError, first_line

T = TypeVar("T")

PART_TOKENS: Final = 256
PART_BYTES: Final = 64 * 2**20  # of a part's logits, in FP32
# Of the logits of a whole prompt, for a model that can't go on from a cache.
WHOLE_BYTES: Final = 512 * 2**20


@dataclass(slots=True)
class Scores:
    """Of each token but the first, given those before it: its log-probability in nats, and the
    likeliest tokens at its place."""

    logprobs: list[float] = field(default_factory=list)
    tops: list[Top] = field(default_factory=list)


class PromptScorer:
    """`part` bounds the tokens that are computed at once; None: a prompt is computed as a whole.
    `batches` run the same model."""

    def __init__(
        self, model: Loaded, batches: ContinuousBatches | PlainGroups, part: int | None
    ) -> None:
        self._model = model
        self._batches = batches
        most = (WHOLE_BYTES if part is None else PART_BYTES) // (4 * model.vocabulary)
        self._whole = part is None
        self._part = max(1, min(part or most, most))
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="score")
        self._long = asyncio.Lock()

    async def echo(self, sequence: Sequence) -> Delta:
        """The prompt as the first part of an answer. Where one token follows it, that is chosen,
        too: the pass over the prompt has computed it.

        Raises ContextTooLong, or EngineError where the model fails.
        """
        scores = Scores()
        if sequence.query.top_logprobs is not None:
            await self.score(sequence.prompt, scores, sequence)
        return await self._run(_echoed, sequence, scores)

    async def score(
        self, tokens: list[int], scores: Scores, sequence: Sequence | None = None
    ) -> None:
        """Fills `scores`. Raises as `echo`."""
        if self._whole and len(tokens) > self._part:
            raise ContextTooLong(
                f"the prompt has {len(tokens)} tokens; of this model up to {self._part} are scored"
            )
        parts = self._parts(tokens, scores, sequence)
        async with self._long if len(tokens) > self._part else nullcontext():
            while await self._apart(lambda: next(parts, None)) is not None:
                pass
        if sequence is not None and sequence.failure:
            raise failed(sequence.failure)

    async def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _apart(self, work: Callable[[], T]) -> T:
        """In the thread, while the batch waits; again where that ended before it could wait."""

        def alone() -> T:
            with self._batches.apart():
                return work()

        while True:
            await self._batches.ready()
            with suppress(NotPaused):
                return await self._run(alone)

    async def _run(self, work: Callable[..., T], *arguments: Any) -> T:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._thread, work, *arguments)
        except EngineError:
            raise
        except Exception as error:  # out of memory, or anything a model's own code raises
            raise failed(first_line(error)) from error

    def _parts(self, tokens: list[int], scores: Scores, sequence: Sequence | None) -> Iterator[int]:
        """Computes a part before each yield."""
        alternatives = 0 if sequence is None else sequence.query.top_logprobs or 0
        cache = None
        if len(tokens) > self._part:
            cache = DynamicCache(config=self._model.model.config)
        for begin in range(0, len(tokens), self._part):
            end = min(begin + self._part, len(tokens))
            logits = self._logits(tokens[begin:end], cache)
            _read(logits, tokens[begin + 1 : end + 1], alternatives, scores)
            if end == len(tokens) and sequence is not None and sequence.max_tokens == 1:
                with torch.no_grad():
                    Sampler().choose(logits[-1:], [sequence])
            del logits
            yield end

    @torch.no_grad()
    def _logits(self, tokens: list[int], cache: DynamicCache | None) -> torch.Tensor:
        """[tokens, vocabulary]"""
        network = self._model.model
        ids = torch.tensor([tokens], device=network.device)
        kept = {"use_cache": False} if cache is None else {"past_key_values": cache}
        logits: torch.Tensor = network(input_ids=ids, **kept).logits[0]
        return logits


@torch.no_grad()
def _read(logits: torch.Tensor, targets: list[int], alternatives: int, scores: Scores) -> None:
    """logits: [tokens, vocabulary]; `targets`: the tokens that follow each, the prompt's last has
    none. Raises EngineError for NaN."""
    if not targets:
        return
    logprobs = logits[: len(targets)].float().log_softmax(-1)
    chosen = torch.tensor(targets, device=logits.device).unsqueeze(-1)
    values = logprobs.gather(-1, chosen).squeeze(-1).tolist()
    if any(map(math.isnan, values)):
        raise failed(NAN)
    scores.logprobs += values
    if not alternatives:
        scores.tops += [()] * len(targets)
        return
    likeliest = logprobs.topk(min(alternatives, logprobs.shape[-1]), dim=-1)
    rows = zip(likeliest.indices.tolist(), likeliest.values.tolist(), strict=True)
    scores.tops += [tuple(zip(tokens, those, strict=True)) for tokens, those in rows]


def _echoed(sequence: Sequence, scores: Scores) -> Delta:
    tokenizer = sequence.tokenizer
    text, offsets = placed(sequence.query, sequence.prompt, tokenizer)
    if sequence.query.top_logprobs is None:
        return Delta(text)
    names: dict[int, str] = {}

    def named(token: int) -> str:
        if token not in names:
            names[token] = sequence.named(token)
        return names[token]

    rows = zip(sequence.prompt, [None, *scores.logprobs], [(), *scores.tops], offsets, strict=True)
    tokens = tuple(
        ScoredToken(named(token), logprob, tuple((named(t), value) for t, value in top), offset)
        for token, logprob, top, offset in rows
    )
    return Delta(text, tokens=tokens)
