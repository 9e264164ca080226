"""Any vLLM server checks drafts, with nothing of ours beside it: greedy answers without penalties.

It remembers no sequence: each round tells all tokens again. See `vllm_ways` for what it is asked.
"""

import asyncio
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, TypeVar

from predictors.contract import Sampling
from predictors.contract.speculation import (
    MOST_TOKENS,
    Round,
    Verdict,
    VerifyModel,
    Whole,
    tokenizer_fingerprint,
)
from predictors.contract.usage import parse_usage
from predictors.engines.speculative.base import DraftingModel
from predictors.engines.speculative.recording import came_back, sent_with
from predictors.engines.speculative.settings import SpeculativeSettings
from predictors.engines.speculative.vllm_agreement import end_tokens, same_tokens
from predictors.engines.speculative.vllm_ways import COMPLETIONS, WAYS, Chosen, accepted
from predictors.errors import HEMError, InvalidRequest
from predictors.upstream.attempt import Refusal
from predictors.upstream.http import HTTPUpstream
from predictors.upstream.openai.endpoint import KEY_HINT

T = TypeVar("T")

MODELS: Final = "/v1/models"
SHOWN_MODELS: Final = 10
MOST_SLOTS: Final = 1 << 20  # it remembers nothing that could be forgotten
NO_PENALTIES: Final = {"repetition_penalty": 1, "presence_penalty": 0, "frequency_penalty": 0}


class VLLMVerifier:
    """Raises ConfigurationError for a key, a CA bundle or a proxy that is not valid."""

    def __init__(self, settings: SpeculativeSettings) -> None:
        self.most_rounds = settings.vllm_rounds
        self._http = HTTPUpstream(
            settings.url.removesuffix("/v1"),
            settings,
            settings.client(),
            headers=settings.headers_with(settings.key()),
            refused=_refused,
            health=MODELS,
        )
        self._way = WAYS[settings.vllm_check]
        self._wanted = self._name = settings.upstream_model
        self._known: VerifyModel | None = None

    @property
    def url(self) -> str:
        return self._http.url

    def takes(self, sampling: Sampling) -> str | None:
        """Why an answer that is drawn so can't be checked here; None where it can."""
        if not sampling.greedy:
            return "a vLLM server checks greedy answers only, with temperature 0"
        for name, without in NO_PENALTIES.items():
            if (value := getattr(sampling, name)) != without:
                return f"vLLM's log-probabilities of a prompt know no {name}, and it is {value:g}"
        return None

    async def model(self, near: DraftingModel) -> VerifyModel:
        """Its `tokenizer` is empty where it is another. Raises UpstreamError, where it is no vLLM
        server, too."""
        name, room = await self._http.get(MODELS, self._listed)
        same = await same_tokens(self._post, self.url, name, near.tokenizer)
        ends = await end_tokens(self._post, name, near) if same else frozenset()
        fingerprint = await asyncio.to_thread(tokenizer_fingerprint, near.tokenizer)
        self._name = name
        self._known = VerifyModel(
            name=name,
            tokenizer=fingerprint if same else "",
            vocabulary=near.vocabulary,
            end_tokens=sorted(ends),
            room=room,
            slots=MOST_SLOTS,
        )
        return self._known

    async def check(self, round: Round, whole: Whole, vocabulary: int) -> Verdict:
        """Raises InvalidRequest for an answer that is drawn so that it can't be checked,
        UpstreamError, Overloaded."""
        far = self._known
        assert far is not None, "model() comes first"
        if (reason := self.takes(whole.drawing.sampling())) is not None:
            raise InvalidRequest(reason)
        known, ends = whole.tokens, frozenset(far.end_tokens)
        # vLLM adds a token of its own, for which there has to be room.
        drafted = [*round.pending, *round.draft][: max(far.room - len(known) - 1, 0)]

        def read(body: Any) -> Verdict:
            chosen = self._way.chosen(_choices(body, self._name), known, drafted)
            verdict = _verdict(accepted(chosen, drafted, ends, vocabulary), drafted, round, body)
            return came_back(self._name, tokens, verdict, parse_usage(body.get("usage")))

        fields = {**self._way.fields(known, drafted), "model": self._name}
        tokens = _count(fields["prompt"])
        about = sent_with(round, tokens)
        return await self._http.post(COMPLETIONS, fields, read, about=about)

    async def close(self) -> None:
        await self._http.close()

    async def _post(self, path: str, body: dict[str, Any], read: Callable[[Any], T]) -> T:
        return await self._http.post(path, body, read)

    def _listed(self, body: Any) -> tuple[str, int]:
        """Name and context of the model that is asked. Raises ValueError."""
        try:
            cards = {str(card["id"]): card.get("max_model_len") for card in body["data"]}
        except (KeyError, TypeError, AttributeError):
            raise ValueError("no list of models, which a vLLM server answers") from None
        names = ", ".join([*cards][:SHOWN_MODELS]) or "none"
        name = self._wanted or (next(iter(cards)) if len(cards) == 1 else "")
        if name not in cards:
            raise ValueError(f"a list of models ({names}); choose one with --upstream_model")
        room = cards[name]  # which something between may not pass on
        return name, room if type(room) is int and room > 0 else MOST_TOKENS


def _count(prompt: list[Any]) -> int:
    """Tokens of one prompt, or of several."""
    return sum(len(each) if isinstance(each, list) else 1 for each in prompt)


def _verdict(own: list[Chosen], drafted: list[int], round: Round, body: Any) -> Verdict:
    same = sum(one.token == other for one, other in zip(own, drafted, strict=False))
    pending = len(round.pending)
    seconds = _seconds(body)
    return Verdict(
        accepted=max(same - pending, 0),
        tokens=[each.token for each in own[pending:]],
        logprobs=[each.logprob for each in own[pending:]],
        margins=[each.margin for each in own[pending:]],
        cached=_cached(body),
        seconds=seconds,
        held=seconds,
    )


def _choices(body: Any, model: str) -> Any:
    if not isinstance(body, dict):
        raise ValueError("no object")
    if body.get("model") not in (None, model):
        raise ValueError(f"an answer of the model {body['model']!r:.80}, not of {model!r}")
    return body.get("choices")


def _cached(body: dict[str, Any]) -> int:
    """vLLM tells where it was started with --enable-prompt-tokens-details."""
    usage = body.get("usage")
    details = usage.get("prompt_tokens_details") if isinstance(usage, dict) else None
    cached = details.get("cached_tokens") if isinstance(details, dict) else None
    return cached if type(cached) is int and cached >= 0 else 0


def _seconds(body: dict[str, Any]) -> float:
    """At work; vLLM tells where it was started with --enable-per-request-metrics."""
    metrics = body.get("metrics")
    if not isinstance(metrics, dict):
        return 0.0
    first, queued = metrics.get("time_to_first_token_ms"), metrics.get("queue_time_ms")
    if not isinstance(first, float | int) or not math.isfinite(first):
        return 0.0
    waited = queued if isinstance(queued, float | int) and math.isfinite(queued) else 0.0
    return float(max(first - waited, 0.0)) / 1000


def _refused(refusal: Refusal) -> HEMError:
    """The caller can mend none of it: what is asked is ours."""
    if refusal.status in (401, 403):
        return replace(refusal, reason=KEY_HINT).error()
    return refusal.error()
