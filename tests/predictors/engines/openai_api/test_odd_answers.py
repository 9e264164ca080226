"""Whatever real servers put around a finished answer, the answer comes through; what they withhold
is an error that is not counted against the server."""

import asyncio
import json
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from prometheus_client import REGISTRY

from predictors.contract import Answer, Query, Sampling
from predictors.engines.openai_api import OpenAIAPIEngine, OpenAIAPISettings
from predictors.errors import Cause
from tests.listening import listening
from tests.predictors.engines.answering import answering
from tests.predictors.upstream.failing import failing

EVENTS = "text/event-stream"
FILTER = {"hate": {"filtered": False, "severity": "safe"}}
SETTINGS = {"upstream_model": "m", "retries": 0, "breaker_failures": 1}


async def answer_of(
    body: bytes, kind: str = "application/json", *, status: int = 200, **options: Any
) -> Answer:
    async with answering(body, kind, status) as url:
        engine = OpenAIAPIEngine(OpenAIAPISettings(url=url, **{**SETTINGS, **options}))
        await engine.start()
        try:
            (answer,) = await engine.generate([Query("x", Sampling(repetition_penalty=1))])
        finally:
            await engine.close()
            state = REGISTRY.get_sample_value("hem_upstream_breaker", {"upstream": url})
            assert state == 0
    return answer


def chunk(content: Any = None, finish: Any = None, **choice: Any) -> dict[str, Any]:
    delta = {} if content is None else {"content": content}
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish, **choice}]}


def sent(*events: Any, done: str = "data: [DONE]\n\n") -> str:
    return "".join(f"data: {json.dumps(event)}\n\n" for event in events) + done


A, B, END = chunk("4"), chunk("2"), chunk(None, "stop")
NOTE = {"choices": [{"index": 0, "finish_reason": None, "content_filter_results": FILTER}]}
PROMPT = {"choices": [], "model": "", "prompt_filter_results": [{"content_filter_results": FILTER}]}
USAGE = {"usage": {"prompt_tokens": 5, "completion_tokens": 2}}

STREAMS = {
    "plain": sent(A, B, END),
    "Azure's note of its asynchronous filter": sent(PROMPT, A, NOTE, B, END, NOTE),
    "delta null": sent(A, B, {"choices": [{"index": 0, "delta": None, "finish_reason": "stop"}]}),
    "usage without choices": sent(A, B, END, USAGE),
    "usage and choices null": sent(A, B, END, {"choices": None, **USAGE}),
    "a choice that is null": sent(A, {"choices": [None]}, B, END),
    "ping as an object": sent(A, {"type": "ping"}, B, END),
    "ping as a named event": sent(A, done="") + "event: ping\ndata: ping\n\n" + sent(B, END),
    "comments (OpenRouter, DeepSeek)": ": OPENROUTER PROCESSING\n\n" + sent(A, B, END),
    "keep-alive comments": ": keep-alive\n\n:\n\n" + sent(A, done="") + ":\n\n" + sent(B, END),
    "empty data": "data: \n\ndata\n\n" + sent(A, B, END),
    "retry and id": "retry: 3000\nid: 1\n\n" + sent(A, B, END),
    "a byte order mark": "\ufeff" + sent(A, B, END),
    "lines end with CRLF": sent(A, B, END).replace("\n", "\r\n"),
    "no blank behind the colon (TGI)": sent(A, B, END).replace("data: ", "data:"),
    "no line end behind the last event": sent(A, B, END).rstrip("\n"),
    "no finish_reason, and [DONE] ends the file": sent(A, B, done="data: [DONE]"),
    "no [DONE]": sent(A, B, END, done=""),
    "nonsense behind the end": sent(A, B, END, done='data: {"choi\n\n'),
    "parts (Mistral's reasoning models)": sent(
        chunk([{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]),
        chunk([{"type": "text", "text": "42"}, {"type": "reference", "reference_ids": [1]}]),
        END,
    ),
    "a part alone, and strings as parts": sent(
        chunk({"type": "text", "text": "4"}), chunk(["2"]), END
    ),
    "reasoning beside null content (DeepSeek)": sent(
        {"choices": [{"delta": {"content": None, "reasoning_content": "hm"}}]}, A, B, END
    ),
    "CRLF and LF mixed": sent(A, B, END).replace("\n\n", "\n\r\n"),
    "finish_reason an object (SGLang)": sent(A, B, chunk(None, {"type": "stop", "matched": 2})),
    "finish_reason empty until the end": sent(
        chunk("4", ""), chunk("2", "null"), chunk(None, "STOP")
    ),
    "an empty error": sent({**A, "error": None}, {**B, "error": {}}, END),
    "logprobs null, and not there": sent(chunk("4", logprobs=None), chunk("2"), END),
    "model and usage of odd types": sent({**A, "model": 7, "usage": [1]}, B, END),
    "refusal null and empty": sent(
        {"choices": [{"delta": {"content": "42", "refusal": None}}]},
        {"choices": [{"delta": {"refusal": ""}, "finish_reason": "stop"}]},
    ),
}


@pytest.mark.parametrize("name", STREAMS)
async def test_a_stream_is_read_whatever_is_around_its_text(name: str) -> None:
    answer = await answer_of(STREAMS[name].encode(), EVENTS, stream=True)
    assert answer.text == "42"


async def test_the_counts_behind_the_end_are_read() -> None:
    answer = await answer_of(sent(A, B, END, NOTE, USAGE).encode(), EVENTS, stream=True)
    assert (answer.prompt_tokens, answer.completion_tokens) == (5, 2)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", EVENTS])
async def test_an_answer_is_read_as_it_came_and_not_as_it_was_asked_for(
    kind: str, stream: bool
) -> None:
    body = sent(A, B, END).encode() if kind == EVENTS else whole()
    assert (await answer_of(body, kind, stream=stream)).text == "42"


@pytest.mark.parametrize("kind", ["text/plain", "application/octet-stream", ""])
async def test_a_stream_may_have_another_content_type(kind: str) -> None:
    assert (await answer_of(sent(A, B, END).encode(), kind, stream=True)).text == "42"


async def test_halves_of_a_character_meet_again() -> None:
    body = sent(chunk("\ud83d"), chunk("\ude00"), chunk("\ud83d!"), END).encode()
    assert (await answer_of(body, EVENTS, stream=True)).text == "😀\ufffd!"


async def test_what_is_no_utf_8_is_a_replacement_character() -> None:
    body = sent(chunk("4"), chunk("2"), END).encode().replace(b'"2"', b'"2\xff"')
    assert (await answer_of(body, EVENTS, stream=True)).text == "42\ufffd"


async def test_line_separators_in_the_text_end_no_line() -> None:
    events = (json.dumps(each, ensure_ascii=False) for each in (chunk("4\u2028\x85"), chunk("2")))
    body = "".join(f"data: {each}\n\n" for each in events) + sent(END)
    assert (await answer_of(body.encode(), EVENTS, stream=True)).text == "4\u2028\x852"


@asynccontextmanager
async def ending(last: bytes, wait: bool) -> AsyncIterator[str]:
    """The URL of a stream that has its answer, and then breaks off, or never ends."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 200 X\r\ncontent-type: {EVENTS}\r\ntransfer-encoding: chunked\r\n\r\n"
        body = sent(A, B, END, done="").encode()
        writer.write(head.encode() + b"%x\r\n%b\r\n" % (len(body), body) + last)
        await writer.drain()
        if wait:
            await reader.read()
        writer.transport.abort()

    async with listening(answer) as address:
        yield f"http://{address}"


@pytest.mark.parametrize("wait", [False, True], ids=["breaks off", "never ends"])
async def test_an_answer_that_has_its_end_needs_no_end_of_the_stream(
    wait: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("predictors.upstream.openai.answer.AFTER_THE_END", 0.2)
    async with ending(b"", wait) as url:
        engine = OpenAIAPIEngine(OpenAIAPISettings(url=url, stream=True, **SETTINGS))
        await engine.start()
        (answer,) = await engine.generate([Query("x", Sampling(repetition_penalty=1))])
        await engine.close()
    assert answer.text == "42"


@asynccontextmanager
async def ending_later(
    may_end: asyncio.Event, left: list[bool], *, packed: bool = False
) -> AsyncIterator[str]:
    """The URL of a server whose streams end behind what they say, once they may; `left`: of each
    connection that was asked for one, whether its caller has left it."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        if head.startswith(b"get"):  # for the list of models
            return
        left.append(False)
        number = len(left) - 1
        body = sent(A, B, END).encode()
        begin = f"HTTP/1.1 200 X\r\ncontent-type: {EVENTS}\r\ntransfer-encoding: chunked\r\n"
        begin += "content-encoding: gzip\r\n\r\n" if packed else "\r\n"
        while head:
            await reader.readexactly(int(head.partition(b"content-length: ")[2].split()[0]))
            deflater = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
            said, last = body, b""
            if packed:
                said = deflater.compress(body) + deflater.flush(zlib.Z_SYNC_FLUSH)
                last = chunk_of(deflater.flush())
            writer.write(begin.encode() + chunk_of(said))
            asked = asyncio.ensure_future(reader.readuntil(b"\r\n\r\n"))
            ending = asyncio.ensure_future(may_end.wait())
            await asyncio.wait([asked, ending], return_when=asyncio.FIRST_COMPLETED)
            if not asked.done():
                writer.write(last + b"0\r\n\r\n")
            try:
                head = (await asked).lower()
            except asyncio.IncompleteReadError:
                head, left[number] = b"", True

    async with listening(answer) as address:
        yield f"http://{address}"


def chunk_of(body: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(body), body)


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
async def test_a_stream_that_has_said_all_leaves_its_connection_to_the_next_call(
    packed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for its end, which says nothing more."""
    monkeypatch.setattr("predictors.upstream.attempt.END_SECONDS", 30)
    left: list[bool] = []
    may_end = asyncio.Event()
    async with ending_later(may_end, left, packed=packed) as url:
        engine = OpenAIAPIEngine(OpenAIAPISettings(url=url, stream=True, **SETTINGS))
        await engine.start()
        for _ in range(3):
            (answer,) = await engine.generate([Query("x", Sampling(repetition_penalty=1))])
            assert answer.text == "42"
            may_end.set()
            await asyncio.sleep(0.3)
            may_end.clear()
        assert not any(left) and len(left) < 3
        await engine.close()


async def test_but_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("predictors.upstream.attempt.END_SECONDS", 0.1)
    left: list[bool] = []
    async with ending_later(asyncio.Event(), left) as url:
        engine = OpenAIAPIEngine(OpenAIAPISettings(url=url, stream=True, **SETTINGS))
        await engine.start()
        await engine.generate([Query("x", Sampling(repetition_penalty=1))])
        async with asyncio.timeout(5):
            while left != [True]:
                await asyncio.sleep(0.01)
        await engine.close()


def whole(content: Any = "42", **choice: Any) -> bytes:
    message = {"role": "assistant", "content": content}
    return json.dumps(
        {"choices": [{"message": message, "finish_reason": "stop", **choice}]}
    ).encode()


def with_logprobs(*values: Any, **more: Any) -> bytes:
    tokens = [{"token": "4", "logprob": value, "top_logprobs": []} for value in values]
    return whole(logprobs={"content": tokens, **more})


WHOLE = {
    "plain": whole(),
    "a byte order mark": b"\xef\xbb\xbf" + whole(),
    "blanks in front (OpenRouter's keep-alive)": b"\n\n   \n" + whole(),
    "parts": whole([{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "42"}]),
    "parts with a reasoning summary (Databricks)": whole(
        [{"type": "reasoning", "summary": [{"text": "hm"}]}, {"type": "text", "text": "42"}]
    ),
    "a part of Responses": whole([{"type": "output_text", "text": "42", "annotations": []}]),
    "logprob -Infinity": with_logprobs(float("-inf")),
    "logprob NaN": with_logprobs(-0.5, float("nan")),
    "logprob Infinity": with_logprobs(float("inf")),
    "logprob -9999 (vLLM's and OpenAI's -Infinity)": with_logprobs(-0.5, -9999.0),
    "logprob null": with_logprobs(None),
    "logprob a text": with_logprobs("low"),
    "finish_reason an object": whole(finish_reason={"type": "stop", "matched": 2}),
    "finish_reason a list": whole(finish_reason=["stop"]),
    "finish_reason null": whole(finish_reason=None),
    "finish_reason of Mistral": whole(finish_reason="model_length"),
    "filter results (Azure)": whole(content_filter_results=FILTER),
    "refusal null": whole(message={"content": "42", "refusal": None}),
    "refusal empty": whole(message={"content": "42", "refusal": ""}),
}


@pytest.mark.parametrize("name", WHOLE)
async def test_an_answer_is_read_whatever_is_around_its_text(name: str) -> None:
    answer = await answer_of(WHOLE[name])
    assert answer.text == "42"
    assert (answer.mean_logprob, answer.min_logprob, answer.mean_margin) == (None, None, None)


async def test_one_unknown_log_probability_makes_no_mean_of_the_others() -> None:
    body = sent(
        chunk("4", logprobs={"content": [{"logprob": -0.5}]}),
        chunk("2", logprobs={"content": [{"logprob": None}]}),
        END,
    )
    answer = await answer_of(body.encode(), EVENTS, stream=True)
    assert (answer.text, answer.mean_logprob) == ("42", None)


@pytest.mark.parametrize("text", [None, "42", ["42"]])
async def test_completions_have_null_and_parts_too(text: Any) -> None:
    body = json.dumps({"choices": [{"text": text, "finish_reason": "stop"}]}).encode()
    assert (await answer_of(body, api="completions")).text == ("42" if text else "")


DECLINED = {
    "refusal": (whole(message={"content": None, "refusal": "I can't"}), "declined.*: I can't$"),
    "refusal beside text": (whole(message={"content": "", "refusal": "no"}), "declined.*: no$"),
    "a part that refuses": (whole([{"type": "refusal", "refusal": "no"}]), "declined.*: no$"),
    "content_filter, empty": (whole("", finish_reason="content_filter"), "content_filter"),
    "content_filter, cut": (whole("4", finish_reason="content_filter"), "content_filter"),
    "no message": (
        b'{"choices": [{"finish_reason": "content_filter", "content_filter_results": {}}]}',
        "declined to answer",
    ),
    "Gemini's": (whole("", finish_reason="content_filter: PROHIBITED_CONTENT"), "prohibited"),
    "Gemini's own": (whole("", finish_reason="SAFETY"), "safety"),
    "Zhipu's": (whole("", finish_reason="sensitive"), "sensitive"),
    "an error in a 200": (b'{"error": {"code": "content_filter", "message": "bad"}}', ": bad$"),
    "stream: refusal in pieces": (
        sent(
            {"choices": [{"delta": {"refusal": "I "}}]},
            {"choices": [{"delta": {"refusal": "can't"}, "finish_reason": "stop"}]},
        ).encode(),
        "declined.*: I can't$",
    ),
    "stream: cut by the filter": (sent(A, chunk(None, "content_filter")).encode(), "declined"),
    "stream: filtered behind the end": (
        sent(A, END, chunk(None, "content_filter")).encode(),
        "declined",
    ),
}


@pytest.mark.parametrize("name", DECLINED)
async def test_what_is_withheld_is_an_error_and_the_server_is_well(name: str) -> None:
    body, said = DECLINED[name]
    streamed = name.startswith("stream")
    with failing(Cause.DECLINED, said) as raised:
        await answer_of(body, EVENTS if streamed else "application/json", stream=streamed)
    assert not raised.value.retryable


@pytest.mark.parametrize(
    "error",
    [
        {"code": "content_filter", "message": "bad", "innererror": {"code": "Responsible"}},
        {"code": "content_policy_violation", "message": "bad"},
        {"type": "content_filter", "message": "bad"},
        {"type": "invalid_request_error", "code": "declined", "message": "bad"},
    ],
)
async def test_a_question_that_a_filter_refuses_is_declined_too(error: dict[str, Any]) -> None:
    with failing(Cause.DECLINED, "declined to answer: bad$"):
        await answer_of(json.dumps({"error": error}).encode(), status=400)


async def test_gemini_puts_its_errors_into_a_list() -> None:
    body = json.dumps([{"error": {"code": 503, "message": "overloaded"}}]).encode()
    with failing(Cause.SERVER_ERROR, "answered 503: overloaded$", 503):
        async with answering(body, status=503) as url:
            engine = OpenAIAPIEngine(OpenAIAPISettings(url=url, upstream_model="m", retries=0))
            await engine.start()
            try:
                await engine.generate([Query("x", Sampling(repetition_penalty=1))])
            finally:
                await engine.close()
