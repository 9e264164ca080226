"""The beginning of the edge's stream, kept back until what is known of it decides."""

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import numpy as np

from predictors.contract import CLOUD, EDGE
from predictors.errors import HEMError
from predictors.upstream.openai.logprobs import Token, telemetry, tokens_of
from transformers_hem.algorithms.base import Batch, Route
from transformers_hem.gateway.first_answer import NOT_ASKED_FOR
from transformers_hem.gateway.options import DecideAt
from transformers_hem.serving.decision import Decision

# A full stop in a number or an abbreviation has no blank behind it, or a small letter.
SENTENCE: Final = re.compile(r"[.!?\u2026][\"')\]]*(?=\s+[^a-z\s])|[\u3002\uff01\uff1f]|\n")

Decide = Callable[[Batch], Awaitable[Decision]]


class Hold:
    """Of one answer to `text`. A prefix is an answer: to an algorithm its text, and the signals of
    its tokens. `decide` is asked once, with a prefix of `at` or with all of an answer that ends
    before. `shows_logprobs`: the caller asked for log-probabilities, too."""

    def __init__(self, text: str, at: DecideAt, decide: Decide, *, shows_logprobs: bool) -> None:
        self._query = text
        self._at = at
        self._decide = decide
        self._shows_logprobs = shows_logprobs
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
                delta = choice.get("delta") or {}
                self.take(choice.get("text") or delta.get("content") or "", tokens_of(choice))
            if not self._shows_logprobs:
                for name in NOT_ASKED_FOR:
                    choice.pop(name, None)
        return data

    def take(self, text: str, tokens: Sequence[Token]) -> None:
        """What comes of the answer."""
        self._text += text
        self._tokens += tokens

    async def look(self, *, ended: bool) -> None:
        """Decides where it is time to."""
        if self.route is None and (ended or self._is_due()):
            try:
                self.route = (await self._decide(self._batch())).route
            except HEMError as error:  # which is no fault of the edge
                self.route, self.failure = CLOUD, error

    def _is_due(self) -> bool:
        if isinstance(self._at, int):
            return len(self._tokens) >= self._at
        return SENTENCE.search(self._text) is not None

    def _batch(self) -> Batch:
        tokens, text = self._prefix()
        signals = {name: np.array([value]) for name, value in telemetry(tokens).items()}
        for signal in signals.values():
            signal.setflags(write=False)
        return Batch(1, (self._query,), answers=(text,), **signals)

    def _prefix(self) -> tuple[Sequence[Token], str]:
        """The same of the same answer, however it comes."""
        tokens, text = self._tokens, self._text
        if isinstance(self._at, int):
            if len(tokens) <= self._at:
                return tokens, text
            return tokens[: self._at], _text_of(tokens[: self._at])
        end = SENTENCE.search(text)
        if end is None:
            return tokens, text
        text = text[: end.end()]
        lengths = (len(_text_of(tokens[:count])) for count in range(1, len(tokens)))
        covering = sum(length < len(text) for length in lengths) + 1
        return tokens[:covering], text


def _text_of(tokens: Sequence[Token]) -> str:
    return b"".join(token.text for token in tokens).decode(errors="ignore")
