"""Query by query: the small model drafts, the large one checks.

torch and transformers are imported when the engine starts.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence as Rows
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Final, cast

from predictors.contract import Answer, Delta, Query
from predictors.contract.speculation import Drawing, VerifyModel, tokenizer_fingerprint
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
from predictors.engines.speculative.drafting import Drafting, load
from predictors.engines.speculative.pace import Pace
from predictors.engines.speculative.runner import Leftovers, Parts, Runner
from predictors.engines.speculative.settings import SpeculativeSettings
from predictors.engines.speculative.tally import Tally
from predictors.engines.speculative.verifiers import VERIFIERS
from predictors.errors import UpstreamError

if TYPE_CHECKING:
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
        if self._settings.drafter == "model" and is_local(self._settings.model_dir):
            check(resolve(self._settings.model_dir, self._settings.revision, gguf=True))
        self._verifier = VERIFIERS[self._settings.verifier](self._settings)
        self._pace = Pace(self._settings.draft_tokens)
        self._leftovers = Leftovers()
        self._drafting: Drafting | None = None
        self._parts: Parts | None = None
        self._learning = asyncio.Lock()

    async def drafting(self) -> Drafting:
        """What drafts; for a drafter of your own override it. Raises ConfigurationError."""
        return await load(self._settings)

    async def start(self) -> None:
        """The far side may come later: its model is asked for with the first query."""
        self._drafting = await self.drafting()
        await self._drafting.drafter.start()

    async def generate(self, queries: Rows[Query]) -> list[Answer]:
        sequences = await in_turns(self._sequence(query) for query in queries)
        return await side_by_side(map(self._answer, sequences), AT_ONCE)

    async def stream(self, query: Query) -> AsyncGenerator[Delta]:
        from predictors.engines.huggingface.streaming import Written, as_written

        sequence = await self._sequence(query)
        tally = Tally()
        written = Written(sequence, "")
        async with aclosing(as_written(sequence, written, self._run(sequence, tally))) as deltas:
            async for delta in deltas:
                if delta.answer is not None:
                    delta = replace(delta, answer=replace(delta.answer, speculation=tally.told()))
                yield delta

    def cause_of_death(self) -> str | None:
        return self._drafting.drafter.cause_of_death() if self._drafting is not None else None

    async def close(self) -> None:
        await self._leftovers.close()
        await self._verifier.close()
        if self._drafting is not None:
            await self._drafting.drafter.close()

    async def _answer(self, sequence: "Sequence") -> Answer:
        tally = Tally()
        await self._run(sequence, tally)
        return replace(sequence.answer(), speculation=tally.told())

    async def _run(self, sequence: "Sequence", tally: Tally) -> None:
        """Until it has ended. Raises HEMError."""
        parts = self._parts
        assert parts is not None
        coupled = self._settings.rule == "coupled"
        drawing = Drawing.of(sequence.sampling, sequence.key, coupled=coupled)
        await Runner(sequence, drawing, parts, tally).to_end()

    async def _sequence(self, query: Query) -> "Sequence":
        from predictors.engines.huggingface.sequence import Sequence

        far = await self._far_model()
        assert self._drafting is not None, "start() comes first"
        model = replace(self._drafting.model, end_tokens=frozenset(far.end_tokens))
        return await Sequence.of(query, model, min(model.context, far.room - 1))

    async def _far_model(self) -> VerifyModel:
        """Raises UpstreamError where it can't be asked, or has another tokenizer."""
        async with self._learning:
            if self._parts is None:
                far = await self._verifier.model()
                assert self._drafting is not None, "start() comes first"
                if far.tokenizer != tokenizer_fingerprint(self._drafting.model.tokenizer):
                    raise UpstreamError(
                        f"the model at {self._verifier.url} has another tokenizer than "
                        f"{self._settings.model_dir}: one can't check the tokens of the other; "
                        "take models of one family, or route between them"
                    )
                most = min(self._settings.rounds_in_flight, self._verifier.most_rounds)
                self._parts = Parts(
                    self._drafting.drafter, self._verifier, far, self._pace, self._leftovers, most
                )
            return self._parts.far
