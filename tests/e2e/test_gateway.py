"""The gateway of a local site, in both modes, as clients of OpenAI's API use it."""

import asyncio
import json
import subprocess
from typing import Any

import httpx
import openai
import pytest
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from predictors.embedded.workshop.questions import test_questions as shipped_questions
from tests.inferencegraph.running_hem import RunningHem, hem

pytestmark = pytest.mark.slow

QUESTIONS = [question.query for question in shipped_questions()[:40]]


@pytest.fixture(scope="module")
def url(stack: RunningHem) -> str:
    (ready,) = [event for event in stack.events if event["event"] == "all_ready"]
    return str(ready["gateways"]["qa"])


@pytest.fixture(scope="module")
def client(url: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=url, api_key="-", max_retries=0)


def asked(text: str, **fields: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": text}]
    return {"model": "qa", "messages": messages, "temperature": 0, **fields}


def test_the_site_and_its_sides_are_listed(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["qa", "qa-edge", "qa-cloud"]


def test_streams_say_what_whole_answers_say_and_each_side_answers(client: openai.OpenAI) -> None:
    served = set()
    for question in QUESTIONS:
        whole = client.chat.completions.create(**asked(question))
        text, last = "", None
        for part in client.chat.completions.create(**asked(question), stream=True):
            text += part.choices[0].delta.content or ""
            last = part
        assert text == whole.choices[0].message.content
        assert last is not None and last.choices[0].finish_reason == "stop"
        decision = last.model_extra["hem"]  # type: ignore[index]
        assert decision["route"] == whole.model_extra["hem"]["route"]  # type: ignore[index]
        assert decision["served_by"] == f"qa-{decision['route']}"
        served.add(decision["served_by"])
    assert served == {"qa-edge", "qa-cloud"}


def test_the_graph_and_the_gateway_decide_alike(stack: RunningHem, client: openai.OpenAI) -> None:
    for question in QUESTIONS[:12]:
        whole = client.chat.completions.create(**asked(question))
        answer = stack.ask(question).json()
        (text,) = next(o["data"] for o in answer["outputs"] if o["name"] == "text_output")
        assert text == whole.choices[0].message.content
        assert answer["parameters"]["served_by"] == whole.model


@pytest.mark.parametrize("side", ["edge", "cloud"])
def test_a_models_name_forces_a_side(client: openai.OpenAI, side: str) -> None:
    with client.chat.completions.with_streaming_response.create(
        **asked("1 + 1?", model=f"qa-{side}", stream=True)
    ) as answer:
        assert answer.headers["x-hem-route"] == side
        assert answer.headers["x-hem-reason"] == "prefer"
        assert answer.headers["x-hem-served-by"] == f"qa-{side}"


async def test_the_asynchronous_client_streams(url: str) -> None:
    async with openai.AsyncOpenAI(base_url=url, api_key="-", max_retries=0) as client:

        async def answer(question: str) -> str:
            stream = await client.chat.completions.create(**asked(question), stream=True)
            return "".join([part.choices[0].delta.content or "" async for part in stream])

        one_by_one = [await answer(question) for question in QUESTIONS[:16]]
        together = await asyncio.gather(*(answer(question) for question in QUESTIONS[:16]))
    assert together == one_by_one


def test_curl_streams(url: str) -> None:
    body = json.dumps(asked("1 + 1?", stream=True))
    command = ["curl", "-sN", f"{url}/chat/completions", "-d", body]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    assert shown.endswith("data: [DONE]\n\n") and '"hem":' in shown


def test_langchain_chats_in_streams(url: str, client: openai.OpenAI) -> None:
    model = ChatOpenAI(
        model="qa", base_url=url, api_key=SecretStr("-"), temperature=0, stream_usage=True
    )
    for question in QUESTIONS[:8]:
        parts = list(model.stream(question))
        whole = client.chat.completions.create(**asked(question)).choices[0].message.content
        assert "".join(str(part.content) for part in parts) == whole
        usage = [part.usage_metadata for part in parts if part.usage_metadata]
        assert usage and usage[0]["output_tokens"] > 0


def test_completions_stream_too(client: openai.OpenAI) -> None:
    parts = list(client.completions.create(model="qa", prompt="1 + 1 =", max_tokens=4, stream=True))
    whole = client.completions.create(model="qa-edge", prompt="1 + 1 =", max_tokens=4, seed=1)
    assert parts[-1].choices[0].finish_reason in ("stop", "length")
    assert whole.choices[0].finish_reason in ("stop", "length")


def test_what_neither_side_can_take_is_refused_by_its_name(client: openai.OpenAI) -> None:
    tools = [{"type": "function", "function": {"name": "f", "parameters": {}}}]
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(**asked("1 + 1?", tools=tools))
    assert refused.value.param == "tools"
    assert refused.value.response.headers["x-hem-reason"] == "edge_cannot"
    with pytest.raises(openai.BadRequestError) as too_long:
        client.chat.completions.create(**asked("1 + 1? " * 3000))
    assert too_long.value.code == "context_length_exceeded"


def test_request_ids_go_in_and_out(url: str) -> None:
    for name in ("abc", None):
        headers = {} if name is None else {"x-request-id": name}
        answer = httpx.post(f"{url}/chat/completions", json=asked("1 + 1?"), headers=headers)
        assert answer.status_code == 200
        assert answer.headers["x-request-id"] == name or name is None
        assert answer.headers["x-request-id"]


def test_a_chat_in_the_terminal(url: str) -> None:
    chat = hem("chat", "--url", url, "--temperature", "0", input="1 + 1?\n/new\n2 + 2?\n/quit\nx\n")
    assert chat.returncode == 0
    lines = chat.stdout.splitlines()
    assert len(lines) == 4
    for about in (lines[1], lines[3]):
        assert "route " in about and "served by qa-" in about and "first token after" in about


def test_a_chat_with_nobody_says_so() -> None:
    chat = hem("chat", "--url", "http://127.0.0.1:9/v1", input="hello\n")
    assert chat.returncode == 2
    assert "http://127.0.0.1:9/v1/models can't be reached" in chat.stderr
    assert "Traceback" not in chat.stderr
