"""What a query gets from vLLM is what it gets from the huggingface engine."""

import asyncio
import dataclasses

import pytest

from predictors.contract import (
    Answer,
    Query,
    Sampling,
)
from predictors.engines.base import TextEngine
from predictors.errors import InvalidRequest
from tests.predictors.engines.vllm.conftest import GREEDY, queries

pytestmark = [
    pytest.mark.engines,
    pytest.mark.timeout(900),
    pytest.mark.asyncio(loop_scope="session"),
]

QUESTIONS = 400
# Nats, and probability. Both compute in float32, in another order.
TOLERANCE = 1e-3
# A chain of steps that the models answer with several tokens.
QUESTION = "What is 347 + 286?"


async def ask(engine: TextEngine, text: str, sampling: Sampling) -> Answer:
    (answer,) = await engine.generate([Query(text, sampling)])
    return answer


def with_(sampling: Sampling, **changes: object) -> Sampling:
    return dataclasses.replace(sampling, **changes)


async def test_greedy_answers_and_telemetry_are_those_of_the_huggingface_engine(
    engine: TextEngine, huggingface: TextEngine
) -> None:
    asked = queries(QUESTIONS)
    here, there = await engine.generate(asked), await huggingface.generate(asked)
    assert [a.text for a in here] == [a.text for a in there]
    assert len({a.text for a in here}) > QUESTIONS / 4
    for name in ("prompt_tokens", "completion_tokens"):
        assert [getattr(a, name) for a in here] == [getattr(a, name) for a in there]
    for name in ("mean_logprob", "min_logprob", "mean_margin"):
        for ours, theirs in zip(here, there, strict=True):
            assert getattr(ours, name) == pytest.approx(getattr(theirs, name), abs=TOLERANCE)


async def test_a_penalty_changes_greedy_answers_as_with_the_huggingface_engine(
    engine: TextEngine, huggingface: TextEngine
) -> None:
    asked = queries(60, with_(GREEDY, repetition_penalty=4.0))
    here = [answer.text for answer in await engine.generate(asked)]
    assert here == [answer.text for answer in await huggingface.generate(asked)]
    assert here != [answer.text for answer in await engine.generate(queries(60))]


async def test_answers_are_the_same_in_sequence_in_a_batch_and_concurrently(
    engine: TextEngine,
) -> None:
    asked = queries(48)
    batch = [answer.text for answer in await engine.generate(asked)]
    sequence = [(await engine.generate([query]))[0].text for query in asked]
    together = await asyncio.gather(*(engine.generate([query]) for query in asked))
    assert batch == sequence == [answer.text for (answer,) in together]


async def test_a_seed_gives_the_same_answer_whatever_else_is_running(engine: TextEngine) -> None:
    seeded = Sampling(max_tokens=24, temperature=2.0, top_p=1.0, seed=7)
    alone = await ask(engine, QUESTION, seeded)
    again, *_ = await asyncio.gather(
        ask(engine, QUESTION, seeded),
        *(engine.generate([query]) for query in queries(16, Sampling(max_tokens=20))),
    )
    others = [await ask(engine, QUESTION, with_(seeded, seed=seed)) for seed in range(8, 12)]
    assert again.text == alone.text
    assert {answer.text for answer in others} != {alone.text}


async def test_without_a_seed_samples_differ(engine: TextEngine) -> None:
    hot = Query(QUESTION, Sampling(max_tokens=24, temperature=2.0, top_p=1.0))
    assert len({answer.text for answer in await engine.generate([hot] * 8)}) > 1


async def test_a_tiny_top_p_leaves_only_the_most_probable_token(engine: TextEngine) -> None:
    narrow = Sampling(max_tokens=48, temperature=2.0, top_p=1e-6, repetition_penalty=1.0)
    greedy = await ask(engine, QUESTION, GREEDY)
    sampled = await ask(engine, QUESTION, narrow)
    assert sampled.text == greedy.text
    # Telemetry is the model's own, not that of what top_p left.
    assert sampled.mean_logprob == pytest.approx(greedy.mean_logprob, abs=TOLERANCE)


async def test_a_stop_string_ends_the_answer_and_is_not_part_of_it(
    engine: TextEngine, huggingface: TextEngine
) -> None:
    full = (await ask(engine, QUESTION, GREEDY)).text
    assert len(full) > 1
    stop = with_(GREEDY, stop=("no such", full[-1]))
    cut = await ask(engine, QUESTION, stop)
    assert cut.text == full[: full.index(full[-1])]
    expected = await ask(huggingface, QUESTION, stop)
    assert (cut.text, cut.completion_tokens) == (expected.text, expected.completion_tokens)
    assert cut.mean_logprob == pytest.approx(expected.mean_logprob, abs=TOLERANCE)


async def test_an_answer_ends_at_max_tokens(engine: TextEngine) -> None:
    answer = await ask(engine, QUESTION, with_(GREEDY, max_tokens=1))
    assert answer.completion_tokens == 1
    assert answer.inter_token_latency is None
    assert answer.min_logprob == answer.mean_logprob


async def test_times_are_those_of_the_answer(engine: TextEngine) -> None:
    answer = await ask(engine, QUESTION, GREEDY)
    assert answer.time_to_first_token is not None and answer.inter_token_latency is not None
    assert 0 < answer.time_to_first_token < 30
    assert 0 < answer.inter_token_latency < 30


async def test_a_query_that_leaves_no_room_for_an_answer_is_refused_with_both_numbers(
    engine: TextEngine,
) -> None:
    with pytest.raises(InvalidRequest, match=r"\d{4} tokens.*context of 1024 tokens"):
        await ask(engine, "1 + " * 600, GREEDY)
    with pytest.raises(InvalidRequest, match="10000000 characters"):
        await ask(engine, "x" * 10_000_000, GREEDY)


async def test_max_tokens_is_cut_to_what_the_context_leaves(engine: TextEngine) -> None:
    answer = await ask(engine, "1 + " * 400, with_(GREEDY, max_tokens=1_000_000))
    assert answer.prompt_tokens is not None and answer.completion_tokens is not None
    assert answer.prompt_tokens + answer.completion_tokens <= 1024


async def test_one_row_that_is_refused_refuses_the_request_and_starts_nothing(
    engine: TextEngine,
) -> None:
    with pytest.raises(InvalidRequest):
        await engine.generate([Query(QUESTION, GREEDY), Query("1 + " * 600, GREEDY)])
    assert engine.llm.get_num_unfinished_requests() == 0


async def test_log_probabilities_can_be_left_out() -> None:
    from predictors.engines.vllm.engine import VLLMEngine
    from predictors.engines.vllm.settings import VLLMSettings

    settings = VLLMSettings(model_dir="embedded:edge", enforce_eager=True, logprobs=False)
    engine = VLLMEngine(settings)
    await engine.start()
    asks = dataclasses.replace(queries(1)[0], top_logprobs=3)
    try:
        answers = await engine.generate(queries(4))
        silent = [part async for part in engine.stream(queries(1)[0])]
        asked = [part async for part in engine.stream(asks)]
    finally:
        await engine.close()
    assert all(answer.text and answer.completion_tokens for answer in answers)
    told = [(a.mean_logprob, a.min_logprob, a.mean_margin) for a in (*answers, silent[-1].answer)]
    assert told == [(None, None, None)] * 5
    assert all(part.tokens == () for part in silent)
    # Who asks gets them none the less.
    tokens = [token for part in asked for token in part.tokens]
    assert tokens and all(len(token.top) == 3 for token in tokens)
    assert asked[-1].answer.min_logprob <= min(token.logprob for token in tokens)
    assert 0 <= asked[-1].answer.mean_margin <= 1
