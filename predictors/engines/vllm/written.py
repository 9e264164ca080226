"""What vLLM's outputs tell of one answer, bit by bit or all at once -> its parts, and the whole
with telemetry."""

import math
from typing import NamedTuple

from vllm.logprobs import FlatLogprobs
from vllm.outputs import CompletionOutput, RequestOutput
from vllm.v1.metrics.stats import RequestStateStats

from predictors.contract import Answer, Delta, Query, ScoredToken
from predictors.contract.openai.errors import InvalidField
from predictors.contract.openai.fields import RESPONSE_FORMAT
from predictors.engines.vllm.parameters import TOP_TOKENS
from predictors.errors import EngineError


class _Scored(NamedTuple):
    """A token as text, with the model's own log-probability: before penalties, temperature and
    top_p (vLLM's logprobs_mode raw_logprobs)."""

    text: str
    logprob: float


class Written:
    """The answer to `query` so far. `telling`: vLLM was asked for the likeliest tokens, too.

    The token that ends an answer counts as generated, as with the huggingface engine: it has a
    probability of its own, but no text, and is not among the scored tokens.
    """

    def __init__(self, query: Query, prompt_tokens: int, *, telling: bool) -> None:
        self._top_logprobs = query.top_logprobs
        self._structured = RESPONSE_FORMAT in query.options
        self._prompt_tokens = prompt_tokens
        self._telling = telling
        self._parts: list[str] = []
        self._count = 0
        self._logprobs: list[float] = []  # of each token, nats
        self._margins: list[float] = []
        self.ended = False

    def add(self, output: RequestOutput) -> Delta | None:
        """What is new; None where that is nothing to show. Raises EngineError where vLLM gave up
        on the query, or the model computes NaN, InvalidField where no answer can have the schema.
        """
        new = output.outputs[0]
        if new.finish_reason == "error" and self._structured and not self._count:
            message = f"{RESPONSE_FORMAT}: vLLM can't follow the schema"
            raise InvalidField(message, RESPONSE_FORMAT, "unsupported")
        if new.finish_reason in ("abort", "error"):
            raise EngineError(f"generation failed: vLLM ended it with {new.finish_reason!r}")
        self._parts.append(new.text)
        self._count += len(new.token_ids)
        tokens = self._tokens(new)
        if new.finish_reason is None:
            return Delta(new.text, tokens=tokens) if new.text or tokens else None
        self.ended = True
        return Delta(
            new.text,
            tokens=tokens,
            finish_reason="length" if new.finish_reason == "length" else "stop",
            answer=self._answer(output.metrics),
        )

    def _tokens(self, new: CompletionOutput) -> tuple[ScoredToken, ...]:
        """Takes notes of all new tokens, and returns them as far as the query asks for them."""
        flat, scored = new.logprobs, []
        assert isinstance(flat, FlatLogprobs)
        for place in range(len(new.token_ids)):
            chosen, likeliest = _place(flat, place)
            if math.isnan(chosen.logprob):
                raise EngineError(
                    "generation failed: the model computed NaN instead of probabilities"
                )
            if not self._telling:
                continue
            self._logprobs.append(chosen.logprob)
            best, second = likeliest[:TOP_TOKENS]
            self._margins.append(math.exp(best.logprob) - math.exp(second.logprob))
            if self._top_logprobs is not None:
                scored.append(ScoredToken(*chosen, tuple(likeliest[: self._top_logprobs])))
        return tuple(scored[:-1] if _at_end_token(new) else scored)

    def _answer(self, stats: RequestStateStats | None) -> Answer:
        first, between = _times(stats, self._count)
        told = self._telling
        return Answer(
            text="".join(self._parts),
            prompt_tokens=self._prompt_tokens,
            completion_tokens=self._count,
            time_to_first_token=first,
            inter_token_latency=between,
            mean_logprob=math.fsum(self._logprobs) / self._count if told else None,
            min_logprob=min(self._logprobs) if told else None,
            mean_margin=math.fsum(self._margins) / self._count if told else None,
        )


def _place(flat: FlatLogprobs, place: int) -> tuple[_Scored, list[_Scored]]:
    """The chosen token of a place, and the tokens that are known there, likeliest first. vLLM has
    the chosen one first; it comes again among the likeliest, but not where vLLM has put several
    outputs together because nobody had read them."""
    entries = range(flat.start_indices[place], flat.end_indices[place])
    known = {
        flat.token_ids[i]: _Scored(flat.decoded_tokens[i] or "", flat.logprobs[i]) for i in entries
    }
    chosen = known[flat.token_ids[entries.start]]
    return chosen, sorted(known.values(), key=lambda each: -each.logprob)


def _at_end_token(new: CompletionOutput) -> bool:
    """A stop string is vLLM's `stop_reason`; a token has its number there, or None."""
    return new.finish_reason == "stop" and not isinstance(new.stop_reason, str)


def _times(stats: RequestStateStats | None, count: int) -> tuple[float | None, float | None]:
    """Seconds to the first token and between tokens; None with vLLM's disable_log_stats."""
    if stats is None:
        return None, None
    spread = stats.last_token_ts - stats.first_token_ts
    return stats.first_token_latency, spread / (count - 1) if count > 1 else None
