"""OpenAI's API of a predictor, as its own client, curl and careless callers use it."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from tests.conftest import ServerProcess, StartServer

OPTIONS = ("--first_event_seconds", "0.3", "--model_aliases", "gpt-4o, small", "--temperature", "0")


@pytest.fixture(scope="module")
def server(start_server: StartServer) -> ServerProcess:
    arguments = ("--model_name", "m", "--engine", "scripted", *OPTIONS)
    return start_server("tests.predictors.scripted", *arguments, ready="/v2/models/m/ready")


@pytest.fixture(scope="module")
def client(server: ServerProcess) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="-", max_retries=0) as client:
        yield client


def user(text: str) -> Any:
    return [{"role": "user", "content": text}]


def events(server: ServerProcess, text: str, **fields: Any) -> list[str]:
    """The lines of a stream that are not blank."""
    body = {"model": "m", "stream": True, "messages": user(text), **fields}
    answer = httpx.post(f"{server.url}/v1/chat/completions", json=body, timeout=30)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["x-accel-buffering"] == "no"
    return [line for line in answer.text.split("\n") if line]


def test_models_are_listed_with_their_aliases(client: openai.OpenAI, server: ServerProcess) -> None:
    assert [model.id for model in client.models.list()] == ["m", "gpt-4o", "small"]
    assert httpx.get(f"{server.url}/openai/v1/models").json()["models"] == ["m"]  # kserve's V1


def test_a_chat_is_answered_whole(client: openai.OpenAI) -> None:
    messages = [{"role": "system", "content": "be loud"}, *user("hello there")]
    answer = client.chat.completions.create(model="m", messages=messages)
    assert answer.choices[0].message.content == "HELLO THERE"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.choices[0].logprobs is None
    assert answer.usage is not None and answer.usage.total_tokens == 3


def test_a_chat_streams(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(
        model="small",
        messages=user("a b c"),
        stream=True,
        stream_options={"include_usage": True},
    )
    *parts, usage = list(stream)
    assert [part.choices[0].delta.content for part in parts] == ["A ", "B ", "C", None]
    assert parts[0].choices[0].delta.role == "assistant"
    assert [part.choices[0].finish_reason for part in parts] == [None, None, None, "stop"]
    assert usage.choices == [] and usage.usage is not None and usage.usage.prompt_tokens == 3
    assert len({part.id for part in (*parts, usage)}) == 1


def test_without_being_asked_there_is_no_usage(server: ServerProcess) -> None:
    lines = events(server, "a b")
    assert lines[-1] == "data: [DONE]"
    for line in lines[:-1]:
        chunk = ChatCompletionChunk.model_validate_json(line.removeprefix("data: "))
        assert chunk.usage is None and chunk.choices


def test_choices_of_a_stream_are_told_apart(client: openai.OpenAI) -> None:
    texts: dict[int, str] = {0: "", 1: "", 2: ""}
    for part in client.chat.completions.create(model="m", messages=user("a b c"), stream=True, n=3):
        texts[part.choices[0].index] += part.choices[0].delta.content or ""
    assert texts == dict.fromkeys(texts, "A B C")


def test_log_probabilities_whole_and_streamed(client: openai.OpenAI) -> None:
    asked: dict[str, Any] = {"logprobs": True, "top_logprobs": 1}
    whole = client.chat.completions.create(model="m", messages=user("a b"), **asked)
    assert whole.choices[0].logprobs is not None
    content = whole.choices[0].logprobs.content or []
    assert [(token.token, token.logprob) for token in content] == [("A ", -0.5), ("B", -0.5)]
    assert [len(token.top_logprobs) for token in content] == [1, 1]
    streamed = [
        token
        for part in client.chat.completions.create(
            model="m", messages=user("a b"), stream=True, **asked
        )
        if part.choices[0].logprobs
        for token in part.choices[0].logprobs.content or []
    ]
    assert streamed == content


def test_a_completion_whose_engine_has_a_template_alone(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.completions.create(model="m", prompt="hello")
    assert refused.value.param == "prompt"


REFUSED: dict[str, tuple[dict[str, Any], int, str | None, str]] = {
    "a model that is not here": ({"model": "x"}, 404, None, "known: gpt-4o, m, small"),
    "tools": ({"tools": [{"type": "function", "function": {"name": "f"}}]}, 400, "tools", "not"),
    "a format": ({"response_format": {"type": "json_object"}}, 400, "response_format", "not"),
    "a penalty": ({"presence_penalty": 1}, 400, "presence_penalty", "not supported"),
    "a bias": ({"logit_bias": {"1": 1}}, 400, "logit_bias", "not supported"),
    "a message that is to go on": (
        {
            "messages": [*user("a"), {"role": "assistant", "content": "b"}],
            "continue_final_message": True,
        },
        400,
        "continue_final_message",
        "not supported by this model: every answer begins anew",
    ),
    "a field that nobody knows": ({"foo": 1}, 400, "foo", "unknown or unsupported field 'foo'"),
    "wrong deep inside": (
        {"messages": [{"role": "user", "content": [{"type": "text", "text": 1}]}]},
        400,
        "messages[0].content[0].text",
        "must be a string",
    ),
    "no messages": ({"messages": []}, 400, "messages", "at least one message"),
    "a tool's answer to nobody": (
        {"messages": [{"role": "tool", "content": "2", "tool_call_id": "c"}]},
        400,
        "messages[0].role",
        "stands behind no message with tool_calls",
    ),
    "too many choices": ({"n": 129}, 400, "n", "less than or equal to 128"),
    "more than the limit": ({"messages": user("x" * 9_000_000)}, 413, None, "the limit is"),
    "an engine that fails": ({"messages": user("fail")}, 500, None, "the script says fail"),
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("fields", "status", "param", "said"), REFUSED.values(), ids=REFUSED)
def test_what_is_wrong_has_a_status_and_openais_shape(
    server: ServerProcess,
    fields: dict[str, Any],
    status: int,
    param: str | None,
    said: str,
    stream: bool,
) -> None:
    body = {"model": "m", "messages": user("a"), "stream": stream, **fields}
    answer = httpx.post(f"{server.url}/openai/v1/chat/completions", json=body)
    assert answer.status_code == status
    error = answer.json()["error"]
    assert (error["param"], set(error)) == (param, {"message", "type", "param", "code"})
    assert said in error["message"]
    good = {"model": "m", "messages": user("a"), "stream": stream}
    assert httpx.post(f"{server.url}/v1/chat/completions", json=good).status_code == 200


@pytest.mark.parametrize(
    ("content", "status"), [(b"{", 400), (b"[]", 400), (b"", 400), (b"x" * 9_000_000, 413)]
)
def test_bodies_that_are_none(server: ServerProcess, content: bytes, status: int) -> None:
    answer = httpx.post(f"{server.url}/v1/chat/completions", content=content, timeout=30)
    assert answer.status_code == status
    assert answer.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("path", ["responses", "embeddings"])
def test_what_is_not_served_says_so(server: ServerProcess, path: str) -> None:
    answer = httpx.post(f"{server.url}/v1/{path}", json={"model": "m", "input": "x"})
    assert answer.status_code == 404
    assert "use /v1/chat/completions" in answer.json()["error"]["message"]


def test_a_stream_that_breaks_off_ends_with_an_error(
    server: ServerProcess, client: openai.OpenAI
) -> None:
    lines = events(server, "a break c")
    assert json.loads(lines[-1].removeprefix("data: "))["error"]["type"] == "server_error"
    assert "data: [DONE]" not in lines
    with pytest.raises(openai.APIError, match="the script says break"):
        list(client.chat.completions.create(model="m", messages=user("a break c"), stream=True))


def test_who_waits_is_told_that_there_is_more_to_come(server: ServerProcess) -> None:
    lines = events(server, "sleep 1")
    assert lines[0].startswith(":")
    assert lines[-1] == "data: [DONE]"
    assert not [line for line in lines if not line.startswith((":", "data: "))]


def test_parts_come_when_they_are_there(client: openai.OpenAI, tmp_path: Path) -> None:
    """The second one can't be before the first has come."""
    come = tmp_path / "come"
    asked = user(f"a until {come} b")
    stream = client.chat.completions.create(model="m", messages=asked, stream=True)
    first = next(iter(stream))
    assert first.choices[0].delta.content == "A "
    come.touch()
    rest = "".join(part.choices[0].delta.content or "" for part in stream)
    assert rest == f"until {come} b".upper()


@pytest.mark.parametrize(
    ("text", "stream"), [("sleep 60", False), ("sleep 60", True), ("a pause 60 b", True)]
)
def test_a_client_that_leaves_ends_it_all(server: ServerProcess, text: str, stream: bool) -> None:
    begun = len(server.logged("scripted: waits"))
    ended = len(server.logged("scripted: cancelled"))
    body = {"model": "m", "messages": user(text), "stream": stream}
    caller = server.begin("/v1/chat/completions", body)
    server.wait_logged("scripted: waits", begun + 1)
    caller.close()
    server.wait_logged("scripted: cancelled", ended + 1)


def test_curl_sees_a_stream(server: ServerProcess) -> None:
    body = json.dumps({"model": "m", "stream": True, "messages": user("a b")})
    command = ["curl", "-sN", f"{server.url}/v1/chat/completions", "-d", body]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout
    assert shown.endswith("data: [DONE]\n\n")
    assert shown.count("data: {") == 3


def test_a_whole_answer_is_one_of_openais(server: ServerProcess) -> None:
    body = {"model": "m", "messages": user("a b"), "n": 2, "logprobs": True}
    answer = httpx.post(f"{server.url}/v1/chat/completions", json=body)
    completion = ChatCompletion.model_validate(answer.json())
    assert [choice.index for choice in completion.choices] == [0, 1]


def test_streams_end_before_the_server_does(start_server: StartServer) -> None:
    arguments = ("--model_name", "m", "--engine", "scripted", "--drain_seconds", "0")
    server = start_server("tests.predictors.scripted", *arguments, ready="/v2/models/m/ready")
    body = {"model": "m", "stream": True, "messages": user("a pause 2 b")}
    url = f"{server.url}/v1/chat/completions"
    with httpx.Client(timeout=30) as caller, caller.stream("POST", url, json=body) as answer:
        lines = answer.iter_lines()
        assert next(lines).startswith("data: {")
        server.process.terminate()
        rest = [line for line in lines if line]
    assert rest[-1] == "data: [DONE]"
    assert server.process.wait(30) == 0
