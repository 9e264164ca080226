"""Answers that nobody speculates for: the far server's alone, and the small model's."""

import random
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from predictors.contract import Answer, Delta, Message, Query
from predictors.contract.chat import ASSISTANT
from predictors.contract.names import REPETITION_PENALTY
from predictors.contract.speculation import Drawing, Whole
from predictors.engines.openai_api import OpenAIAPIEngine, OpenAIAPISettings
from predictors.engines.speculative.base import Drafter
from predictors.engines.speculative.settings import SpeculativeSettings
from predictors.upstream.openai.endpoint import Keyed
from predictors.upstream.settings import HTTPUpstreamSettings

if TYPE_CHECKING:
    from predictors.engines.huggingface.sequence import Sequence

BLOCK_TOKENS: Final = 8
OPENAI: Final = "/v1"
# Both kinds of far servers have these fields, and take an empty list for no stop strings.
NOTHING: Final[Mapping[str, Any]] = {
    "stop": [],
    REPETITION_PENALTY: 1.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
}


class FarServer:
    """Answers whole queries by its OpenAI API, as one who calls it directly would get them. It
    streams, as that tells how fast it is."""

    def __init__(self, settings: SpeculativeSettings) -> None:
        names = {**HTTPUpstreamSettings.model_fields, **Keyed.model_fields}
        link = {name: getattr(settings, name) for name in names}
        base = settings.url.removesuffix(OPENAI)
        options = OpenAIAPISettings.model_construct(
            **link,
            url=base + OPENAI,
            top_logprobs=0,
            stream=True,
            repetition_penalty_field=REPETITION_PENALTY,
        )
        self._engine = _Explicit(options)

    async def start(self) -> None:
        await self._engine.start()

    async def close(self) -> None:
        await self._engine.close()

    async def answer(self, query: Query) -> Answer:
        (answer,) = await self._engine.generate([query])
        return answer

    async def stream(self, query: Query) -> AsyncGenerator[Delta]:
        async with aclosing(self._engine.stream(query)) as deltas:
            async for delta in deltas:
                yield delta


class _Explicit(OpenAIAPIEngine):
    """Tells what else would be left out as it changes nothing: the far server's own defaults may be
    others, and nothing is drafted by those."""

    def body(self, query: Query, model: str, *, stream: bool = False) -> dict[str, Any]:
        return {**NOTHING, **super().body(query, model, stream=stream)}


def timed(answer: Answer, tokens: int, seconds: float) -> Answer:
    """With what its server did not tell: it has so many tokens, and took so long; where nothing
    tells when its first one came, all came at once."""
    first = seconds if answer.time_to_first_token is None else answer.time_to_first_token
    between = max(seconds - first, 0.0) / (tokens - 1) if tokens > 1 else None
    return replace(
        answer, completion_tokens=tokens, time_to_first_token=first, inter_token_latency=between
    )


def goes_on(query: Query, text: str, tokens: int) -> Query | None:
    """The same query, of whose answer the `text` of so many tokens is there; None where it is
    whole, or where a text can't be put behind the prompt."""
    if not text:
        return query
    left = query.sampling.max_tokens - tokens
    if left < 1 or query.tokens:
        return None
    sampling = replace(query.sampling, max_tokens=left)
    if query.raw:
        return replace(query, text=query.text + text, sampling=sampling)
    messages = (*query.asked, Message(ASSISTANT, query.begun + text))
    return replace(query, messages=messages, continues=True, sampling=sampling)


async def drafter_alone(sequence: "Sequence", drawing: Drawing, drafter: Drafter) -> None:
    """The small model goes on from the tokens that there are, to the end. Raises EngineError."""
    id = f"{random.getrandbits(96):024x}"
    drafter.begin(id)
    try:
        await drafter.place(id)
        while sequence.running:
            tokens = [*sequence.prompt, *sequence.tokens]
            whole = Whole.model_construct(
                tokens=tokens, prompt=len(sequence.prompt), drawing=drawing
            )
            left = sequence.max_tokens - len(sequence.tokens)
            drafted = await drafter.draft(id, whole, min(BLOCK_TOKENS, left))
            told = zip(drafted.tokens, drafted.logprobs, drafted.margins, strict=True)
            for token, logprob, margin in told:
                sequence.add(token, logprob, margin)
            if not drafted.tokens:  # its room is full
                sequence.end()
    finally:
        drafter.end(id)
