"""What an answer's tokens say of it while they come: signals of its first tokens, or of all."""

from typing import Final

from predictors.contract import is_telemetry
from predictors.contract.openai.fields import SIGNALS, TELEMETRY_FIELD
from predictors.upstream.openai.choice import Choice
from predictors.upstream.openai.logprobs import Token, telemetry, tokens_of

ALTERNATIVES: Final = 2  # to ask for, of each token: what mean_margin needs


class PrefixSignals:
    """Of the first `limit` tokens of an answer, None: of all. It is fed the choices of a stream's
    events as they come, or the one of a whole answer.

    An answer of fewer tokens is its own prefix. What a predictor of ours tells of a whole answer
    then stands for what its tokens tell: that counts the token that ends it, too.
    """

    def __init__(self, limit: int | None = None) -> None:
        self._limit = limit
        self._tokens: list[Token] = []
        self._told: dict[str, float] = {}

    def add(self, choice: Choice) -> None:
        """Broken log-probabilities never fail an answer: it has no signals then."""
        if self.full:
            return
        self._tokens += tokens_of(choice)
        if self._limit is not None:
            del self._tokens[self._limit :]
        self._told = self._told or _told(choice)

    @property
    def full(self) -> bool:
        """Whether the first `limit` tokens are there: what comes now changes nothing."""
        return self._limit is not None and len(self._tokens) >= self._limit

    @property
    def tokens(self) -> int:
        """How many are there that have a log-probability; the one that ends an answer has none."""
        return len(self._tokens)

    @property
    def text(self) -> str:
        """Of these tokens, without half a character at its end."""
        return b"".join(token.text for token in self._tokens).decode(errors="ignore")

    def signals(self) -> dict[str, float]:
        """mean_logprob, min_logprob and mean_margin of the tokens that are there, in nats; without
        those that are unknown."""
        if self._told and not self.full:
            return dict(self._told)
        return telemetry(self._tokens)


def _told(choice: Choice) -> dict[str, float]:
    given = choice.get(TELEMETRY_FIELD)
    if not isinstance(given, dict):
        return {}
    return {n: float(given[n]) for n in SIGNALS if n in given and is_telemetry(n, given[n])}
