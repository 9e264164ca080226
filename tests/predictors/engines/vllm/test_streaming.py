"""Streams: the parts of an answer are the whole answer in a row, and say what the huggingface
engine's say."""

import asyncio
from contextlib import aclosing
from dataclasses import replace

import pytest

from predictors.contract import Delta, Message, Query, Sampling, ScoredToken
from predictors.engines.base import LOGPROBS, MESSAGES, PENALTIES, RAW, TOKENS, TextEngine
from predictors.errors import ContextTooLong, InvalidRequest
from tests.predictors.engines.vllm.conftest import GREEDY, queries

pytestmark = [
    pytest.mark.engines,
    pytest.mark.timeout(900),
    pytest.mark.asyncio(loop_scope="session"),
]

TOLERANCE = 1e-3  # nats
QUESTION = "What is 347 + 286?"  # answered with several tokens
WAYS = {
    "greedy": GREEDY,
    "short": replace(GREEDY, max_tokens=1),
    "stop": replace(GREEDY, stop=("0", "12")),
    "penalties": replace(
        GREEDY, repetition_penalty=4.0, presence_penalty=1.5, frequency_penalty=2.0
    ),
    "seed": Sampling(max_tokens=24, temperature=1.5, top_p=1.0, seed=7),
}


async def streamed(engine: TextEngine, query: Query) -> list[Delta]:
    return [part async for part in engine.stream(query)]


def scored(parts: list[Delta]) -> list[ScoredToken]:
    return [token for part in parts for token in part.tokens]


@pytest.mark.parametrize("sampling", WAYS.values(), ids=WAYS)
async def test_a_stream_says_what_the_whole_answer_says(
    engine: TextEngine, sampling: Sampling
) -> None:
    asked = queries(40, sampling)
    whole = await engine.generate(asked)
    streams = await asyncio.gather(*(streamed(engine, query) for query in asked))
    for answer, parts in zip(whole, streams, strict=True):
        assert "".join(part.text for part in parts) == answer.text
        last = parts[-1].answer
        assert last is not None
        assert (last.text, last.prompt_tokens, last.completion_tokens) == (
            *(answer.text, answer.prompt_tokens, answer.completion_tokens),
        )
        for name in ("mean_logprob", "min_logprob", "mean_margin"):
            assert getattr(last, name) == pytest.approx(getattr(answer, name), abs=TOLERANCE)
        assert last.time_to_first_token > 0
        reasons = [part.finish_reason for part in parts]
        assert reasons[-1] in ("stop", "length") and set(reasons[:-1]) <= {None}


@pytest.mark.parametrize("way", ["greedy", "short", "stop", "penalties"])
async def test_a_stream_says_what_that_of_the_huggingface_engine_says(
    engine: TextEngine, huggingface: TextEngine, way: str
) -> None:
    asked = [replace(query, top_logprobs=5) for query in queries(40, WAYS[way])]
    here = await asyncio.gather(*(streamed(engine, query) for query in asked))
    there = await asyncio.gather(*(streamed(huggingface, query) for query in asked))
    for ours, theirs in zip(here, there, strict=True):
        assert "".join(part.text for part in ours) == "".join(part.text for part in theirs)
        assert ours[-1].finish_reason == theirs[-1].finish_reason
        assert [token.text for token in scored(ours)] == [token.text for token in scored(theirs)]
        for one, other in zip(scored(ours), scored(theirs), strict=True):
            assert one.logprob == pytest.approx(other.logprob, abs=TOLERANCE)
            assert len(one.top) == len(other.top) == 5
            values = [logprob for _, logprob in other.top]
            assert [logprob for _, logprob in one.top] == pytest.approx(values, abs=TOLERANCE)
            assert one.top[0][0] == other.top[0][0]
    if way == "penalties":
        assert any(token.text != token.top[0][0] for parts in here for token in scored(parts))


async def test_whoever_reads_nothing_before_the_end_gets_all_in_one_part(
    engine: TextEngine,
) -> None:
    for query in queries(20, WAYS["stop"]):
        asked = replace(query, top_logprobs=2)
        parts, (whole,) = await streamed(engine, asked), await engine.whole(asked)
        assert whole.text == "".join(part.text for part in parts)
        assert whole.finish_reason == parts[-1].finish_reason
        assert [token.text for token in whole.tokens] == [token.text for token in scored(parts)]
        assert whole.answer.completion_tokens == parts[-1].answer.completion_tokens


async def test_an_answer_of_several_tokens_comes_token_by_token(engine: TextEngine) -> None:
    parts = await streamed(engine, Query(QUESTION, GREEDY, top_logprobs=0))
    answer = parts[-1].answer
    assert answer is not None and answer.completion_tokens >= 3
    assert [token.text for token in scored(parts)] == [part.text for part in parts if part.text]
    assert len(scored(parts)) == answer.completion_tokens - 1  # the end has no text
    assert all(token.top == () for token in scored(parts))


@pytest.mark.parametrize("asked", [0, 1, 2, 20])
async def test_a_reader_who_comes_late_gets_the_same(engine: TextEngine, asked: int) -> None:
    """vLLM puts together what nobody has read yet."""
    query = Query(QUESTION, GREEDY, top_logprobs=asked)
    prompt = await streamed(engine, query)
    late = []
    async with aclosing(engine.stream(query)) as parts:
        async for part in parts:
            late.append(part)
            async with asyncio.timeout(60):
                while engine.llm.get_num_unfinished_requests():
                    await asyncio.sleep(0.01)
    assert len(late) < len(prompt)
    assert "".join(part.text for part in late) == "".join(part.text for part in prompt)
    assert [token.text for token in scored(late)] == [token.text for token in scored(prompt)]
    for one, other in zip(scored(late), scored(prompt), strict=True):
        assert len(one.top) == len(other.top) == asked
        assert [value for _, value in one.top] == pytest.approx([v for _, v in other.top], abs=1e-3)
    assert late[-1].answer.mean_margin == pytest.approx(prompt[-1].answer.mean_margin, abs=1e-3)
    assert late[-1].finish_reason == prompt[-1].finish_reason


async def test_a_stop_string_across_tokens_shows_in_no_part(engine: TextEngine) -> None:
    whole = (await engine.generate([Query(QUESTION, GREEDY)]))[0].text
    assert len(whole) >= 3
    stop = whole[1:3]
    parts = await streamed(engine, Query(QUESTION, replace(GREEDY, stop=(stop, "never there"))))
    assert "".join(part.text for part in parts) == whole[: whole.index(stop)]
    assert parts[-1].finish_reason == "stop"


async def test_what_it_takes_beside_a_text(engine: TextEngine, huggingface: TextEngine) -> None:
    assert engine.takes >= {LOGPROBS, MESSAGES, PENALTIES, RAW, TOKENS}
    tokens = tuple(engine.llm.get_tokenizer().encode(QUESTION))
    messages = (Message("user", "1 + 1?"), Message("assistant", "2"), Message("user", QUESTION))
    asked = [
        Query(QUESTION, GREEDY, messages=messages),
        Query(QUESTION, GREEDY, raw=True),
        Query("", GREEDY, raw=True, tokens=tokens),
    ]
    here, there = await engine.generate(asked), await huggingface.generate(asked)
    assert [(a.text, a.prompt_tokens) for a in here] == [(a.text, a.prompt_tokens) for a in there]
    talk, raw, numbers = here
    assert talk.prompt_tokens > raw.prompt_tokens == numbers.prompt_tokens == len(tokens)


@pytest.mark.parametrize("text", ["1 + " * 600, "x" * 10_000_000], ids=["tokens", "characters"])
async def test_what_is_longer_than_the_context_is_refused_as_such(
    engine: TextEngine, text: str
) -> None:
    for asking in (engine.generate([Query(text, GREEDY)]), streamed(engine, Query(text, GREEDY))):
        with pytest.raises(ContextTooLong, match="context of 1024 tokens"):
            await asking


@pytest.mark.parametrize("token", [429, 99999, -1, 2**70])
async def test_a_token_that_does_not_exist_is_the_callers_fault(
    engine: TextEngine, token: int
) -> None:
    if token == 429 and engine.llm.model_config.get_vocab_size() > 429:
        pytest.skip("this model knows it")
    with pytest.raises(InvalidRequest, match=f"there is no token {token}") as caught:
        await engine.generate([Query("", GREEDY, raw=True, tokens=(3, token))])
    assert caught.value.param == "prompt"
    assert (await engine.generate([Query(QUESTION, GREEDY)]))[0].text
