"""What becomes of answers and streams that are broken, and of figures in them that are none."""

import json
from typing import Any
from unittest.mock import ANY

import pytest

from predictors.contract import Answer
from predictors.errors import UpstreamError
from tests.predictors.engines.answering import answering
from tests.predictors.engines.openai_api.conftest import Ask


def event(**delta: Any) -> str:
    return f"data: {json.dumps({'choices': [{'index': 0, 'delta': delta}]})}\n\n"


@pytest.mark.parametrize(
    ("stream", "said"),
    [
        ("", "a stream that broke off"),
        (event(content="Hel"), "a stream that broke off"),
        (event(content="Hel") + 'data: {"choices": [{"delta"\n\n', "unexpected end"),
        (event(content="Hel") + 'data: {"error": {"message": "out of blocks"}}\n\n', "out of bl"),
        (event(content=["Hel"]), "a stream that broke off"),
        (event(content=7), "delta.content is not a string"),
        (event(content=[7]), "delta.content is not a string"),
        (event(content="Hel") + "event: error\ndata: out of blocks\n\n", "out of blocks"),
        (event(content="Hel") + 'event: error\ndata: {"message": "no GPU"}\n\n', "error: no GPU"),
        (event(content="Hel") + 'data: {"object": "error", "message": "no GPU"}\n\n', "no GPU"),
        (event(content="Hel") + 'data: [{"error": {"message": "no GPU"}}]\n\n', "error: no GPU"),
        (
            event(content="Hel") + 'data: {"choices": [{"error": {"message": "no GPU"}}]}\n\n',
            "no G",
        ),
        (event(content="Hel") + 'data: {"choices": [{"finish_reason": ""}]}\n\n', "broke off"),
        (event(content="Hel") + event(content="lo")[:-20], "unexpected"),
        ('data: {"choices": [7]}\n\n', "its choice is not an object"),
        ('data: "text"\n\n', "a stream that broke off"),
        ('data: ["text"]\n\n', "not a JSON object"),
        ("data: [DONE]\n\n", "it has no choices"),
        ('data: {"choices": []}\n\ndata: [DONE]\n\n', "it has no choices"),
        (
            'data: {"choices": [{"delta": {}, "finish_reason": {"type": "abort"}}]}\n\n',
            "ended with 'abort'",
        ),
    ],
)
async def test_a_broken_stream_is_a_bad_gateway(ask: Ask, stream: str, said: str) -> None:
    async with answering(stream.encode(), "text/event-stream") as url:
        with pytest.raises(UpstreamError, match=said) as raised:
            await ask("hello", url=url, stream="true")
    assert raised.value.status == 502


async def test_a_stream_is_utf_8_whatever_its_charset(ask: Ask) -> None:
    stream = event(content="grüß") + "data: [DONE]\n\n"
    async with answering(stream.encode(), "text/event-stream; charset=base64") as url:
        assert await ask("hello", url=url, stream="true") == [
            Answer("grüß", time_to_first_token=ANY)
        ]


async def test_a_stream_that_is_none_is_a_bad_gateway(ask: Ask) -> None:
    with pytest.raises(UpstreamError, match="not an event stream"):
        await ask("html", stream="true")


@pytest.mark.parametrize("query", ["endless 200 identity", "endless 200 gzip"])
async def test_a_stream_without_an_end_is_not_kept(ask: Ask, query: str) -> None:
    with pytest.raises(UpstreamError, match="more than 5000000 bytes"):
        await ask(query, stream="true", max_answer_bytes="5000000")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('{"choices": []}', "it has no choices"),
        ('{"choices": [{}]}', "a choice without message"),
        ('{"choices": [{"message": {"content": 7}}]}', "message.content is not a string"),
        ('{"choices": [{"finish_reason": "abort", "message": {}}]}', "ended with 'abort'"),
        ('{"error": {"message": "no GPU"}}', "an error: no GPU"),
        ('{"id": 7}', "it has no choices"),
        ("[]", "not a JSON object"),
        ('[{"error": {"code": 503, "message": "no GPU"}}]', "an error: no GPU"),
        ('{"object": "error", "message": "no GPU"}', "an error: no GPU"),
        ('{"choices": [{"message": {"content": [7]}}]}', "message.content is not a string"),
        (
            '{"choices": [{"finish_reason": "insufficient_system_resource", "message": {}}]}',
            "ended with 'insufficient_system_resource'",
        ),
        ('{"choices": null, "usage": {"prompt_tokens": 5}}', "it has no choices"),
    ],
)
async def test_an_answer_that_is_none_is_a_bad_gateway(ask: Ask, body: str, said: str) -> None:
    async with answering(body.encode()) as url:
        with pytest.raises(UpstreamError, match=said):
            await ask("hello", url=url)


@pytest.mark.parametrize(
    "logprobs",
    [
        None,
        7,
        {},
        {"content": []},
        {"content": None},
        {"content": [{"token": "a"}]},
        {"content": [{"logprob": None}]},
        {"token_logprobs": [None, -1]},
        {"token_logprobs": [-1, -1], "top_logprobs": [{"a": -1}]},
        {"content": ["a"]},
        {"content": [{"logprob": True}]},
        {"content": [{"logprob": 1000}]},
        {"content": [{"logprob": -1e300}]},
        {"token_logprobs": [-0.1], "top_logprobs": [[-0.1, -2]]},
    ],
)
async def test_broken_log_probabilities_are_left_out(ask: Ask, logprobs: Any) -> None:
    choice = {"message": {"content": None}, "logprobs": logprobs}
    body = {"choices": [choice], "usage": {"prompt_tokens": "7", "completion_tokens": -1}}
    async with answering(json.dumps(body).encode()) as url:
        assert await ask("hello", url=url) == [Answer("")]


@pytest.mark.parametrize("odd", [True, 10**12, 1.5, -1, "7", [7]])
async def test_a_count_that_is_none_is_left_out(ask: Ask, odd: Any) -> None:
    usage = {"prompt_tokens": 7, "completion_tokens": odd}
    body = {"choices": [{"message": {"content": "a"}}], "usage": usage}
    async with answering(json.dumps(body).encode()) as url:
        assert await ask("hello", url=url) == [Answer("a", prompt_tokens=7)]


@pytest.mark.parametrize(
    ("details", "cached"),
    [({"cached_tokens": 4}, 4), ({"cached_tokens": "4"}, None), (None, None), ([], None)],
)
async def test_what_the_server_had_of_the_prompt_is_told(
    ask: Ask, details: Any, cached: int | None
) -> None:
    usage = {"prompt_tokens": 7, "prompt_tokens_details": details}
    body = {"choices": [{"message": {"content": "a"}}], "usage": usage}
    async with answering(json.dumps(body).encode()) as url:
        assert await ask("hello", url=url) == [Answer("a", prompt_tokens=7, cached_tokens=cached)]


async def test_an_odd_alternative_gives_no_margin(ask: Ask) -> None:
    alternatives = [{"logprob": -0.5}, {"logprob": 1000}]
    token = {"logprob": -0.5, "top_logprobs": alternatives}
    choice = {"message": {"content": "a"}, "logprobs": {"content": [token]}}
    async with answering(json.dumps({"choices": [choice]}).encode()) as url:
        (answer,) = await ask("hello", url=url)
    assert (answer.mean_logprob, answer.mean_margin) == (-0.5, None)


async def test_one_alternative_gives_no_margin(ask: Ask) -> None:
    token = {"logprob": -0.5, "top_logprobs": [{"token": "a", "logprob": -0.5}]}
    choice = {"message": {"content": "a"}, "logprobs": {"content": [token]}}
    async with answering(json.dumps({"choices": [choice]}).encode()) as url:
        (answer,) = await ask("hello", url=url)
    assert (answer.mean_logprob, answer.mean_margin) == (-0.5, None)
