"""Answers of decoupled models as they come, and what breaks on the way: with stand-ins for
Triton."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import grpc
import pytest

from predictors.contract import Answer, Delta, Query, Sampling
from predictors.engines.triton import TritonEngine, TritonSettings
from predictors.errors import Cause, ContextTooLong, InvalidRequest, Overloaded, UpstreamError
from tests.predictors.engines.triton.stand_in import (
    FINAL,
    Script,
    error,
    part,
    saying,
    serving,
    streaming_model,
)
from tests.predictors.upstream.failing import failing

Code = grpc.StatusCode
QUERY = Query("q", Sampling(temperature=0, max_tokens=9))
GROWS = {"accumulate_tokens": "True"}


@asynccontextmanager
async def asking(
    script: Script, parameters: dict[str, str] | None = None, **settings: Any
) -> AsyncIterator[TritonEngine]:
    """An engine in front of a decoupled model that answers by `script`."""
    model = streaming_model(**(parameters or {}))
    async with serving(**model, ModelStreamInfer=script) as url:
        given = {"url": url, "upstream_model": "m", "retries": 0, **settings}
        engine = TritonEngine(TritonSettings.model_validate(given))
        await engine.start()
        try:
            yield engine
        finally:
            await engine.close()


async def streamed(engine: TritonEngine) -> list[Delta]:
    return [delta async for delta in engine.stream(QUERY)]


async def gathered(engine: TritonEngine) -> Answer:
    (answer,) = await engine.generate([QUERY])
    return answer


class Scripts:
    """One script for each call, and how many calls there were."""

    def __init__(self, *scripts: Script) -> None:
        self._scripts = list(scripts)
        self.calls = 0

    async def __call__(self, request: Any, context: grpc.aio.ServicerContext) -> AsyncIterator[Any]:
        self.calls += 1
        async for response in self._scripts.pop(0)(request, context):
            yield response


def aborting(code: grpc.StatusCode, message: str, *before: Any) -> Script:
    async def script(request: Any, context: grpc.aio.ServicerContext) -> AsyncIterator[Any]:
        for response in before:
            yield response
        await context.abort(code, message)

    return script


def waiting(*before: Any) -> Script:
    """These, and then nothing for as long as somebody waits."""

    async def script(request: Any, context: grpc.aio.ServicerContext) -> AsyncIterator[Any]:
        for response in before:
            yield response
        await asyncio.Event().wait()

    return script


E = "é".encode()
PIECES = [
    ([part("a"), part(" b"), part(" c"), FINAL], ["a", " b", " c", ""]),
    ([part("a"), part(" b", final=True)], ["a", " b", ""]),
    ([part(""), part("a"), part(None), part(""), part("b"), FINAL], ["a", "b", ""]),
    ([part(b"a" + E[:1]), part(E[1:]), FINAL], ["a", "é", ""]),
    ([part(""), FINAL], [""]),
]
GROWING = [
    ([part("a"), part("a b"), part("a b c", final=True)], ["a", " b", " c", ""]),
    ([part("a"), part(""), part("a"), part("ab"), FINAL], ["a", "b", ""]),
    ([part("a\ufffd"), part("a\ufffd\ufffd"), part("a👩"), FINAL], ["a👩", ""]),
    ([part("a"), part("a\ufffd"), FINAL], ["a", "\ufffd"]),
]


@pytest.mark.parametrize(
    ("responses", "texts", "parameters"),
    [
        *((responses, texts, {}) for responses, texts in PIECES),
        *((responses, texts, GROWS) for responses, texts in GROWING),
    ],
)
async def test_each_response_is_a_part_and_all_of_them_the_answer(
    responses: list[Any], texts: list[str], parameters: dict[str, str]
) -> None:
    async with asking(saying(*responses), parameters) as engine:
        deltas = await streamed(engine)
        answer = await gathered(engine)
    assert [delta.text for delta in deltas] == texts
    assert {delta.served_by for delta in deltas} == {"m"}
    assert deltas[-1].finish_reason == "stop"
    assert deltas[-1].answer is not None
    assert deltas[-1].answer.text == answer.text == "".join(texts)


async def test_text_that_is_changed_behind_what_was_given_fails_a_stream_alone() -> None:
    async with asking(saying(part("do n"), part("don't"), FINAL), GROWS) as engine:
        with failing(Cause.UNUSABLE, "changed a part of its text"):
            await streamed(engine)
        assert (await gathered(engine)).text == "don't"


@pytest.mark.parametrize(("said", "reason"), [(b"stop", "stop"), (b"length", "length")])
async def test_the_models_own_finish_reason_counts(said: bytes, reason: str) -> None:
    responses = [part("a", finish_reason=b"None"), part("b", final=True, finish_reason=said)]
    async with asking(saying(*responses)) as engine:
        *_, last = await streamed(engine)
    assert last.finish_reason == reason


async def test_an_answer_that_the_model_gave_up_is_none() -> None:
    responses = [part("a"), part("b", final=True, finish_reason=b"abort")]
    async with asking(saying(*responses)) as engine:
        with failing(Cause.UNUSABLE, "ended its answer with 'abort'"):
            await streamed(engine)
        with failing(Cause.UNUSABLE, "ended its answer with 'abort'"):
            await gathered(engine)


FAULTS = {
    "an error as text": (saying(part("a"), error("x broke")), Cause.UNUSABLE, 502),
    "an error": (aborting(Code.INTERNAL, "x broke", part("a")), Cause.UNUSABLE, 502),
    "cancelled": (aborting(Code.CANCELLED, "x broke", part("a")), Cause.UNUSABLE, 502),
    "unavailable": (aborting(Code.UNAVAILABLE, "x broke", part("a")), Cause.UNREACHABLE, 503),
    "unloaded": (
        aborting(Code.UNAVAILABLE, "Request for unknown model: x broke", part("a")),
        Cause.REFUSED,
        503,
    ),
    "no final response": (saying(part("a"), part("b")), Cause.UNREACHABLE, 502),
    "not UTF-8": (saying(part("a"), part(b"\xff"), FINAL), Cause.UNUSABLE, 502),
    "half a character": (saying(part("a"), part(E[:1]), FINAL), Cause.UNUSABLE, 502),
    "no text": (saying(part("a"), part(None, other=b"x"), FINAL), Cause.UNUSABLE, 502),
}


@pytest.mark.parametrize(("script", "cause", "status"), FAULTS.values(), ids=FAULTS)
async def test_a_stream_that_breaks_is_never_an_answer_nor_asked_for_again(
    script: Script, cause: Cause, status: int
) -> None:
    scripts = Scripts(script, script)
    async with asking(scripts, retries=2) as engine:
        came = []
        with failing(cause, status=status):
            async for delta in engine.stream(QUERY):
                came.append(delta)
        assert all(delta.answer is None for delta in came)
        assert came[0].text == "a"
        with failing(cause, status=status):
            await gathered(engine)
    assert scripts.calls == 2


@pytest.mark.parametrize(
    ("responses", "cause", "fault"),
    [
        ([], Cause.UNREACHABLE, "ended without a final response"),
        ([FINAL], Cause.UNUSABLE, "without a response"),
    ],
)
async def test_a_stream_without_an_answer_is_an_error(
    responses: list[Any], cause: Cause, fault: str
) -> None:
    async with asking(saying(*responses)) as engine:
        for ask in (streamed, gathered):
            with pytest.raises(UpstreamError, match=fault) as raised:
                await ask(engine)
            assert raised.value.cause is cause


async def test_what_fails_before_the_first_response_is_asked_for_again() -> None:
    full = aborting(Code.UNAVAILABLE, "Exceeds maximum queue size")
    scripts = Scripts(full, full, saying(part("a"), FINAL))
    async with asking(scripts, retries=2, retry_seconds=30) as engine:
        assert [delta.text for delta in await streamed(engine)] == ["a", ""]
    assert scripts.calls == 3


@pytest.mark.parametrize(
    ("script", "limits", "fault"),
    [
        (waiting(), {"first_byte_timeout": 0.3}, "began no answer within 0.3 s"),
        (waiting(part("a")), {"between_bytes_timeout": 0.3}, "sent no more of its answer"),
        (waiting(part("a")), {"timeout": 1, "between_bytes_timeout": 9}, "answer within 1 s"),
    ],
)
async def test_a_stream_that_is_late_ends_and_is_cancelled_there(
    script: Script, limits: dict[str, float], fault: str
) -> None:
    ended = asyncio.Event()
    async with asking(noting(script, ended), **limits) as engine:
        with failing(Cause.TIMEOUT, fault):
            await streamed(engine)
        async with asyncio.timeout(10):
            await ended.wait()


def noting(script: Script, ended: asyncio.Event) -> Script:
    """The same; `ended` is set when the server gave it up."""

    async def noted(request: Any, context: grpc.aio.ServicerContext) -> AsyncIterator[Any]:
        try:
            async for response in script(request, context):
                yield response
        finally:
            ended.set()

    return noted


async def test_a_caller_who_leaves_cancels_the_request_and_frees_its_place() -> None:
    ended = asyncio.Event()
    script = Scripts(noting(waiting(part("a")), ended), saying(part("b"), FINAL))
    async with asking(script, max_concurrency=1, max_queue=0) as engine:
        async with aclosing(engine.stream(QUERY)) as deltas:
            assert (await anext(deltas)).text == "a"
            with pytest.raises(Overloaded):
                await streamed(engine)
        async with asyncio.timeout(10):
            await ended.wait()
        assert (await gathered(engine)).text == "b"


async def test_a_server_that_dies_in_the_middle_is_an_error() -> None:
    model = streaming_model()
    async with serving(**model, ModelStreamInfer=waiting(part("a"))) as url:
        engine = TritonEngine(TritonSettings(url=url, upstream_model="m", retries=0))
        await engine.start()
        deltas = engine.stream(QUERY)
        assert (await anext(deltas)).text == "a"
    with failing(Cause.UNREACHABLE):
        await anext(deltas)
    await engine.close()


async def test_many_small_responses_are_bounded_together() -> None:
    async with asking(saying(*[part("x" * 900)] * 20, FINAL), max_answer_bytes=10_000) as engine:
        with failing(Cause.TOO_LARGE, "more than 10000 bytes"):
            await streamed(engine)


async def test_streams_that_break_open_the_circuit_breaker() -> None:
    async with asking(saying(part("a")), breaker_failures=2) as engine:
        for _ in range(2):
            with failing(Cause.UNREACHABLE, status=502):
                await streamed(engine)
        with pytest.raises(UpstreamError, match="is not called for now"):
            await streamed(engine)


@pytest.mark.parametrize(
    ("code", "message", "kind"),
    [
        (Code.INVALID_ARGUMENT, "unexpected shape", InvalidRequest),
        (Code.INTERNAL, "longer than the maximum model length of 9", ContextTooLong),
    ],
)
async def test_what_is_wrong_with_the_query_is_told_before_the_first_part(
    code: grpc.StatusCode, message: str, kind: type[InvalidRequest]
) -> None:
    async with asking(aborting(code, message)) as engine:
        with pytest.raises(InvalidRequest, match=message) as raised:
            await streamed(engine)
    assert type(raised.value) is kind
