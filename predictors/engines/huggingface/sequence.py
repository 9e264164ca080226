"""One query while it is answered."""

import asyncio
import math
import random
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from predictors.contract import Answer, Query
from predictors.contract.chat import FinishReason
from predictors.engines.prompt import Prompt, encode
from predictors.errors import EngineError

if TYPE_CHECKING:
    from predictors.engines.huggingface.loading import Loaded

# The likeliest tokens at one place, and their log-probabilities in nats.
Top: TypeAlias = tuple[tuple[int, float], ...]

NAN = "the model computed NaN instead of probabilities"
# What stands before the tokens of a text that goes on: many a tokenizer leaves out the blank with
# which a text begins.
BEFORE = "a"
# A stop string of n bytes spans at most n tokens; some more for tokens that decode to nothing.
STOP_MARGIN = 8


class Sequence:
    """Prompt, generated tokens, and the one place that decides when a sequence has ended.

    A thread of the batching path adds tokens; the event loop reads the answer after `on_end` was
    called (in that thread, once). `cancelled` may be set from anywhere: a path drops the sequence
    before its next token.

    The end-of-sequence token counts as generated: choosing it was a decision of the model with a
    probability of its own. So it is part of `completion_tokens` and of the log-probabilities, but
    not of the text.
    """

    def __init__(self, query: Query, prompt: Prompt, model: "Loaded") -> None:
        self.query = query
        self.sampling = query.sampling
        self.prompt = prompt.tokens
        self.max_tokens = prompt.max_tokens
        self.tokens: list[int] = []
        self.logprobs: list[float] = []
        self.margins: list[float] = []
        self.tops: list[Top] = []  # of each token, where the query asks for log-probabilities
        self.ended = self.max_tokens == 0  # a prompt that is to be scored alone
        self.stopped = False  # ended by a stop string
        self.failure: str | None = None
        self.cancelled = False
        self.on_end: Callable[[], None] = lambda: None
        self.on_token: Callable[[], None] | None = None  # set: somebody reads while it is written
        seed = query.sampling.seed
        self.key = random.getrandbits(64) if seed is None else seed  # of what it draws
        self._model = model
        self.before: list[int] = []
        if (query.raw or query.continues) and not model.encoder_decoder:
            self.before = model.tokenizer.encode(BEFORE, add_special_tokens=False)
        self._submitted = time.perf_counter()
        self._first = self._last = math.nan
        longest = max((len(stop.encode()) for stop in self.sampling.stop), default=0)
        self._stop_window = longest + STOP_MARGIN

    @classmethod
    async def of(cls, query: Query, model: "Loaded", context: int) -> "Sequence":
        """Raises InvalidRequest: see encode."""
        apart, vocabulary = model.encoder_decoder, model.vocabulary
        prompt = await encode(query, model.tokenizer, context, vocabulary, apart=apart)
        return cls(query, prompt, model)

    @property
    def tokenizer(self) -> Any:
        return self._model.tokenizer

    @property
    def running(self) -> bool:
        return not (self.ended or self.cancelled)

    @property
    def continued(self) -> list[int]:
        """The tokens that the answer continues; an encoder's are not those of its decoder."""
        return [] if self._model.encoder_decoder else self.prompt

    def add(self, token: int, logprob: float, margin: float, top: Top = ()) -> None:
        """Takes the next token; `logprob` in nats, `margin` and the likeliest tokens (`top`) are of
        the model's distribution."""
        if self.ended:
            return
        if math.isnan(logprob):
            return self.end(failure=NAN)
        self._last = time.perf_counter()
        if not self.tokens:
            self._first = self._last
        self.tokens.append(token)
        self.logprobs.append(logprob)
        self.margins.append(margin)
        self.tops.append(top)
        self.stopped = self._has_stop()
        if self.stopped or self._at_end_token() or len(self.tokens) >= self.max_tokens:
            self.end()
        elif self.on_token is not None:
            self.on_token()

    def end(self, failure: str | None = None) -> None:
        if not self.ended:
            self.failure = failure
            self.ended = True
            self.on_end()

    def restart(self) -> None:
        """As before its first token. What somebody has read can't be taken back."""
        if self.on_token is not None and self.tokens:
            return self.end(failure="it broke down in the middle of a stream")
        self.tokens, self.logprobs, self.margins, self.tops = [], [], [], []

    def answer(self) -> Answer:
        count = len(self.tokens)
        return Answer(
            text=self.text(),
            prompt_tokens=len(self.prompt),
            completion_tokens=count,
            time_to_first_token=self._first - self._submitted if count else None,
            inter_token_latency=(self._last - self._first) / (count - 1) if count > 1 else None,
            mean_logprob=math.fsum(self.logprobs) / count if count else None,
            min_logprob=min(self.logprobs, default=None),
            mean_margin=math.fsum(self.margins) / count if count else None,
        )

    @property
    def finish_reason(self) -> FinishReason:
        """Of one that has ended."""
        return "stop" if self.stopped or self._at_end_token() else "length"

    def written(self) -> list[int]:
        """The tokens whose text is the answer's."""
        return self.tokens[:-1] if self._at_end_token() else self.tokens

    def _at_end_token(self) -> bool:
        return bool(self.tokens) and self.tokens[-1] in self._model.end_tokens

    def _has_stop(self) -> bool:
        if not self.sampling.stop:
            return False
        tail = self._text_of(self.tokens[-self._stop_window :])
        return any(stop in tail for stop in self.sampling.stop)

    def text(self) -> str:
        text = self._text_of(self.written())
        starts = [at for stop in self.sampling.stop if (at := text.find(stop)) >= 0]
        return text[: min(starts)] if starts else text

    def _text_of(self, tokens: list[int]) -> str:
        return self.decode([*self.before, *tokens])[len(self.decode(self.before)) :]

    def decode(self, tokens: list[int]) -> str:
        text: str = self._model.tokenizer.decode(tokens, skip_special_tokens=True)
        return text

    def named(self, token: int) -> str:
        """A token as text, special ones too."""
        text: str = self._model.tokenizer.decode([token])
        return text


def resolve(done: asyncio.Future[None], failure: str | None) -> None:
    """Tells the event loop that a sequence has ended; a second call does nothing."""
    if done.done():
        return
    if failure:
        done.set_exception(failed(failure))
    else:
        done.set_result(None)


def resume(loop: asyncio.AbstractEventLoop, news: asyncio.Event) -> None:
    """Tells the event loop, from another thread, that there is something to read."""
    loop.call_soon_threadsafe(news.set)


def failed(cause: str) -> EngineError:
    return EngineError(f"generation failed: {cause}")
