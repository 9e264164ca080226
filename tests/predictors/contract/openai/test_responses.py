"""Answers as OpenAI's objects."""

import json

import pytest

from predictors.contract import Answer, Delta, Query
from predictors.contract.openai.responses import ChatWriter, CompletionWriter


@pytest.mark.parametrize("writer", [ChatWriter, CompletionWriter])
@pytest.mark.parametrize(
    ("cached", "told"), [(None, None), (4, {"cached_tokens": 4}), (0, {"cached_tokens": 0})]
)
def test_usage_tells_what_a_server_had_of_the_prompt_where_it_is_known(
    writer: type[ChatWriter] | type[CompletionWriter],
    cached: int | None,
    told: dict[str, int] | None,
) -> None:
    answer = Answer("a", prompt_tokens=7, completion_tokens=1, cached_tokens=cached)
    written = writer("m", [Query("x")])
    body = json.loads(written.whole([[Delta("a", answer=answer)]]))
    for usage in (body["usage"], json.loads(written.usage())["usage"]):
        assert (usage["prompt_tokens"], usage["completion_tokens"]) == (7, 1)
        assert usage.get("prompt_tokens_details") == told
