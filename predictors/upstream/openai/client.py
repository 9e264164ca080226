"""Completions of one endpoint, in the fields that its model takes."""

import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any, Final

from predictors.contract import Answer, Delta
from predictors.upstream.client import Response
from predictors.upstream.http import HTTPUpstream
from predictors.upstream.openai.answer import read_answer
from predictors.upstream.openai.bodies import API
from predictors.upstream.openai.refusals import UnsupportedFields
from predictors.upstream.parts import Give, parts

MAX_TOKENS: Final = "max_tokens"
MAX_COMPLETION_TOKENS: Final = "max_completion_tokens"
# OpenAI's models that reason: https://platform.openai.com/docs/guides/reasoning
REASONING: Final = re.compile(r"(?:^|/)(?:o[1-9]|gpt-5(?!.*chat))(?=$|[-.:@])")
# What stands for a field that the server lacks, so that the answer is the same; None: it only tells
# how the answer was made.
SAME_ANSWER: Final[Mapping[str, str | None]] = {
    MAX_TOKENS: MAX_COMPLETION_TOKENS,
    MAX_COMPLETION_TOKENS: MAX_TOKENS,
    "logprobs": None,
    "top_logprobs": None,
    "stream_options": None,
}
TOGETHER: Final = frozenset({"logprobs", "top_logprobs"})


def reasons(model: str) -> bool:
    """Whether a model, by its name, takes max_completion_tokens alone, and no temperature."""
    return REASONING.search(model.lower()) is not None


class Completions:
    """A request that names fields which the server lacks is sent again with what stands for them
    in `substitutes`, and all later ones are sent so at once."""

    def __init__(
        self, http: HTTPUpstream, api: API, substitutes: Mapping[str, str | None] = SAME_ANSWER
    ) -> None:
        self._http = http
        self._api = api
        self._substitutes = substitutes
        self._lacking: dict[str, str | None] = {}

    async def complete(self, body: Mapping[str, Any]) -> Answer:
        """Raises InvalidRequest, UpstreamError or Overloaded."""
        last = await self._last_part(body, None)
        assert last.answer is not None
        return last.answer

    async def stream(self, body: Mapping[str, Any]) -> AsyncGenerator[Delta]:
        """The same, part by part as they come; `body` asks for a stream."""
        async with aclosing(parts(lambda give: self._last_part(body, give))) as coming:
            async for part in coming:
                yield part

    async def _last_part(self, body: Mapping[str, Any], give: Give | None) -> Delta:
        streams = bool(body.get("stream"))
        given = False

        async def pass_on(part: Delta) -> None:
            nonlocal given
            given = True
            assert give is not None
            await give(part)

        async def read(response: Response, begin: float) -> Delta:
            taker = pass_on if give else None
            return await read_answer(response, self._api, begin, streams, taker)

        refused: set[str] = set()
        while True:
            sent = self._adapted(body)
            try:
                return await self._http.stream(
                    self._api.path, sent, read, streams=streams, given=lambda: given
                )
            except UnsupportedFields as error:
                names = error.names & sent.keys()
                refused |= names | (TOGETHER if names & TOGETHER else set())
                found = {n: s for n, s in self._substitutes.items() if n in refused & sent.keys()}
                if not found or refused & set(found.values()):
                    raise
                stands = {n: s for n, s in self._lacking.items() if n not in found.values()}
                self._lacking = stands | found  # the server may have come back with another model

    def _adapted(self, body: Mapping[str, Any]) -> dict[str, Any]:
        names = ((self._lacking.get(name, name), value) for name, value in body.items())
        return {name: value for name, value in names if name is not None}
