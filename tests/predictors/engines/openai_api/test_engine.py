"""What the engine sends, what it makes of broken answers, and what it keeps to itself."""

import asyncio
import contextlib
import gzip
import json
import ssl
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest
import trustme

from predictors.contract import (
    Answer,
    Message,
    Query,
    Sampling,
    parse_sampling,
)
from predictors.contract.openai.errors import InvalidField
from predictors.engines.openai_api import OpenAIAPIEngine, OpenAIAPISettings
from predictors.errors import (
    Cause,
    ConfigurationError,
    InvalidRequest,
    UpstreamError,
)
from predictors.serving.settings import PredictorSettings
from predictors.settings import read_settings
from predictors.upstream.client import forwarded_headers
from tests.conftest import free_port
from tests.listening import listening
from tests.predictors.engines.answering import answering
from tests.predictors.upstream.failing import failing
from tests.predictors.upstream.far_side import MODEL, FarSide
from tests.transformers_hem.labels.servers import says, serving

KEY = "sk-0123456789abcdef"
PLAIN = Sampling(temperature=0, repetition_penalty=1)


@pytest.fixture(scope="module")
def far() -> Iterator[FarSide]:
    with FarSide() as far:
        yield far


Ask = Callable[..., Awaitable[list[Answer]]]


@pytest.fixture
async def ask(far: FarSide) -> AsyncIterator[Ask]:
    """ask(query, ..., sampling=..., option=...): the answers of an engine in front of `far`."""
    far.requests.clear()

    async def ask(*queries: str, sampling: Sampling = PLAIN, **options: Any) -> list[Answer]:
        given = {"url": f"{far.url}/v1", "upstream_model": MODEL, "retries": 0, **options}
        engine = OpenAIAPIEngine(read_settings(OpenAIAPISettings, given))
        try:
            await engine.start()
            return await engine.generate([Query(query, sampling) for query in queries])
        finally:
            await engine.close()

    yield ask


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


async def test_tracing_headers_go_on_and_the_key_and_extra_headers_go_with_them(
    ask: Ask, far: FarSide, tmp_path: Path
) -> None:
    key = tmp_path / "key"
    key.write_text(KEY + "\n")
    with forwarded_headers({"traceparent": "t-1", "authorization": "the caller's"}):
        await ask("hello", api_key_file=str(key), extra_headers='{"x-team": "edge"}')
    headers = next(each for each in far.requests if each.query == "hello").headers
    assert headers["authorization"] == f"Bearer {KEY}"
    assert (headers["traceparent"], headers["x-team"]) == ("t-1", "edge")


async def test_no_key_no_header(ask: Ask, far: FarSide) -> None:
    await ask("hello")
    assert "authorization" not in far.requests[0].headers


async def test_an_extra_header_may_stand_for_the_key(ask: Ask, far: FarSide) -> None:
    with pytest.raises(UpstreamError) as raised:
        headers = json.dumps({"Authorization": f"Basic {KEY}"})
        await ask("status 500", api_key="sk-other", extra_headers=headers)
    assert far.requests[0].headers["authorization"] == f"Basic {KEY}"
    assert KEY not in str(raised.value)


@pytest.mark.parametrize(
    "path",
    [
        "/openai/deployments/d?api-version=2024-06-01",
        "/openai/deployments/d/?api-version=2024-06-01",
        "/openai/deployments/d/chat/completions?api-version=2024-06-01",
    ],
)
async def test_the_parameters_of_a_url_go_with_each_call(ask: Ask, far: FarSide, path: str) -> None:
    await ask("hello", url=f"{far.url}{path}", api_key=KEY, api_key_header="api-key")
    request = far.requests[0]
    assert request.path == "/openai/deployments/d/chat/completions?api-version=2024-06-01"
    assert request.headers["api-key"] == KEY
    assert "authorization" not in request.headers


async def test_the_parameters_of_a_url_go_with_the_list_of_models(ask: Ask, far: FarSide) -> None:
    await ask("hello", url=f"{far.url}/v1?code={KEY}", upstream_model="")
    assert [request.path for request in far.requests] == [
        f"/v1/models?code={KEY}",
        f"/v1/chat/completions?code={KEY}",
    ]


async def test_a_parameter_that_may_be_a_key_is_never_told(ask: Ask, far: FarSide) -> None:
    body = json.dumps({"error": f"wrong code {KEY}; api-version 2024-06-01 it is"}).encode()
    async with answering(body, status=500) as url:
        with pytest.raises(UpstreamError) as raised:
            await ask("x", url=f"{url}/v1?code={KEY}&api-version=2024-06-01")
    assert str(raised.value) == (
        f"{url}/v1/chat/completions answered 500: wrong code ***; api-version 2024-06-01 it is"
    )


UNSUPPORTED = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."


@pytest.mark.parametrize(
    ("said", "fields", "kept"),
    [
        (UNSUPPORTED, {"max_tokens"}, {"max_completion_tokens", "logprobs", "top_logprobs"}),
        ("'logprobs' is not supported with this model", {"logprobs"}, {"max_tokens"}),
        ("Unrecognized request argument supplied: top_logprobs", {"top_logprobs"}, {"max_tokens"}),
        ("stream_options is not permitted", {"stream_options"}, {"max_tokens", "logprobs"}),
        ("you are not allowed to request logprobs", {"logprobs"}, {"max_tokens"}),
    ],
)
async def test_a_field_that_costs_no_answer_is_left_out_where_the_server_lacks_it(
    said: str, fields: set[str], kept: set[str]
) -> None:
    def reply(body: dict[str, Any]) -> tuple[int, Any]:
        return (400, {"error": {"message": said}}) if fields & body.keys() else says("yes")

    with serving(reply, "/v1") as server:
        settings = OpenAIAPISettings(url=server.url, upstream_model="m", stream=True)
        engine = OpenAIAPIEngine(settings)
        await engine.start()
        for _ in range(2):
            assert (await engine.generate([Query("x", PLAIN)]))[0].text == "yes"
        await engine.close()
    bodies = [body.keys() for _, body in server.requests]
    assert len(bodies) == 3
    assert kept <= bodies[1] and not fields & bodies[1]
    assert bodies[2] == bodies[1]


async def test_a_temperature_that_the_model_lacks_is_the_callers_to_leave_out() -> None:
    refusal = {"error": {"message": "x", "param": "temperature", "code": "unsupported_value"}}
    refusal["error"]["message"] = "Unsupported value: 0 with this model."
    with serving(lambda _: (400, refusal), "/v1") as server:
        engine = OpenAIAPIEngine(OpenAIAPISettings(url=server.url, upstream_model="gpt-5"))
        await engine.start()
        with pytest.raises(InvalidRequest, match=r"extra_body '\{\"temperature\": null\}'"):
            await engine.generate([Query("x", PLAIN)])
        await engine.close()
    assert len(server.requests) == 1
    assert "max_completion_tokens" in server.requests[0][1]


BEGUN = Query(
    "hello", PLAIN, (Message("user", "hello"), Message("assistant", "wor")), continues=True
)


@pytest.mark.parametrize("api", ["chat", "completions"])
async def test_an_answer_that_goes_on_is_asked_for_in_vllms_fields_or_as_a_text(
    far: FarSide, api: str
) -> None:
    far.requests.clear()
    settings = {"url": f"{far.url}/v1", "upstream_model": MODEL, "api": api}
    engine = OpenAIAPIEngine(read_settings(OpenAIAPISettings, settings))
    await engine.start()
    await engine.generate([BEGUN])
    await engine.close()
    body = far.requests[0].body
    if api == "completions":
        assert body["prompt"] == "hellowor"
        assert not {"continue_final_message", "add_generation_prompt"} & set(body)
        return
    assert body["messages"] == [
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": "wor"},
    ]
    assert (body["continue_final_message"], body["add_generation_prompt"]) == (True, False)


BOTH = "Unrecognized request arguments supplied: add_generation_prompt, continue_final_message"
UNKNOWN = {"param": "add_generation_prompt", "code": "unknown_parameter"}
EXTRA = {"type": "extra_forbidden", "loc": ["body", "continue_final_message"], "msg": "Extra input"}
REFUSALS: dict[str, tuple[int, Any]] = {
    "OpenAI, both": (400, {"error": {"message": BOTH, "param": None, "code": None}}),
    "OpenAI, one": (400, {"error": {"message": "Unknown parameter: 'add_g...'.", **UNKNOWN}}),
    "FastAPI": (422, {"detail": [EXTRA]}),
    "a template": (400, {"error": {"message": "continue_final_message is set but", "code": 400}}),
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("status", "refusal"), REFUSALS.values(), ids=REFUSALS)
async def test_a_server_that_begins_every_answer_anew_refuses_the_one_field(
    status: int, refusal: Any, stream: bool
) -> None:
    with serving(lambda _: (status, refusal), "/v1") as server:
        engine = OpenAIAPIEngine(OpenAIAPISettings(url=server.url, upstream_model="m"))
        await engine.start()
        with pytest.raises(InvalidField) as refused:
            if stream:
                _ = [part async for part in engine.stream(BEGUN)]
            else:
                await engine.generate([BEGUN])
        await engine.close()
    assert (refused.value.status, refused.value.param) == (400, "continue_final_message")
    assert len(server.requests) == 1


@pytest.mark.parametrize("key", ["x", "sk", "none", KEY])
async def test_a_key_of_any_length_leaves_a_reason_readable(ask: Ask, key: str) -> None:
    body = {"error": {"message": f"no max_tokens in the context; api key: {key}"}}
    async with answering(json.dumps(body).encode(), status=500) as url:
        with pytest.raises(
            UpstreamError, match=r": no max_tokens in the context; api key: \*\*\*$"
        ):
            await ask("x", url=url, api_key=key, api_key_header="api-key")


@pytest.mark.parametrize("name", [" ", "api key", "schlüssel", "a\nb"])
async def test_a_header_that_cannot_be_is_refused(ask: Ask, name: str) -> None:
    with pytest.raises(ConfigurationError, match="--api_key_header"):
        await ask("x", api_key=KEY, api_key_header=name)


def test_settings_never_show_the_key() -> None:
    settings = OpenAIAPISettings(
        api_key=KEY, extra_headers=f'{{"api-key": "{KEY}"}}', proxy=f"http://u:{KEY}@p:1"
    )
    assert KEY not in repr(settings) + str(settings) + str(settings.model_dump())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"api_key": f"{KEY}\n{KEY}"}, "--api_key holds what is not a key"),
        ({"api_key": f"{KEY} ünïcode"}, "--api_key holds what is not a key"),
        ({"api_key": KEY, "api_key_file": "/dev/null"}, "give one of"),
        ({"api_key_file": "/nowhere/key"}, "--api_key_file '/nowhere/key': .*No such file"),
        ({"api_key_file": "/dev/null"}, "is empty"),
        ({"extra_headers": f'{{"a": "{KEY}'}, "--extra_headers is not JSON"),
        ({"extra_headers": f'["{KEY}"]'}, "--extra_headers is JSON, but not an object"),
        ({"extra_headers": f'{{"a": "{KEY}\\n"}}'}, "--extra_headers: 'a' can't be sent"),
        ({"extra_body": f"{KEY}"}, "--extra_body is not JSON"),
        ({"proxy": f"{KEY}"}, "--proxy is not a proxy's URL"),
        ({"ca_bundle": "/nowhere.pem"}, "--ca_bundle '/nowhere.pem'"),
        ({"url": f"http://user:{KEY}@x/v1"}, "--url .* must not hold a password"),
        ({"api": "chats"}, "--api 'chats'"),
        ({"top_logprobs": "21"}, "--top_logprobs '21'"),
        ({"retries": "-1"}, "--retries '-1'"),
    ],
)
async def test_a_bad_setting_is_one_line_without_the_key(
    ask: Ask, options: dict[str, str], said: str
) -> None:
    with pytest.raises(ConfigurationError, match=said) as raised:
        await ask("never asked", **options)
    assert KEY not in str(raised.value)
    assert "\n" not in str(raised.value)


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


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress])
async def test_a_packed_answer_is_unpacked(pack: Callable[[bytes], bytes]) -> None:
    text = "a" * 300_000
    packed = pack(json.dumps({"choices": [{"message": {"content": text}}]}).encode())

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        assert "accept-encoding: gzip\r\n" in head
        coding = "gzip" if pack is gzip.compress else "deflate"
        lines = f"HTTP/1.1 200 X\r\ncontent-encoding: {coding}\r\ncontent-length: {len(packed)}"
        writer.write(lines.encode() + b"\r\n\r\n" + packed)
        await writer.drain()

    async with listening(answer) as address:
        settings = OpenAIAPISettings(url=f"http://{address}", upstream_model="m")
        engine = OpenAIAPIEngine(settings)
        await engine.start()
        assert await engine.generate([Query("a", PLAIN)]) == [Answer(text)]
        await engine.close()


async def test_a_refused_stream_says_why(ask: Ask) -> None:
    with pytest.raises(InvalidRequest, match="the far side's words"):
        await ask("status 400", stream="true")


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


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('{"error": {"message": "too long", "type": "invalid_request_error"}}', "^too long$"),
        ('{"object": "error", "message": "too long", "code": 400}', "^too long$"),
        ('{"detail": [{"loc": ["body"], "msg": "too long"}]}', "too long"),
        ('{"error": "too long"}', "^too long$"),
        ("too\n long", "^too long$"),
        ("", "answered 400$"),
    ],
    ids=["openai", "sglang and lmdeploy", "fastapi", "v2", "text", "empty"],
)
async def test_each_server_has_its_own_shape_of_error(ask: Ask, body: str, said: str) -> None:
    async with answering(body.encode(), status=400) as url:
        with pytest.raises(InvalidRequest, match=said):
            await ask("hello", url=url)


async def test_a_far_side_that_is_down_is_unavailable(ask: Ask) -> None:
    with failing(Cause.UNREACHABLE, match="can't be reached: Connection refused"):
        await ask("hello", url=f"http://127.0.0.1:{free_port()}/v1")


async def test_a_host_that_has_no_address_is_unavailable(ask: Ask) -> None:
    with failing(Cause.UNREACHABLE, match=r"nowhere\.invalid.* can't be reached"):
        await ask("hello", url="http://nowhere.invalid/v1")


@pytest.mark.filterwarnings("ignore:.*(BasicAuth|proxy_auth):DeprecationWarning")  # httpx_aiohttp
async def test_calls_go_through_the_proxy(ask: Ask, far: FarSide) -> None:
    """FarSide takes the absolute URL of a proxied request for a path."""
    proxy = far.url.replace("//", "//user:password@")
    await ask("hello", url="http://cloud.example/v1", proxy=proxy)
    request = far.requests[0]
    assert request.path == "http://cloud.example/v1/chat/completions"
    assert request.headers["proxy-authorization"].startswith("Basic ")


async def test_a_proxy_that_is_down_is_named(ask: Ask) -> None:
    with failing(Cause.UNREACHABLE, match=r"the proxy to http://cloud\.example"):
        await ask("x", url="http://cloud.example/v1", proxy=f"http://127.0.0.1:{free_port()}")


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def secure(authority: trustme.CA) -> Iterator[FarSide]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with FarSide(context) as far:
        yield far


async def test_a_certificate_verifies_by_the_bundle(
    ask: Ask, secure: FarSide, authority: trustme.CA, tmp_path: Path
) -> None:
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(bundle))
    answers = await ask("hello", url=f"{secure.url}/v1", ca_bundle=str(bundle))
    assert answers[0].text == "HELLO"


async def test_a_certificate_that_does_not_verify_is_a_bad_gateway(
    ask: Ask, secure: FarSide
) -> None:
    secure.requests.clear()
    with pytest.raises(UpstreamError, match=r"certificate of .* does not verify: ") as raised:
        await ask("hello", url=f"{secure.url}/v1", api_key=KEY)
    assert raised.value.status == 502
    assert secure.requests == []


async def test_a_caller_who_leaves_closes_the_connection() -> None:
    asked, gone = asyncio.Semaphore(0), asyncio.Semaphore(0)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if head.startswith(b"POST"):
            asked.release()
            await reader.read()
            gone.release()

    async with listening(answer) as address, asyncio.timeout(30):
        settings = OpenAIAPISettings(url=f"http://{address}/v1", upstream_model="m")
        engine = OpenAIAPIEngine(settings)
        await engine.start()
        task = asyncio.create_task(engine.generate([Query("a", PLAIN), Query("b", PLAIN)]))
        for _ in range(2):
            await asked.acquire()
        task.cancel()
        await asyncio.wait([task])
        for _ in range(2):
            await gone.acquire()
        assert task.cancelled()
        await engine.close()
