"""The Engine: queries in, answers out.

torch and transformers are imported when the engine starts: a broken model directory is then
reported before the seconds that their import takes, and before any server runs.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence as Rows
from contextlib import aclosing
from typing import TYPE_CHECKING

from predictors.contract import Answer, Delta, Query
from predictors.contract.speculation import (
    SHOWN,
    OtherModel,
    OtherTokenizer,
    Round,
    Verdict,
    VerifyModel,
    Whole,
    tokenizer_fingerprint,
)
from predictors.engines.base import (
    CONTINUES,
    ECHO,
    LOGPROBS,
    MESSAGES,
    PENALTIES,
    RAW,
    TOKENS,
    DraftChecker,
    TextEngine,
)
from predictors.engines.checkpoint import check, is_local, resolve
from predictors.engines.huggingface.sequence import Sequence
from predictors.engines.huggingface.settings import HuggingFaceSettings
from predictors.engines.huggingface.streaming import Written, as_written
from predictors.engines.side_by_side import in_turns, side_by_side

if TYPE_CHECKING:
    from predictors.engines.huggingface.assisting import Assistant
    from predictors.engines.huggingface.batching import Batches
    from predictors.engines.huggingface.loading import Loaded
    from predictors.engines.huggingface.scoring import PromptScorer
    from predictors.engines.huggingface.verifying import Verifier


class HuggingFaceEngine(TextEngine, DraftChecker):
    """A model of transformers that generates text, on the GPU where there is one.

    `loaded` (the model) and `batches` (what runs its queries) are None before the start, and so are
    `scorer` (what scores prompts), which not every model has, `verifier` and `assistant`. The
    constructor raises ConfigurationError where a model directory on this machine is not whole.
    """

    Settings = HuggingFaceSettings
    takes = frozenset({CONTINUES, ECHO, LOGPROBS, MESSAGES, PENALTIES, RAW, TOKENS})

    def __init__(self, settings: HuggingFaceSettings) -> None:
        super().__init__(settings)
        self._settings = settings
        # Some more than run, so that a place that comes free is taken at once.
        self._rows_at_once = settings.max_batch_size * 5 // 4 + 1
        self.loaded: Loaded | None = None
        self.batches: Batches | None = None
        self.scorer: PromptScorer | None = None
        self.verifier: Verifier | None = None
        self.assistant: Assistant | None = None
        self._fingerprint = self._identity = ""
        for directory in filter(None, (settings.model_dir, settings.assistant_dir)):
            if is_local(directory):
                check(resolve(directory, settings.revision, gguf=True))

    async def start(self) -> None:
        self.loaded = await asyncio.to_thread(self._load)
        from predictors.engines.huggingface.assisting import start_assistant
        from predictors.engines.huggingface.batching import (
            start_batches,
            start_scorer,
            start_verifier,
        )

        self.batches = await start_batches(self.loaded, self._settings)
        self.scorer = await start_scorer(self.loaded, self.batches)
        if self.scorer is None:
            self.takes -= {ECHO}
        if self.loaded.encoder_decoder:  # its decoder begins each answer anew
            self.takes -= {CONTINUES}
        given = self._settings
        if given.verify_slots:
            tokenizer = self.loaded.tokenizer
            self._fingerprint = await asyncio.to_thread(tokenizer_fingerprint, tokenizer)
            self.verifier = await start_verifier(
                self.loaded, self.batches, given.model_dir, given.verify_slots, given.verify_tokens
            )
            self._identity = await asyncio.to_thread(self._identified, self.verifier.room)
        if given.assistant_dir:
            self.assistant = await start_assistant(self.loaded, self.batches, given)

    @property
    def checks_drafts(self) -> bool:
        return self._settings.verify_slots > 0

    def verify_model(self) -> VerifyModel:
        assert self.loaded is not None and self.verifier is not None, "start() comes first"
        return VerifyModel(
            tokenizer=self._fingerprint,
            identity=self._identity,
            vocabulary=self.loaded.vocabulary,
            end_tokens=sorted(self.loaded.end_tokens),
            room=self.verifier.room,
            slots=self.verifier.count,
            cost=self.verifier.cost,
        )

    async def check(self, round: Round) -> Verdict:
        assert self.verifier is not None, "start() comes first"
        if round.whole is not None:
            self._require_same(round.whole)
        return await self.verifier.check(round)

    def _require_same(self, whole: Whole) -> None:
        """A server that was started again knows no sequence, and so is told each one whole."""
        if whole.tokenizer not in ("", self._fingerprint[:SHOWN]):
            raise OtherTokenizer(
                "the model here numbers tokens otherwise than the one that these drafts are for: "
                "it has come in that one's place"
            )
        if whole.model not in ("", self._identity[:SHOWN]):
            raise OtherModel(
                "the model here is not the one that this answer began with: it has other weights, "
                "end tokens or room, and has come in that one's place"
            )

    async def generate(self, queries: Rows[Query]) -> list[Answer]:
        model, batches = self.loaded, self.batches
        assert model is not None and batches is not None, "start() comes first"
        context = batches.context
        sequences = await in_turns(Sequence.of(query, model, context) for query in queries)
        run = (self.assistant or batches).run
        await side_by_side(map(run, sequences), self._rows_at_once)
        return [sequence.answer() for sequence in sequences]

    async def stream(self, query: Query) -> AsyncGenerator[Delta]:
        model, batches = self.loaded, self.batches
        assert model is not None and batches is not None, "start() comes first"
        sequence = await Sequence.of(query, model, batches.context)
        echoed = ""
        if query.echo:
            assert self.scorer is not None, "it is not among what this engine takes"
            prompt = await self.scorer.echo(sequence)
            yield prompt
            echoed = prompt.text
        written = Written(sequence, echoed)
        if sequence.ended:
            yield written.rest()
            return
        run = (self.assistant or batches).run(sequence)
        async with aclosing(as_written(sequence, written, run)) as deltas:
            async for delta in deltas:
                yield delta

    async def healthy(self) -> bool:
        return self.batches is not None and await self.batches.healthy()

    def cause_of_death(self) -> str | None:
        if self.verifier is not None and (cause := self.verifier.stepper.cause_of_death()):
            return cause
        if self.assistant is not None and (cause := self.assistant.cause_of_death()):
            return cause
        return self.batches.cause_of_death() if self.batches is not None else None

    async def close(self) -> None:
        if self.assistant is not None:
            await self.assistant.close()
        if self.verifier is not None:
            await self.verifier.close()
        if self.scorer is not None:
            await self.scorer.close()
        if self.batches is not None:
            await self.batches.close()

    def _identified(self, room: int) -> str:
        from predictors.engines.huggingface.identity import identity

        assert self.loaded is not None
        given = self._settings
        path = resolve(given.model_dir, given.revision, gguf=True)
        return identity(path, self.loaded, given.quantization, self._fingerprint, room)

    def _load(self) -> "Loaded":
        from predictors.engines.huggingface.loading import load_to_run

        return load_to_run(self._settings)
