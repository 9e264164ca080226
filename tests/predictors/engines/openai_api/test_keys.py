"""Keys, headers and parameters of a URL: how they are sent, and that nobody is told them."""

import json
from pathlib import Path

import pytest

from predictors.engines.openai_api import OpenAIAPISettings
from predictors.errors import ConfigurationError, UpstreamError
from predictors.upstream.client import forwarded_headers
from tests.predictors.engines.answering import answering
from tests.predictors.engines.openai_api.conftest import KEY, Ask
from tests.predictors.upstream.far_side import FarSide


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
