"""What users of other gateways reported: each fault, and what the caller of this one sees.

docs/gateway.md has a row for each.
"""

import asyncio
import gzip
import json
from collections.abc import Sequence
from typing import Any

import pytest

from tests.predictors.upstream.slow_side import Part, head, slow_side
from tests.transformers_hem.gateway.gateway_under_test import chat, gateway
from tests.transformers_hem.gateway.scripted_side import never, scripted_side

SSE = "text/event-stream"
DONE = b"data: [DONE]\n\n"


def event(delta: dict[str, Any], finish: str | None = None, index: int = 0, **fields: Any) -> bytes:
    choice = {"index": index, "delta": delta, "finish_reason": finish}
    body = {"id": "c", "object": "chat.completion.chunk", "model": "far", "choices": [choice]}
    return b"data: " + json.dumps({**body, **fields}, ensure_ascii=False).encode() + b"\n\n"


def stream(*events: bytes) -> list[Part]:
    return [(0, head(SSE)), *((0.01, each) for each in events)]


class Seen:
    """What a caller of the gateway saw."""

    def __init__(self, status: int, headers: Any, body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body
        lines = body.decode().split("\n\n")
        self.data = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]
        self.objects = [json.loads(data) for data in self.data if data != "[DONE]"]
        self.done = self.data[-1:] == ["[DONE]"]

    @property
    def errors(self) -> list[str]:
        return [each["error"]["message"] for each in self.objects if each.get("error")]

    def joined(self, *names: str, index: int = 0) -> str:
        """The texts at this path of each delta."""
        texts = []
        for each in self.objects:
            for choice in each.get("choices", ()):
                if choice["index"] == index:
                    value = choice["delta"]
                    for name in names:
                        value = value.get(name) if isinstance(value, dict) else None
                    texts.append(value or "")
        return "".join(texts)


async def ask(parts: Sequence[Part], **options: Any) -> Seen:
    asked = {"model": "qa-cloud", **options.pop("asked", {})}  # nobody stands in
    async with slow_side(parts) as cloud, gateway(cloud=cloud, **options) as client:
        answer = await client.post("/v1/chat/completions", json=chat(**asked))
        return Seen(answer.status_code, answer.headers, answer.content)


USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
HELLO = [event({"role": "assistant", "content": "he"}), event({"content": "llo"})]
STOP = event({}, "stop")


async def test_a_stream_comes_through_as_it_is() -> None:
    seen = await ask(stream(*HELLO, STOP, DONE))
    assert (seen.status, seen.done, seen.joined("content")) == (200, True, "hello")
    assert seen.body.startswith(b"".join(HELLO))
    assert seen.objects[-1]["hem"]["served_by"] == "far"
    assert seen.headers["x-hem-route"] == "cloud"


ALONE = b'data: {"id": "c", "choices": [], "usage": ' + json.dumps(USAGE).encode() + b"}\n\n"


async def test_usage_beside_choices_and_usage_alone_are_kept() -> None:
    beside = event({}, "stop", usage=USAGE)
    for last in ([beside], [STOP, ALONE]):
        asked = {"stream_options": {"include_usage": True}}
        seen = await ask(stream(*HELLO, *last, DONE), asked=asked)
        assert seen.objects[-1]["usage"] == USAGE
        assert seen.objects[-1]["hem"]["route"] == "cloud"
        assert seen.done


async def test_what_comes_behind_the_end_stays_there() -> None:
    filtered = b'data: {"id": "c", "choices": [], "prompt_filter_results": []}\n\n'
    seen = await ask(stream(*HELLO, STOP, filtered, ALONE, DONE))
    assert [each.get("hem") is not None for each in seen.objects[-2:]] == [True, False]
    assert seen.body.endswith(filtered + DONE)


async def test_each_choice_ends_with_the_decision() -> None:
    ends = [event({}, "stop"), event({"content": "b"}, index=1), event({}, "stop", index=1)]
    seen = await ask(stream(event({"content": "a"}), *ends, ALONE, DONE), asked={"n": 2})
    assert [seen.joined("content", index=i) for i in (0, 1)] == ["a", "b"]
    assert [bool(each.get("hem")) for each in seen.objects] == [False, True, False, True]


async def test_events_cut_anywhere_by_the_network_are_whole() -> None:
    text = "\N{GRINNING FACE}\N{CJK UNIFIED IDEOGRAPH-4E2D}"
    data = event({"content": text}) + event({}, "stop", usage=USAGE) + DONE
    pieces: list[Part] = [(0.002, data[i : i + 7]) for i in range(0, len(data), 7)]
    seen = await ask([(0, head(SSE)), *pieces])
    assert seen.joined("content") == text
    assert seen.objects[-1]["usage"] == USAGE
    assert seen.done


CALLS = [
    event({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": "{"}}]}),
    event({"tool_calls": [{"index": 1, "id": "b", "function": {"name": "g", "arguments": "{}"}}]}),
    event({"tool_calls": [{"index": 0, "function": {"arguments": "}"}}]}),
]


async def test_parallel_tool_calls_keep_their_index_name_and_reason() -> None:
    seen = await ask(stream(*CALLS, event({}, "tool_calls"), DONE))
    assert seen.body.startswith(b"".join(CALLS))
    assert seen.objects[-1]["choices"][0]["finish_reason"] == "tool_calls"


async def test_a_tool_call_in_one_delta_keeps_its_name() -> None:
    call = {"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    seen = await ask(stream(event({"tool_calls": [call]}, "tool_calls"), DONE))
    assert seen.objects[0]["choices"][0]["delta"]["tool_calls"] == [call]


async def test_reasoning_is_passed_on() -> None:
    thought = event({"reasoning_content": "let me see"})
    assert (await ask(stream(thought, *HELLO, STOP, DONE))).joined("reasoning_content")


async def test_choices_and_log_probabilities_are_kept_apart() -> None:
    scored = {"logprobs": {"content": [{"token": "b", "logprob": -1.0}]}}
    body = {"index": 1, "delta": {"content": "b"}, "finish_reason": None, **scored}
    second = b"data: " + json.dumps({"id": "c", "choices": [body]}).encode() + b"\n\n"
    ends = [event({}, "stop"), event({}, "length", index=1)]
    seen = await ask(stream(event({"content": "a"}), second, *ends, DONE), asked={"n": 2})
    assert [seen.joined("content", index=i) for i in (0, 1)] == ["a", "b"]
    assert seen.objects[1]["choices"][0]["logprobs"] == scored["logprobs"]


ERROR = b'data: {"error": {"message": "out of memory", "code": 500}}\n\n'
NAMED = b'event: error\ndata: {"error": {"message": "out of memory"}}\n\n'


@pytest.mark.parametrize("error", [ERROR, NAMED])
async def test_an_error_in_the_stream_is_never_a_success(error: bytes) -> None:
    at_once = await ask(stream(error, DONE))
    assert at_once.status == 502
    assert "out of memory" in json.loads(at_once.body)["error"]["message"]
    role = event({"role": "assistant", "content": ""})
    assert (await ask(stream(role, error, DONE))).status == 502
    late = await ask(stream(*HELLO, error, DONE))
    assert late.status == 200 and not late.done
    assert late.joined("content") == "hello"
    assert len(late.errors) == 1 and "out of memory" in late.errors[0]


async def test_comments_stay_comments() -> None:
    ping = b": OPENROUTER PROCESSING\n\n"
    seen = await ask(stream(ping, HELLO[0], ping, HELLO[1], STOP, DONE))
    assert seen.joined("content") == "hello" and seen.done
    assert b": OPENROUTER PROCESSING\n\n" in seen.body
    assert all("PROCESSING" not in data for data in seen.data)


BROKEN: dict[str, list[Part]] = {
    "an event that is cut": stream(HELLO[0], HELLO[1][:30]),
    "an event that is no JSON": stream(HELLO[0], b"data: {oops\n\n", STOP, DONE),
    "an end without a reason": stream(*HELLO),
    "an end of one choice of two": stream(HELLO[0], event({"content": "b"}, index=1), STOP),
}


@pytest.mark.parametrize("parts", BROKEN.values(), ids=BROKEN)
async def test_a_stream_that_breaks_off_is_never_a_success(parts: list[Part]) -> None:
    seen = await ask(parts)
    assert seen.status == 200
    assert len(seen.errors) == 1
    assert not seen.done


async def test_a_server_that_leaves_the_end_out_is_understood() -> None:
    seen = await ask(stream(*HELLO, STOP))
    assert seen.done and seen.errors == []
    seen = await ask(stream(*HELLO, STOP[:-1]))
    assert seen.done and seen.objects[-1]["choices"][0]["finish_reason"] == "stop"


async def test_a_coding_that_was_undone_is_not_named() -> None:
    start = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-encoding: gzip\r\n"
    data = gzip.compress(b"".join([*HELLO, STOP, DONE]))
    seen = await ask([(0, start + b"connection: close\r\n\r\n" + data)])
    assert "content-encoding" not in seen.headers
    assert seen.joined("content") == "hello" and seen.done


async def test_headers_of_the_other_server_do_not_come_along() -> None:
    start = head(SSE).replace(b"connection", b"set-cookie: a=b\r\nx-secret: 1\r\nconnection")
    seen = await ask([(0, start + b"".join([*HELLO, STOP, DONE]))])
    assert seen.done
    assert "set-cookie" not in seen.headers and "x-secret" not in seen.headers


async def test_a_block_of_headers_that_is_too_large_is_an_error() -> None:
    start = head(SSE).replace(b"connection", b"x-large: " + b"x" * 100_000 + b"\r\nconnection")
    seen = await ask([(0, start + b"".join([*HELLO, STOP, DONE]))])
    assert seen.status == 502
    assert "error" in json.loads(seen.body)


WHOLE = {
    "id": "c",
    "object": "chat.completion",
    "model": "far",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "hello"},
            "finish_reason": "stop",
        }
    ],
    "usage": USAGE,
}


def whole(body: Any) -> list[Part]:
    return [(0, head() + (body if isinstance(body, bytes) else json.dumps(body).encode()))]


@pytest.mark.parametrize(
    "body", [b"{oops", b"", b"null", b'{"choices": []}', b'{"choices": [{"index": 0}]}', b"<html>"]
)
@pytest.mark.parametrize("streams", [False, True])
async def test_an_answer_that_is_none_is_a_bad_gateway(body: bytes, streams: bool) -> None:
    seen = await ask(whole(body), asked={"stream": streams})
    assert seen.status == 502
    assert json.loads(seen.body)["error"]["type"] == "server_error"


async def test_a_whole_answer_is_described() -> None:
    seen = await ask(whole(WHOLE), asked={"stream": False})
    body = json.loads(seen.body)
    assert body["choices"] == WHOLE["choices"] and body["usage"] == USAGE
    assert body["hem"]["served_by"] == "far"


async def test_a_stream_that_nobody_asked_for_becomes_whole() -> None:
    seen = await ask(stream(*HELLO, event({}, "stop", usage=USAGE), DONE), asked={"stream": False})
    body = json.loads(seen.body)
    assert seen.headers["content-type"] == "application/json"
    assert body["choices"][0]["message"]["content"] == "hello"
    assert body["choices"][0]["finish_reason"] == "stop"
    assert body["usage"]["total_tokens"] == 5


async def test_a_whole_answer_where_a_stream_was_asked_for_becomes_one() -> None:
    seen = await ask(whole(WHOLE), asked={"stream_options": {"include_usage": True}})
    assert seen.joined("content") == "hello" and seen.done
    assert seen.objects[-1]["usage"] == USAGE


async def test_a_first_silent_minute_has_headers_and_comments() -> None:
    parts: list[Part] = [(1.0, head(SSE) + b"".join([*HELLO, STOP, DONE]))]
    seen = await ask(parts, patience=0.3)
    assert seen.body.startswith(b": waiting\n\n: waiting\n\n")
    assert seen.joined("content") == "hello" and seen.done


async def test_what_fails_after_a_silent_minute_is_an_event() -> None:
    refused = b"HTTP/1.1 503 X\r\nconnection: close\r\n\r\n{}"
    seen = await ask([(1.0, refused)], patience=0.3)
    assert seen.status == 200
    assert len(seen.errors) == 1 and not seen.done
    assert (await ask([(0.0, refused)], patience=0.3)).status == 503


async def test_who_leaves_ends_the_call_of_the_other_server() -> None:
    for fields in ({"stream": True}, {"stream": False}):
        async with (
            scripted_side(lambda _: head(SSE) + HELLO[0], ends=never) as cloud,
            gateway(cloud=cloud.url) as client,
        ):
            body = chat(model="qa-cloud", **fields)
            call = asyncio.create_task(client.post("/v1/chat/completions", json=body))
            await asyncio.wait_for(cloud.reached.wait(), 10)
            call.cancel()
            await asyncio.wait_for(cloud.gone.wait(), 10)
