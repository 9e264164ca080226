"""What a query's own parameters do to its answer, in both ways of batching."""

import asyncio
import random
from pathlib import Path

import pytest

from predictors.contract import (
    Answer,
    Query,
    Sampling,
)
from predictors.engines.huggingface import HuggingFaceEngine, HuggingFaceSettings
from predictors.errors import InvalidRequest
from tests.predictors.engines.huggingface.tiny_llama import CONTEXT, write_tiny_llama

pytestmark = pytest.mark.asyncio(loop_scope="module")

GREEDY = Sampling(max_tokens=30, temperature=0.0, repetition_penalty=1.0)
TEXTS = [f"{'the longer the text ' * (n % 4)}question {n}?" for n in range(16)]


async def ask(engine: HuggingFaceEngine, text: str, sampling: Sampling) -> Answer:
    (answer,) = await engine.generate([Query(text, sampling)])
    return answer


async def test_greedy_answers_are_the_same_alone_in_a_batch_and_among_others(engine):
    alone = [(await ask(engine, text, GREEDY)).text for text in TEXTS]
    batch = await engine.generate([Query(text, GREEDY) for text in TEXTS])
    others = [engine.generate([Query(text, Sampling(max_tokens=9))]) for text in TEXTS]
    concurrent = asyncio.gather(*(ask(engine, text, GREEDY) for text in TEXTS))
    await asyncio.gather(*others)
    assert [answer.text for answer in batch] == alone
    assert [answer.text for answer in await concurrent] == alone
    assert len(set(alone)) == len(TEXTS)


async def test_queries_that_join_a_running_batch_get_the_answers_they_get_alone(engine):
    alone = [(await ask(engine, text, GREEDY)).text for text in TEXTS]
    chance = random.Random(0)

    async def later(text: str) -> str:
        await asyncio.sleep(chance.random() * 0.1)
        return (await ask(engine, text, GREEDY)).text

    assert await asyncio.gather(*(later(text) for text in TEXTS)) == alone


async def test_a_seed_gives_the_same_answer_whatever_else_is_running(engine):
    seeded = Sampling(max_tokens=30, seed=7)
    alone = await ask(engine, "once upon", seeded)
    again, *_ = await asyncio.gather(
        ask(engine, "once upon", seeded),
        *(ask(engine, text, Sampling(max_tokens=20)) for text in TEXTS),
    )
    other = await ask(engine, "once upon", Sampling(max_tokens=30, seed=8))
    assert again.text == alone.text != other.text


async def test_without_a_seed_samples_differ(engine):
    answers = await engine.generate([Query("once upon", Sampling(max_tokens=20))] * 8)
    assert len({answer.text for answer in answers}) > 1


async def test_a_tiny_top_p_leaves_only_the_most_probable_token(engine):
    narrow = Sampling(max_tokens=30, temperature=2.0, top_p=1e-6, repetition_penalty=1.0)
    assert (await ask(engine, "once upon", narrow)).text == (
        await ask(engine, "once upon", GREEDY)
    ).text


async def test_a_strong_repetition_penalty_lets_no_token_come_twice(engine):
    # Every byte is one token; among 260 of them, 25 without any repetition are no chance.
    penalised = Sampling(max_tokens=25, temperature=0.0, repetition_penalty=10.0)
    answer = await ask(engine, "abc", penalised)
    plain = await ask(engine, "abc", Sampling(max_tokens=25, temperature=0.0))
    assert answer.completion_tokens == 25
    assert answer.text != plain.text
    ascii_characters = [character for character in answer.text if character.isascii()]
    assert len(ascii_characters) == len(set(ascii_characters))
    assert not set("abc") & set(ascii_characters)


async def test_a_stop_string_ends_the_answer_and_is_not_part_of_it(engine):
    full = (await ask(engine, "question", GREEDY)).text
    stop = next(c for c in full[3:] if c.isascii())
    cut = await ask(engine, "question", Sampling(30, 0.0, 1.0, 1.0, stop=("no such", stop)))
    assert cut.text == full[: full.index(stop)]
    assert cut.completion_tokens < 30


async def test_a_stop_string_of_several_tokens_is_found_across_them(engine):
    full = (await ask(engine, "question 2", GREEDY)).text
    at = next(i for i in range(5, 25) if full[i : i + 2].isascii() and full[i : i + 2] != "")
    stop = full[at : at + 2]
    cut = await ask(engine, "question 2", Sampling(30, 0.0, 1.0, 1.0, stop=(stop,)))
    assert cut.text == full[: full.index(stop)]


async def test_an_answer_ends_at_max_tokens(engine):
    assert (await ask(engine, "question", Sampling(5, 0.0, 1.0, 1.0))).completion_tokens == 5


async def test_max_tokens_is_cut_to_what_the_context_leaves(engine):
    greedy = Sampling(max_tokens=10_000, temperature=0.0, repetition_penalty=1.0)
    answer = await ask(engine, "x" * 200, greedy)
    assert answer.prompt_tokens + answer.completion_tokens == CONTEXT


async def test_a_query_that_leaves_no_room_for_an_answer_is_refused_with_both_numbers(engine):
    with pytest.raises(InvalidRequest, match=rf"{CONTEXT} tokens.*context of {CONTEXT} tokens"):
        await ask(engine, "x" * (CONTEXT - 2), GREEDY)  # two tokens of chat template
    answer = await ask(engine, "x" * (CONTEXT - 3), GREEDY)
    assert answer.completion_tokens == 1


async def test_megabytes_of_text_are_refused_at_once(engine):
    with pytest.raises(InvalidRequest, match="10000000 characters"):
        await asyncio.wait_for(ask(engine, "x" * 10_000_000, GREEDY), timeout=1)


async def test_the_query_goes_through_the_chat_template(engine):
    assert (await ask(engine, "hello", GREEDY)).prompt_tokens == len("hello") + 2


async def test_without_a_chat_template_the_raw_text_is_continued(tmp_path: Path):
    model_dir = write_tiny_llama(tmp_path, chat=False)
    engine = HuggingFaceEngine(HuggingFaceSettings(model_dir=str(model_dir)))
    await engine.start()
    try:
        assert (await ask(engine, "hello", GREEDY)).prompt_tokens == len("hello")
    finally:
        await engine.close()
