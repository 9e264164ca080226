"""What the engine sends: sampling, dialects, models, rows."""

import asyncio
import contextlib
from typing import Any

import pytest

from predictors.contract import Answer, Query, Sampling, parse_sampling
from predictors.engines.openai_api import OpenAIAPIEngine, OpenAIAPISettings
from predictors.errors import InvalidRequest, UpstreamError
from predictors.serving.settings import PredictorSettings
from predictors.settings import read_settings
from tests.predictors.engines.answering import answering
from tests.predictors.engines.openai_api.conftest import PLAIN, Ask
from tests.predictors.upstream.far_side import MODEL, FarSide


async def test_a_chat_request_has_the_sampling_and_asks_for_log_probabilities(
    ask: Ask, far: FarSide
) -> None:
    sampling = Sampling(7, 0.5, 0.9, 1.2, ("\n", "END"), 3)
    (answer,) = await ask("hello", sampling=sampling)
    assert answer == Answer("HELLO", served_by=MODEL)
    assert far.requests[0].path == "/v1/chat/completions"
    assert far.requests[0].body == {
        "model": MODEL,
        "messages": [{"role": "user", "content": "hello"}],
        "max_tokens": 7,
        "temperature": 0.5,
        "top_p": 0.9,
        "repetition_penalty": 1.2,
        "stop": ["\n", "END"],
        "seed": 3,
        "logprobs": True,
        "top_logprobs": 2,
    }


async def test_a_completions_request_sends_the_bare_text(ask: Ask, far: FarSide) -> None:
    await ask("hello", api="completions", top_logprobs="5")
    assert far.requests[0].path == "/v1/completions"
    assert (far.requests[0].body["prompt"], far.requests[0].body["logprobs"]) == ("hello", 5)


async def test_dialects_differ_by_settings(ask: Ask, far: FarSide) -> None:
    await ask(
        "hello",
        sampling=Sampling(9, repetition_penalty=1.1),
        max_tokens_field="max_completion_tokens",
        repetition_penalty_field="repeat_penalty",
        top_logprobs="0",
        extra_body='{"reasoning_effort": "low", "top_p": null}',
    )
    body = far.requests[0].body
    assert (body["max_completion_tokens"], body["repeat_penalty"]) == (9, 1.1)
    assert body["reasoning_effort"] == "low"
    assert not {"max_tokens", "repetition_penalty", "top_p", "logprobs", "stop"} & set(body)


async def test_a_penalty_that_the_server_lacks_is_refused_and_never_another_one(
    ask: Ask, far: FarSide
) -> None:
    asked = parse_sampling({"repetition_penalty": 1.05}, Sampling())
    with pytest.raises(InvalidRequest, match=r"no repetition_penalty \(1.05 was asked\): leave"):
        await ask("hello", sampling=asked, repetition_penalty_field="none")
    assert far.requests == []
    await ask("hello", repetition_penalty_field="none")
    assert not {name for name in far.requests[0].body if "penalty" in name}


@pytest.mark.parametrize(
    ("parameters", "field", "sent"),
    [
        ({}, "", {}),
        ({}, "none", {}),
        ({}, "repetition_penalty", {"repetition_penalty": 1.05}),
        ({}, "repeat_penalty", {"repeat_penalty": 1.05}),
        ({"repetition_penalty": 1.05}, "", {"repetition_penalty": 1.05}),
        ({"repetition_penalty": 1.2}, "", {"repetition_penalty": 1.2}),
        ({"repetition_penalty": 1}, "", {}),
    ],
)
@pytest.mark.parametrize("who", ["the caller", "the operator"])
async def test_a_default_that_nobody_named_is_not_sent_where_openai_has_no_such_field(
    ask: Ask, far: FarSide, parameters: dict[str, Any], field: str, sent: dict[str, Any], who: str
) -> None:
    if who == "the operator":
        options = {name: str(value) for name, value in parameters.items()}
        sampling = read_settings(PredictorSettings, options).sampling()
    else:
        sampling = parse_sampling(parameters, read_settings(PredictorSettings, {}).sampling())
    await ask("hello", sampling=sampling, repetition_penalty_field=field)
    assert {n: v for n, v in far.requests[0].body.items() if "penalty" in n} == sent
    fields = {"model", "messages", "max_tokens", "temperature", "top_p", "logprobs", "top_logprobs"}
    assert set(far.requests[0].body) == fields | set(sent)


async def test_the_one_model_that_is_listed_is_asked(ask: Ask, far: FarSide) -> None:
    await ask("hello", upstream_model="")
    assert [request.path for request in far.requests] == ["/v1/models", "/v1/chat/completions"]
    assert far.requests[1].body["model"] == MODEL


async def test_a_server_that_comes_back_with_another_model_is_asked_for_its_name(
    far: FarSide,
) -> None:
    engine = OpenAIAPIEngine(OpenAIAPISettings(url=f"{far.url}/v1", retries=0))
    await engine.start()
    far.requests.clear()
    for query in ("hello", "status 500", "hello", "status 404", "hello"):
        with contextlib.suppress(UpstreamError):
            await engine.generate([Query(query, PLAIN)])
    await engine.close()
    asked = [request.path.removeprefix("/v1/") for request in far.requests]
    chat = "chat/completions"
    assert asked == ["models", chat, chat, chat, chat, "models", chat]


@pytest.mark.parametrize(
    ("listed", "said"),
    [
        ('{"data": [{"id": "a"}, {"id": "b"}]}', r"models \(a, b\); choose .* --upstream_model"),
        ('{"data": []}', r"models \(none\)"),
        ('{"object": "list", "data": null}', "not a list of models"),
        ('["a"]', "not a list of models"),
    ],
)
async def test_a_list_without_the_one_model_says_how_to_choose(
    ask: Ask, listed: str, said: str
) -> None:
    async with answering(listed.encode()) as url:
        with pytest.raises(UpstreamError, match=said):
            await ask("hello", url=url, upstream_model="")


async def test_rows_are_asked_side_by_side_and_answered_in_order(ask: Ask) -> None:
    queries = ["late 0.3", *(f"q{n}" for n in range(30))]
    answers = await ask(*queries)
    assert [answer.text for answer in answers] == [query.upper() for query in queries]


async def test_a_row_that_fails_ends_the_others(ask: Ask) -> None:
    async with asyncio.timeout(20):
        with pytest.raises(UpstreamError, match="answered 500"):
            await ask("late 50", "status 500", "late 50")
