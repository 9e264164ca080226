"""The beginning of the edge's stream, kept back until what is known of it decides."""

import re
from collections.abc import Awaitable, Callable, Mapping
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

# A full stop in a number or an abbreviation has no blank behind it, or a small letter.
SENTENCE: Final = re.compile(r"[.!?\u2026][\"')\]]*(?=\s+[^a-z\s])|[\u3002\uff01\uff1f]|\n")

Decide = Callable[[Batch], Awaitable[Decision]]


class Hold:
    """Of one answer to `query`. A prefix is an answer: to an algorithm its text, and the signals of
    its tokens. `decide` is asked once, with a prefix of `at` or with all of an answer that ends
    before. `shows_logprobs`: the caller asked for log-probabilities, too."""

    def __init__(self, query: str, at: DecideAt, decide: Decide, *, shows_logprobs: bool) -> None:
        self._query = query
        self._decide = decide
        self._shows_logprobs = shows_logprobs
        self._by_sentence = at == "sentence"
        self._signals = PrefixSignals(at if isinstance(at, int) else None)
        self._tokens: list[Token] = []
        self._text = ""
        self.route: Route | None = None
        self.failure: HEMError | None = None  # of the decision

    @property
    def commits(self) -> bool:
        """The edge's answer goes out."""
        return self.route == EDGE

    def rewrite(self, data: dict[str, Any]) -> dict[str, Any]:
        """An event as the caller gets it, after what it says was taken."""
        for choice in data.get("choices") or ():
            if self.route is None:
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
        if self.route is None and (ended or self._is_due()):
            try:
                self.route = (await self._decide(self._batch())).route
            except HEMError as error:  # which is no fault of the edge
                self.route, self.failure = CLOUD, error

    def _is_due(self) -> bool:
        if self._by_sentence:
            return SENTENCE.search(self._text) is not None
        return self._signals.full

    def _batch(self) -> Batch:
        text, signals = self._sentence() or (self._signals.text, self._signals.signals())
        mean, least, margin = (_array(signals.get(name)) for name in SIGNALS)
        return Batch(1, (self._query,), mean, least, margin, answers=(text,))

    def _sentence(self) -> tuple[str, Mapping[str, float]] | None:
        """The first one, and what its tokens tell; None where none has ended."""
        end = SENTENCE.search(self._text)
        if end is None:
            return None
        text, said, tokens = self._text[: end.end()], b"", self._tokens
        for count, token in enumerate(tokens, 1):
            said += token.text
            if len(said.decode(errors="ignore")) >= len(text):
                tokens = tokens[:count]
                break
        return text, telemetry(tokens)


def _array(signal: float | None) -> Scores | None:
    if signal is None:
        return None
    array = np.array([signal])
    array.setflags(write=False)
    return array
