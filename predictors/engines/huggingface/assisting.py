"""Assisted generation: a small model in the same process drafts answers, and this one checks them.

Each answer is what the model gives without (see `accepting`, rule coupled), with fewer passes of
it. That is faster while few queries run. Where many do, a pass of the batch gives as many tokens as
there are rows, and drafts would take their room: then all go on in the batch, without.
"""

import asyncio
import itertools
import logging
from typing import Final

from predictors.contract.speculation import (
    MOST_DRAFTED,
    Drawing,
    Round,
    Whole,
    tokenizer_fingerprint,
)
from predictors.engines.huggingface.batching import Batches, start_verifier
from predictors.engines.huggingface.continuous import ContinuousBatches
from predictors.engines.huggingface.drafting import ModelDrafter
from predictors.engines.huggingface.loading import Loaded, load
from predictors.engines.huggingface.sequence import Sequence, failed
from predictors.engines.huggingface.settings import HuggingFaceSettings, ModelSettings
from predictors.engines.huggingface.verifying import Verifier
from predictors.errors import ConfigurationError, EngineError

log = logging.getLogger(__name__)

# As transformers' num_assistant_tokens_schedule "heuristic" has it: more where all were taken.
FIRST: Final = 5
MORE: Final = 2
FEWER: Final = 1
MOST: Final = 24


class Assistant:
    """Runs sequences while they are at most `count`; more run in `batches`. `fixed`: tokens to
    draft in each round; 0: by how many were taken."""

    def __init__(
        self, drafter: ModelDrafter, verifier: Verifier, batches: Batches, count: int, fixed: int
    ) -> None:
        self.drafter = drafter
        self.verifier = verifier
        self._batches = batches
        self._count = count
        self._present = 0
        self._fixed = min(fixed, MOST_DRAFTED)
        self._ids = itertools.count()

    async def run(self, sequence: Sequence) -> None:
        """Until it has ended; what an assistant does not do of it, the batch does. Raises
        EngineError."""
        self._present += 1
        try:
            await asyncio.sleep(0)  # the other rows of a request come in this same turn
            if self._has_place_for(sequence):
                await self._assist(sequence)
            if not sequence.ended:
                await self._batches.run(sequence)
        finally:
            self._present -= 1
        if sequence.failure:
            raise failed(sequence.failure)

    def cause_of_death(self) -> str | None:
        return self.drafter.cause_of_death() or self.verifier.stepper.cause_of_death()

    async def close(self) -> None:
        await self.drafter.close()
        await self.verifier.close()

    def _has_place_for(self, sequence: Sequence) -> bool:
        """The likeliest tokens of each place are not among what a verdict tells."""
        tokens = len(sequence.prompt) + sequence.max_tokens
        told = sequence.query.top_logprobs is None
        return self._present <= self._count and tokens < self.verifier.room and told

    async def _assist(self, sequence: Sequence) -> None:
        """Until it has ended, there are too many, or a round fails."""
        goes_on = isinstance(self._batches, ContinuousBatches)  # a group begins with the prompt
        try:
            await self._rounds(sequence, leaves=goes_on)
        except EngineError as error:
            log.warning("an answer goes on without an assistant: %s", error)
            if not goes_on:
                sequence.restart()

    async def _rounds(self, sequence: Sequence, *, leaves: bool) -> None:
        id = f"answer-{next(self._ids)}"
        drawing = Drawing.of(sequence.sampling, sequence.key, coupled=True)
        self.drafter.begin(id)
        count = self._fixed or FIRST
        try:
            while sequence.running and not (leaves and self._present > self._count):
                tokens = [*sequence.prompt, *sequence.tokens]
                whole = Whole.model_construct(
                    tokens=tokens, prompt=len(sequence.prompt), drawing=drawing
                )
                left = sequence.max_tokens - len(sequence.tokens) - 1
                drafted = (await self.drafter.draft(id, whole, min(count, left))).tokens
                round = Round(id=id, at=len(tokens), draft=drafted, whole=whole)
                verdict = await self.verifier.check(round)
                if not self._fixed:
                    count = _next(count, verdict.accepted == len(drafted))
                read = zip(verdict.tokens, verdict.logprobs, verdict.margins, strict=True)
                for token, logprob, margin in read:
                    sequence.add(token, logprob, margin)
        finally:
            self.drafter.end(id)
            self.verifier.forget(id)


def _next(count: int, all_taken: bool) -> int:
    return min(count + MORE, MOST) if all_taken else max(count - FEWER, 1)


async def start_assistant(
    model: Loaded, batches: Batches, settings: HuggingFaceSettings
) -> Assistant:
    """Raises ConfigurationError where it can't draft for this model, or that can't check drafts."""
    near = await asyncio.to_thread(load, _settings(settings))
    if near.encoder_decoder:
        raise ConfigurationError(
            f"assistant_dir {settings.assistant_dir} can't draft: it is an encoder-decoder"
        )
    if tokenizer_fingerprint(near.tokenizer) != tokenizer_fingerprint(model.tokenizer):
        raise ConfigurationError(
            f"assistant_dir {settings.assistant_dir} has another tokenizer than model_dir "
            f"{settings.model_dir}: it can't draft for it; take a smaller model of the same family"
        )
    count, room = settings.assistant_slots, min(batches.context, settings.verify_tokens)
    verifier = await start_verifier(model, batches, settings.model_dir, count, room)
    drafter = ModelDrafter(near, count, room)
    await drafter.start()
    # Its only query would have the model for itself until it has company.
    if isinstance(batches, ContinuousBatches):
        batches.alone = False
    return Assistant(drafter, verifier, batches, count, settings.assistant_tokens)


def _settings(settings: HuggingFaceSettings) -> ModelSettings:
    """It is small: its weights stay as they are."""
    own = {"model_dir": settings.assistant_dir, "revision": None, "quantization": "none"}
    return settings.model_copy(update=own)
