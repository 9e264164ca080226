"""Answers that go on where somebody else's ended are those of the huggingface engine."""

import pytest

from predictors.contract import Query
from predictors.engines.base import TextEngine
from tests.predictors.engines.vllm.conftest import GREEDY, cut, queries

pytestmark = [
    pytest.mark.engines,
    pytest.mark.timeout(900),
    pytest.mark.asyncio(loop_scope="session"),
]


async def test_answers_go_on_as_those_of_the_huggingface_engine(
    engine: TextEngine, huggingface: TextEngine
) -> None:
    asked = queries(40)
    cuts = [query for query, _ in cut(asked, await engine.generate(asked))]
    here, there = await engine.generate(cuts), await huggingface.generate(cuts)
    assert [(a.text, a.prompt_tokens) for a in here] == [(a.text, a.prompt_tokens) for a in there]
    streamed = ["".join([part.text async for part in engine.stream(query)]) for query in cuts[:20]]
    assert streamed == [answer.text for answer in here[:20]]


async def test_answers_join_after_each_token(engine: TextEngine) -> None:
    """Digits are tokens of their own."""
    asked = [Query(f"What is {number} + 385?", GREEDY) for number in range(100, 160)]
    cuts = cut(asked, await engine.generate(asked))
    goes_on = await engine.generate([query for query, _ in cuts])
    assert [answer.text for answer in goes_on] == [rest for _, rest in cuts]
