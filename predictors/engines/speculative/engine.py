"""Query by query, round by round: the small model drafts, the large one checks.

torch and transformers are imported when the engine starts.
"""

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Sequence as Rows
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Final, cast

from predictors.contract import Answer, Delta, Query
from predictors.contract.speculation import (
    MOST_DRAFTED,
    Drawing,
    Likely,
    Round,
    VerifyModel,
    Whole,
    tokenizer_fingerprint,
)
from predictors.engines.base import (
    CONTINUES,
    MESSAGES,
    PENALTIES,
    RAW,
    TOKENS,
    EngineSettings,
    TextEngine,
)
from predictors.engines.checkpoint import check, is_local, resolve
from predictors.engines.side_by_side import in_turns, side_by_side
from predictors.engines.speculative.pace import Pace
from predictors.engines.speculative.settings import SpeculativeSettings
from predictors.engines.speculative.verifier import RemoteVerifier
from predictors.errors import ConfigurationError, UpstreamError

if TYPE_CHECKING:
    from predictors.engines.huggingface.accepting import Drafted
    from predictors.engines.huggingface.drafting import ModelDrafter
    from predictors.engines.huggingface.loading import Loaded
    from predictors.engines.huggingface.sequence import Sequence

AT_ONCE: Final = 256  # rows of a request that are answered side by side


class SpeculativeEngine(TextEngine):
    """The answers are those of the model behind `url`, whatever the one here drafts. Raises
    ConfigurationError where the model's directory is not whole, or a setting of the link is not
    valid."""

    Settings = SpeculativeSettings
    remote = True
    takes = frozenset({CONTINUES, MESSAGES, PENALTIES, RAW, TOKENS})

    def __init__(self, settings: EngineSettings) -> None:
        super().__init__(settings)
        self._settings = cast(SpeculativeSettings, settings)
        self._coupled = self._settings.rule == "coupled"
        if is_local(self._settings.model_dir):
            check(resolve(self._settings.model_dir, self._settings.revision, gguf=True))
        self._far = RemoteVerifier(self._settings.url, self._settings)
        self._pace = Pace(self._settings.draft_tokens)
        self._drafter: ModelDrafter | None = None
        self._model: Loaded | None = None
        self._known: VerifyModel | None = None
        self._learning = asyncio.Lock()

    async def start(self) -> None:
        """The far side may come later: its model is asked for with the first query."""
        from predictors.engines.huggingface.drafting import ModelDrafter
        from predictors.engines.huggingface.loading import load_to_run

        self._model = await asyncio.to_thread(load_to_run, self._settings)
        if self._model.encoder_decoder:
            raise ConfigurationError(
                f"model_dir {self._settings.model_dir} can't draft: it is an encoder-decoder"
            )
        room = min(self._model.context, self._settings.context_tokens)
        self._drafter = ModelDrafter(self._model, self._settings.max_batch_size, room)
        await self._drafter.start()

    async def generate(self, queries: Rows[Query]) -> list[Answer]:
        sequences = await in_turns(self._sequence(query) for query in queries)
        await side_by_side(map(self._run, sequences), AT_ONCE)
        return [sequence.answer() for sequence in sequences]

    async def stream(self, query: Query) -> AsyncGenerator[Delta]:
        from predictors.engines.huggingface.streaming import Written, as_written

        sequence = await self._sequence(query)
        written = Written(sequence, "")
        async with aclosing(as_written(sequence, written, self._run(sequence))) as deltas:
            async for delta in deltas:
                yield delta

    def cause_of_death(self) -> str | None:
        return self._drafter.cause_of_death() if self._drafter is not None else None

    async def close(self) -> None:
        await self._far.close()
        if self._drafter is not None:
            await self._drafter.close()

    async def _sequence(self, query: Query) -> "Sequence":
        from predictors.engines.huggingface.sequence import Sequence

        far = await self._far_model()
        assert self._model is not None, "start() comes first"
        model = replace(self._model, end_tokens=frozenset(far.end_tokens))
        return await Sequence.of(query, model, min(model.context, far.room - 1))

    async def _far_model(self) -> VerifyModel:
        """Raises UpstreamError where it can't be asked, or has another tokenizer."""
        async with self._learning:
            if self._known is None:
                far = await self._far.model()
                assert self._model is not None, "start() comes first"
                if far.tokenizer != tokenizer_fingerprint(self._model.tokenizer):
                    raise UpstreamError(
                        f"the model at {self._far.url} has another tokenizer than "
                        f"{self._settings.model_dir}: one can't check the tokens of the other; "
                        "take models of one family, or route between them"
                    )
                self._known = far
            return self._known

    async def _run(self, sequence: "Sequence") -> None:
        """Until it has ended. Raises HEMError."""
        drafter, far = self._drafter, self._known
        assert drafter is not None and far is not None
        id = f"{random.getrandbits(96):024x}"
        drawing = Drawing.of(sequence.sampling, sequence.key, coupled=self._coupled)
        drafter.begin(id)
        try:
            known = False
            while sequence.running:
                tokens = [*sequence.prompt, *sequence.tokens]
                whole = Whole.model_construct(
                    tokens=tokens,
                    prompt=len(sequence.prompt),
                    drawing=drawing,
                    max_tokens=sequence.max_tokens,
                )
                draft = await self._drafted(id, sequence, whole)
                await self._checked(id, sequence, whole, draft, known)
                known = True
        finally:
            drafter.end(id)

    async def _drafted(self, id: str, sequence: "Sequence", whole: Whole) -> "Drafted":
        assert self._drafter is not None
        left = sequence.max_tokens - len(sequence.tokens) - 1  # the far model's own comes behind
        count = min(self._pace.tokens(), left, MOST_DRAFTED)
        began = time.perf_counter()
        draft = await self._drafter.draft(id, whole, count)
        self._pace.drafted(len(draft.tokens), time.perf_counter() - began)
        return draft

    async def _checked(
        self, id: str, sequence: "Sequence", whole: Whole, draft: "Drafted", known: bool
    ) -> None:
        assert self._known is not None
        round = Round(
            id=id,
            at=len(whole.tokens),
            draft=draft.tokens,
            whole=None if known else whole,
            drawn_from=_drawn_from(draft),
        )
        began = time.perf_counter()
        verdict = await self._far.check(round, whole, self._known.vocabulary)
        seconds = time.perf_counter() - began
        if known:  # the first one computes the prompt
            self._pace.checked(len(draft.tokens), verdict.accepted, seconds)
        read = zip(verdict.tokens, verdict.logprobs, verdict.margins, strict=True)
        for token, logprob, margin in read:
            sequence.add(token, logprob, margin)


def _drawn_from(draft: "Drafted") -> list[Likely] | None:
    if draft.probabilities is None:
        return None
    likely = []
    for row in draft.probabilities:
        tokens = row.nonzero()[:, 0]
        likely.append(Likely(tokens=tokens.tolist(), probabilities=row[tokens].tolist()))
    return likely
