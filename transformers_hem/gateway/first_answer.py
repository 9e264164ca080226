"""The edge's whole answer, for algorithms that mine it; it may go out as a stream."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from predictors.contract import Answer
from predictors.contract.openai.errors import InvalidField
from predictors.contract.openai.fields import TELEMETRY_FIELD
from predictors.errors import HEMError
from predictors.upstream.openai.answer import whole_answer
from predictors.upstream.openai.bodies import API, CHAT, COMPLETIONS
from predictors.upstream.openai.signals import ALTERNATIVES
from predictors.upstream.redaction import logged
from transformers_hem.algorithms.base import Batch, ExtraAnswers, Scores
from transformers_hem.gateway.attempt import Attempt
from transformers_hem.gateway.site import Target

logger = logging.getLogger("kserve.hem")

APIS: Final[Mapping[str, API]] = {api.path: api for api in (CHAT, COMPLETIONS)}
LOGPROBS: Final = ("logprobs", "top_logprobs")
NOT_ASKED_FOR: Final = ("logprobs", TELEMETRY_FIELD)
# Fields of a request that are about how the answer comes, not about what it is.
STREAMING: Final = ("stream", "stream_options")


@dataclass(frozen=True, slots=True)
class FirstAnswer:
    """`body` as the edge wrote it, `answers` what its choices say."""

    body: dict[str, Any]
    answers: Sequence[Answer]

    def batch(self, texts: Sequence[str], samples: tuple[tuple[str, ...], ...] = ()) -> Batch:
        """One row for each choice."""
        rows = len(self.answers)
        each = rows // len(texts) or 1
        return Batch(
            rows,
            tuple(text for text in texts for _ in range(each)),
            mean_logprob=self._signal("mean_logprob"),
            min_logprob=self._signal("min_logprob"),
            mean_margin=self._signal("mean_margin"),
            answers=tuple(answer.text for answer in self.answers),
            samples=samples if len(samples) == rows else (),
        )

    def _signal(self, name: str) -> Scores | None:
        values = [getattr(answer, name) for answer in self.answers]
        if None in values:
            return None
        signal = np.array(values, dtype=np.float64)
        signal.setflags(write=False)
        return signal


class Edge:
    """Asks the edge for whole answers, with log-probabilities as long as it has them."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._scores = True

    async def answer(self, path: str, body: Mapping[str, Any], attempt: Attempt) -> FirstAnswer:
        """Raises HEMError."""
        with attempt.under_way():
            attempt.asked = await self._target.model()
            with attempt.traced(path, streams=False):
                first = await self._scored(path, {**body, "model": attempt.asked})
                attempt.read(first.body)
        return first

    async def _scored(self, path: str, body: Mapping[str, Any]) -> FirstAnswer:
        asked = {name: value for name, value in body.items() if name not in STREAMING}
        while True:
            scored = {**asked, **self.scores(path, asked)}
            try:
                return await self._target.http.post(path, scored, lambda b: _read(b, APIS[path]))
            except InvalidField as error:
                if not self.lacks_scores(error, body):
                    raise

    def lacks_scores(self, error: HEMError, body: Mapping[str, Any]) -> bool:
        """Whether the edge refused log-probabilities that only the gateway asked for; it is asked
        for none from then on."""
        refused = isinstance(error, InvalidField) and error.param in LOGPROBS
        if not (refused and self._scores) or body.get("logprobs"):
            return False
        logger.warning("the edge gives no log-probabilities: %s", logged(error))
        self._scores = False
        return True

    async def samples(
        self, path: str, body: Mapping[str, Any], extra: ExtraAnswers, attempt: Attempt
    ) -> tuple[tuple[str, ...], ...]:
        """`extra.count` more answers to the one query of a chat. Empty where the edge fails: its
        first answer is there, and goes on without this signal."""
        left_out = (*STREAMING, *LOGPROBS, "seed")
        asked = {name: value for name, value in body.items() if name not in left_out}
        asked |= {"n": extra.count, "temperature": extra.temperature}
        try:
            with attempt.under_way():
                asked["model"] = attempt.asked = await self._target.model()
                with attempt.traced(path, streams=False):
                    post = self._target.http.post
                    more = await post(path, asked, lambda b: _read(b, APIS[path]))
                    attempt.read(more.body)
        except HEMError as error:
            logger.warning("no sampled answers: %s", logged(error))
            return ()
        return (tuple(answer.text for answer in more.answers),)

    def scores(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """The fields that ask for log-probabilities."""
        if not self._scores:
            return {}
        if path == COMPLETIONS.path:
            return COMPLETIONS.logprobs(max(ALTERNATIVES, body.get("logprobs") or 0))
        return CHAT.logprobs(max(ALTERNATIVES, body.get("top_logprobs") or 0))


def _read(body: Any, api: API) -> FirstAnswer:
    """Raises ValueError, Declined."""
    last = whole_answer(body, api)
    assert last.answer is not None
    others = [whole_answer({**body, "choices": [c]}, api).answer for c in body["choices"][1:]]
    return FirstAnswer(body, [last.answer, *(answer for answer in others if answer)])


def shown(body: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
    """The answer without what the caller did not ask for."""
    if asked.get("logprobs"):
        return dict(body)
    choices = [
        {name: value for name, value in choice.items() if name not in NOT_ASKED_FOR}
        for choice in body["choices"]
    ]
    return {**body, "choices": choices}


def as_events(body: Mapping[str, Any], asked: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The events of a stream that says what a whole answer says."""
    about = {name: body[name] for name in ("id", "created", "model") if name in body}
    chat = body.get("object") != "text_completion"
    about["object"] = "chat.completion.chunk" if chat else "text_completion"
    for choice in body["choices"]:
        kept = {"index": choice.get("index", 0), "logprobs": choice.get("logprobs")}
        said = {"delta": _delta(choice.get("message") or {})} if chat else {"text": choice["text"]}
        yield {**about, "choices": [{**kept, **said, "finish_reason": None}]}
    for choice in body["choices"]:
        empty: dict[str, Any] = {"delta": {}} if chat else {"text": ""}
        ended = {"index": choice.get("index", 0), "finish_reason": choice.get("finish_reason")}
        yield {**about, "choices": [{**empty, **ended}]}
    if (asked.get("stream_options") or {}).get("include_usage"):
        yield {**about, "choices": [], "usage": body.get("usage")}


def _delta(message: Mapping[str, Any]) -> dict[str, Any]:
    """Calls of a stream have an index, those of a message have none."""
    delta = {name: value for name, value in message.items() if value is not None}
    if calls := delta.get("tool_calls"):
        delta["tool_calls"] = [{"index": i, **call} for i, call in enumerate(calls)]
    return delta
