"""An event stream that is a graph's answer goes on part by part; any other is read as a whole."""

import asyncio
import zlib
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Final

import httpx
import psutil
import pytest

from inferencegraph.router.app import create_app
from inferencegraph.router.server import GraphServer, bind_port
from inferencegraph.router.step import MAX_BODY_BYTES
from tests.inferencegraph.router.graph_under_test import CannedUpstreams, Stage, routing, sequence
from tests.predictors.upstream.slow_side import Part, head, slow_side

EVENTS: Final = "text/event-stream; charset=utf-8"
FIRST, SECOND = b'data: {"a": 1}\n\n', b"data: [DONE]\n\n"
PATIENCE: Final = 60  # seconds for what takes one
CANNED: Final = {
    "json": {"body": {"go": "stream"}},
    "echo": {"echo": True, "body": ""},
    "failed": {"status": 502, "body": {"error": "no"}, "headers": [(b"hem-failure", b"401")]},
}


class Streams:
    """An ASGI app: a path with `stream` in it sends FIRST, and SECOND once `go_on` is set; others
    are canned."""

    def __init__(self) -> None:
        self.canned = CannedUpstreams(CANNED)
        self.go_on = asyncio.Event()
        self.left = asyncio.Event()
        self.status = 200
        self.headers = {"content-type": EVENTS}
        self.written: Callable[[bytes], bytes] = bytes

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if "stream" not in scope["path"]:
            return await self.canned(scope, receive, send)
        while (await receive()).get("more_body"):
            pass
        headers = [(name.encode(), value.encode()) for name, value in self.headers.items()]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send(self._part(FIRST))
        leaving = asyncio.create_task(self._leaving(receive))
        going_on = asyncio.create_task(self.go_on.wait())
        await asyncio.wait({going_on, leaving}, return_when=asyncio.FIRST_COMPLETED)
        going_on.cancel()
        leaving.cancel()
        await send(self._part(SECOND))
        await send({"type": "http.response.body"})

    def _part(self, content: bytes) -> dict[str, Any]:
        body = self.written(content)
        return {"type": "http.response.body", "body": body, "more_body": True}

    async def _leaving(self, receive: Any) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self.left.set()


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with Stage() as stage, asyncio.timeout(2 * PATIENCE):
        stage.app = Streams()
        yield stage


def step(url: str, name: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "serviceUrl": f"{url}/{name}", **fields}


def nodes(**nodes: tuple[str, list[dict[str, Any]]]) -> dict[str, Any]:
    return {"nodes": {n: {"routerType": kind, "steps": s} for n, (kind, s) in nodes.items()}}


def passing(url: str) -> dict[str, dict[str, Any]]:
    """Graphs whose last executed step is `stream`."""
    stream, json = step(url, "stream"), step(url, "json")
    inner = ("Switch", [{**json, "condition": "no"}, {**stream, "condition": "go"}])
    nested = {"nodeName": "inner", "data": "$response"}
    return {
        "one step": sequence(stream),
        "a hard one": sequence({**stream, "dependency": "Hard"}),
        "the last of a Sequence": sequence(json, stream),
        "behind a condition": sequence(json, {**stream, "condition": "go"}),
        "a Switch": nodes(root=inner),
        "a Splitter": nodes(root=("Splitter", [{**stream, "weight": 100}])),
        "a nested node": nodes(root=("Sequence", [json, nested]), inner=inner),
        "two nodes deep": nodes(
            root=("Splitter", [{"nodeName": "middle", "weight": 100}]),
            middle=("Sequence", [json, nested]),
            inner=inner,
        ),
    }


@pytest.mark.parametrize("shape", passing(""))
async def test_the_stream_of_the_last_step_goes_on_as_it_comes(stage: Stage, shape: str) -> None:
    async with (
        routing(passing(stage.url)[shape]) as client,
        client.stream("POST", "/", json={"go": 1}) as answer,
    ):
        parts = answer.aiter_raw()
        assert await anext(parts) == FIRST
        stage.app.go_on.set()  # not sooner: whoever waits for the whole would wait for ever
        assert b"".join([part async for part in parts]) == SECOND
    assert answer.status_code == 200
    assert answer.headers["content-type"] == EVENTS
    assert answer.headers["x-accel-buffering"] == "no"
    assert not {"content-length", "hem-failure"} & answer.headers.keys()


async def test_a_stream_that_stands_in_for_a_failure_says_so(stage: Stage) -> None:
    stage.app.go_on.set()
    stands_in = step(stage.url, "stream", condition="error", data="$request")
    async with routing(sequence(step(stage.url, "failed"), stands_in)) as client:
        answer = await client.post("/", json={})
    assert (answer.status_code, answer.headers["content-type"]) == (200, EVENTS)
    assert answer.headers["hem-failure"] == "401"


def whole(url: str) -> dict[str, tuple[dict[str, Any], int, Any]]:
    """Graphs that need all of the stream, and the answer that KServe's router gives too."""
    stream, echo = step(url, "stream"), step(url, "echo", data="$response")
    inner = ("Sequence", [stream])
    invalid = {"error": "Failed to process request", "cause": "invalid response"}
    no_object = {
        "error": "Failed to process request",
        "cause": "step 'stream' of an Ensemble: Expecting value: line 1 column 1 (char 0)",
    }
    return {
        "the next step gets it": (sequence(stream, echo), 200, FIRST + SECOND),
        "the next step needs none of it": (sequence(stream, step(url, "echo")), 200, b'{"go":1}'),
        "a condition reads it": (sequence(stream, {**echo, "condition": "error"}), 500, invalid),
        "a nested node's, with a step behind": (
            nodes(root=("Sequence", [{"nodeName": "inner"}, echo]), inner=inner),
            200,
            FIRST + SECOND,
        ),
        "an Ensemble's": (nodes(root=("Ensemble", [stream])), 500, no_object),
        "a node's in an Ensemble": (
            nodes(root=("Ensemble", [{"name": "stream", "nodeName": "inner"}]), inner=inner),
            500,
            no_object,
        ),
        "an Ensemble's, as the last step": (
            nodes(root=("Sequence", [{"nodeName": "all"}]), all=("Ensemble", [stream])),
            500,
            no_object,
        ),
    }


@pytest.mark.parametrize("shape", whole(""))
async def test_a_stream_that_the_graph_needs_is_read_as_by_kserve(stage: Stage, shape: str) -> None:
    graph, status, body = whole(stage.url)[shape]
    stage.app.go_on.set()
    async with routing(graph) as client:
        answer = await client.post("/", json={"go": 1})
    assert answer.status_code == status
    assert (answer.json() if isinstance(body, dict) else answer.content) == body
    assert answer.headers["content-length"] == str(len(answer.content))
    assert "event-stream" not in answer.headers["content-type"]


@pytest.mark.parametrize(
    ("status", "content_type"),
    [(201, EVENTS), (429, EVENTS), (503, EVENTS), (200, "text/plain"), (200, "text/event-streams")],
)
async def test_another_status_or_type_is_read_as_a_whole(
    stage: Stage, status: int, content_type: str
) -> None:
    stage.app.status, stage.app.headers = status, {"content-type": content_type}
    stage.app.go_on.set()
    async with routing(sequence(step(stage.url, "stream"))) as client:
        answer = await client.post("/", json={})
    assert (answer.status_code, answer.content) == (status, FIRST + SECOND)
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["content-length"] == str(len(answer.content))


async def test_the_type_of_an_event_stream_is_read_as_by_http(stage: Stage) -> None:
    stage.app.headers = {"content-type": "Text/Event-Stream"}
    stage.app.go_on.set()
    async with routing(sequence(step(stage.url, "stream"))) as client:
        answer = await client.post("/", json={})
    assert answer.headers["content-type"] == "Text/Event-Stream"
    assert "content-length" not in answer.headers


async def test_a_packed_stream_goes_on_unpacked_part_by_part(stage: Stage) -> None:
    packer = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
    stage.app.headers["content-encoding"] = "gzip"
    stage.app.written = lambda part: (
        packer.compress(part) + packer.flush(zlib.Z_FINISH if part == SECOND else zlib.Z_SYNC_FLUSH)
    )
    async with (
        routing(sequence(step(stage.url, "stream"))) as client,
        client.stream("POST", "/", json={}) as answer,
    ):
        parts = answer.aiter_raw()
        assert await anext(parts) == FIRST
        stage.app.go_on.set()
        assert b"".join([part async for part in parts]) == SECOND
    assert "content-encoding" not in answer.headers


async def test_a_coding_that_nobody_asked_for_is_an_error_of_the_graph(stage: Stage) -> None:
    stage.app.headers["content-encoding"] = "br"
    async with routing(sequence(step(stage.url, "stream"))) as client:
        answer = await client.post("/", json={})
    assert answer.status_code == 500
    assert "answered in the coding 'br'" in answer.json()["cause"]
    await stage.app.left.wait()


async def test_a_client_that_leaves_ends_the_call_of_the_service(stage: Stage) -> None:
    async with routing(sequence(step(stage.url, "stream"))) as client:
        async with client.stream("POST", "/", json={}) as answer:
            assert await anext(answer.aiter_raw()) == FIRST
        await stage.app.left.wait()
        stage.app.go_on.set()
        assert (await client.post("/", json={})).content == FIRST + SECOND


HEAD: Final = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked"


def chunks(*parts: bytes) -> bytes:
    """A head, and parts of a body that is not at its end."""
    start = (
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    return start + b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)


async def received(
    parts: Sequence[Part], healthy: bool = True, health_timeout: float = 0.0, **timeouts: int
) -> tuple[bytes, bool]:
    """What a client gets of a service that answers with `parts`, and whether that had its end."""
    got = b""
    async with slow_side(parts, health=lambda: healthy) as url:
        graph = sequence({"serviceUrl": url}, **timeouts)
        async with (
            asyncio.timeout(PATIENCE),
            routing(graph, (), health_timeout) as client,
            client.stream("POST", "/", json={}) as answer,
        ):
            assert answer.status_code == 200
            try:
                async for part in answer.aiter_raw():
                    got += part
            except httpx.RemoteProtocolError:
                return got, False
    return got, True


LONG: Final = 100.0
CUT_OFF: dict[str, tuple[list[Part], dict[str, Any]]] = {
    "it breaks off": ([(0, chunks(FIRST))], {}),
    "it breaks off inside a part": ([(0, chunks(FIRST) + b"ff\r\nda")], {}),
    "it is no HTTP": ([(0, chunks(FIRST)), (0.2, b"no chunk\r\n")], {}),
    "it is silent for serviceClient": ([(0, chunks(FIRST)), (LONG, b"")], {"serviceClient": 1}),
    "it lasts longer than serverWrite": ([(0, chunks(FIRST)), (LONG, b"")], {"serverWrite": 1}),
    "its service is frozen": (
        [(0, chunks(FIRST)), (LONG, b"")],
        {"healthy": False, "health_timeout": 1.5},
    ),
}


@pytest.mark.parametrize(("parts", "given"), CUT_OFF.values(), ids=CUT_OFF)
async def test_a_part_of_a_stream_never_ends_as_if_it_were_the_whole(
    parts: Sequence[Part], given: dict[str, Any]
) -> None:
    got, ended = await received(parts, **given)
    assert not ended
    assert got.startswith(FIRST)


async def test_a_packed_stream_that_is_packed_wrongly_breaks_off() -> None:
    answer = chunks(b"no gzip").replace(HEAD, HEAD + b"\r\ncontent-encoding: gzip")
    assert await received([(0, answer)]) == (b"", False)


@pytest.mark.parametrize(
    ("pauses", "given"),
    [
        ([0.7] * 4, {"serviceClient": 1}),
        ([4.0], {"health_timeout": 1.5}),
        ([4.0], {"healthy": False}),
    ],
    ids=["longer than serviceClient in all", "silent, but well", "nobody asks for its health"],
)
async def test_a_stream_that_goes_on_is_not_cut_off(
    pauses: Sequence[float], given: dict[str, Any]
) -> None:
    parts = [(0.0, head("text/event-stream") + FIRST), *((pause, FIRST) for pause in pauses)]
    assert await received(parts, **given) == (FIRST * len(parts), True)


async def test_a_stream_beyond_the_size_of_a_body_passes_and_fills_no_memory(stage: Stage) -> None:
    part, most = b"data: " + b"x" * 2**20 + b"\n\n", 2 * MAX_BODY_BYTES
    process, held, size = psutil.Process(), [], 0

    async def endless(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        headers = [(b"content-type", EVENTS.encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for _ in range(most // len(part) + 1):
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body"})

    stage.app = endless
    async with (
        routing(sequence(step(stage.url, "stream"))) as client,
        client.stream("POST", "/", json={}) as answer,
    ):
        async for got in answer.aiter_raw():
            size += len(got)
            held.append(process.memory_info().rss)
    assert size == (most // len(part) + 1) * len(part)
    assert max(held) - held[0] < MAX_BODY_BYTES / 2


async def test_many_streams_go_on_side_by_side(stage: Stage) -> None:
    begun = asyncio.Barrier(20)

    async def ask(client: httpx.AsyncClient) -> bytes:
        async with client.stream("POST", "/", json={}) as answer:
            parts = answer.aiter_raw()
            first = await anext(parts)
            await begun.wait()  # all have their first part before any has its second
            stage.app.go_on.set()
            return first + b"".join([part async for part in parts])

    async with routing(sequence(step(stage.url, "stream"))) as client:
        answers = await asyncio.gather(*(ask(client) for _ in range(20)))
        assert set(answers) == {FIRST + SECOND}
        assert (await client.get("/readyz")).status_code == 200


async def test_a_stream_under_way_is_finished_before_the_router_stops(stage: Stage) -> None:
    graph = create_app(sequence(step(stage.url, "stream")))
    server = GraphServer(graph, bind_port("127.0.0.1", 0), drain_seconds=PATIENCE)
    await server.start()
    async with (
        httpx.AsyncClient() as client,
        client.stream("POST", server.url, json={}) as answer,
    ):
        parts = answer.aiter_raw()
        assert await anext(parts) == FIRST
        stopped = asyncio.create_task(server.stop())
        await asyncio.sleep(0)
        stage.app.go_on.set()
        assert b"".join([part async for part in parts]) == SECOND
        await stopped


async def test_a_stream_that_outlasts_the_stop_of_the_router_breaks_off(stage: Stage) -> None:
    graph = create_app(sequence(step(stage.url, "stream")))
    server = GraphServer(graph, bind_port("127.0.0.1", 0), drain_seconds=0.1)
    await server.start()
    async with (
        httpx.AsyncClient() as client,
        client.stream("POST", server.url, json={}) as answer,
    ):
        parts = answer.aiter_raw()
        assert await anext(parts) == FIRST
        await server.stop()
        with pytest.raises(httpx.RemoteProtocolError):
            await anext(parts)
    await stage.app.left.wait()
