"""The edge's stream, kept back until what is known of its beginning decides; sentence by sentence
where each decides."""

import re
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Sequence
from itertools import accumulate
from typing import Any, Final

import numpy as np

from predictors.contract import CLOUD, EDGE
from predictors.contract.openai.fields import SIGNALS
from predictors.errors import HEMError
from predictors.upstream.openai.choice import Choice
from predictors.upstream.openai.logprobs import Token, telemetry, tokens_of
from predictors.upstream.openai.signals import PrefixSignals
from transformers_hem.algorithms.base import Batch, Route, Scores
from transformers_hem.gateway.first_answer import NOT_ASKED_FOR
from transformers_hem.gateway.options import DecideAt
from transformers_hem.serving.decision import Decision

# A full stop ends one where a blank is behind it and then no small letter; not behind a single
# letter (J. Smith, e.g. Paris, U.S. Army), a title, or a number that begins a line.
SENTENCE: Final = re.compile(
    r"(?<!\b[A-Z])(?<!\.[a-z])(?<!\b[DMJS]r)(?<!\bM[sx])(?<!\bSt)(?<!\bvs)(?<!\bMrs)(?<!\bProf)"
    r"(?<!^\d)(?<!^\d\d)[.!?\u2026][\"')\]]*(?=[^\S\n]+[^a-z\s])"
    r"|[\u3002\uff01\uff1f]"
    r"|(?<=[^\s\u3002\uff01\uff1f])[^\S\n]*\n",
    re.MULTILINE,
)

Decide = Callable[[Batch], Awaitable[Decision]]


class Hold:
    """Of one answer to `query`. A prefix is an answer: to an algorithm its text, and the signals of
    its tokens. `decide` is asked with a prefix of `at`, or with all of an answer that ends before:
    once, or with `at` sentence and `again` at the end of each sentence, as long as it decides for
    the edge. `shows_logprobs`: the caller asked for log-probabilities, too.

    `until`: so many characters of the text may go out; None: all."""

    def __init__(
        self,
        query: str,
        at: DecideAt,
        decide: Decide,
        *,
        shows_logprobs: bool,
        again: bool = False,
    ) -> None:
        self._query = query
        self._at = at
        self._decide = decide
        self._shows_logprobs = shows_logprobs
        self._by_sentence = at == "sentence"
        self._again = again
        self.begin()

    def begin(self) -> None:
        """Anew: of what came before the caller has got nothing."""
        self._signals = PrefixSignals(self._at if isinstance(self._at, int) else None)
        self._tokens: list[Token] = []
        self._text = ""
        self.route: Route | None = None
        self.until: int | None = 0
        self.failure: HEMError | None = None  # of the decision

    @property
    def commits(self) -> bool:
        """The edge's answer goes out, or what is decided of it."""
        return self.route == EDGE

    @property
    def decides(self) -> bool:
        """There is more to decide."""
        return self.until is not None and self.route != CLOUD

    def stay(self) -> None:
        """At the edge, whatever was decided."""
        self.route, self.until = EDGE, None

    def rewrite(self, data: dict[str, Any]) -> dict[str, Any]:
        """An event as the caller gets it, after what it says was taken."""
        for choice in data.get("choices") or ():
            if self.decides:
                self.take(choice)
            if not self._shows_logprobs:
                for name in NOT_ASKED_FOR:
                    choice.pop(name, None)
        return data

    def take(self, choice: Choice) -> None:
        """Of an event, or of a whole answer."""
        self._signals.add(choice)
        if self._by_sentence:
            self._tokens += tokens_of(choice)
            said = choice.get("delta") or choice.get("message") or {}
            self._text += choice.get("text") or said.get("content") or ""

    async def look(self, *, ended: bool) -> None:
        """Decides where it is time to."""
        while self.decides:
            end = self._sentence_end()
            if end is None and not (ended or self._signals.full):
                return
            if end is not None or self._undecided():
                try:
                    self.route = (await self._decide(self._batch(end))).route
                except HEMError as error:  # which is no fault of the edge
                    self.route, self.failure = CLOUD, error
            if self.route == EDGE:
                self.until = end if self._again else None

    def _sentence_end(self) -> int | None:
        match = SENTENCE.search(self._text, self.until or 0) if self._by_sentence else None
        return match.end() if match else None

    def _undecided(self) -> bool:
        return self.route is None or bool(self._text[self.until :].strip())

    def _batch(self, end: int | None) -> Batch:
        text, signals = self._signals.text, self._signals.signals()
        if end is not None:
            text = self._text[:end]
            signals = telemetry(_covering(self._tokens, len(text.encode(errors="ignore"))))
        mean, least, margin = (_array(signals.get(name)) for name in SIGNALS)
        return Batch(1, (self._query,), mean, least, margin, answers=(text,))


def _covering(tokens: Sequence[Token], size: int) -> Sequence[Token]:
    """The first ones, of so many bytes of text."""
    sizes = list(accumulate(len(token.text) for token in tokens))
    return tokens[: bisect_left(sizes, size) + 1]


def _array(signal: float | None) -> Scores | None:
    if signal is None:
        return None
    array = np.array([signal])
    array.setflags(write=False)
    return array
