"""Limits in front of the local router: the size of bodies, headers, and slow clients."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from inferencegraph.router.app import MAX_BODY_BYTES, create_app
from inferencegraph.router.server import GraphServer, bind_port
from tests.inferencegraph.router.graph_under_test import (
    CannedUpstreams,
    Stage,
    routing,
    sequence,
)

PIECE = b"1" * 2**20
PATIENCE = 30


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with Stage() as stage:
        stage.app = CannedUpstreams({"echo": {"echo": True, "body": ""}})
        yield stage


@pytest.fixture
async def client(stage: Stage) -> AsyncIterator[httpx.AsyncClient]:
    async with routing(sequence({"serviceUrl": f"{stage.url}/echo"}, serverRead=2)) as client:
        yield client


def pieces() -> Iterator[bytes]:
    for _ in range(2 * MAX_BODY_BYTES // len(PIECE)):
        yield PIECE


async def test_a_body_above_the_limit_is_a_413_that_arrives(stage: Stage) -> None:
    app = create_app(sequence({"serviceUrl": f"{stage.url}/echo"}))
    server = GraphServer(app, bind_port("127.0.0.1", 0))
    await server.start()

    def ask(length: dict[str, str]) -> httpx.Response:
        return httpx.post(server.url, content=pieces(), headers=length, timeout=PATIENCE)

    for headers in ({"content-length": str(2 * MAX_BODY_BYTES)}, {}):
        response = await asyncio.to_thread(ask, headers)
        assert response.status_code == 413
        assert str(MAX_BODY_BYTES) in response.json()["cause"] and response.json()["error"]
    assert (await asyncio.to_thread(httpx.post, server.url, content=b"{}")).content == b"{}"
    await server.stop()
    assert len(stage.app.calls) == 1


async def test_a_body_of_the_limit_passes(stage: Stage) -> None:
    app = create_app(sequence({"serviceUrl": f"{stage.url}/echo"}), max_body_bytes=1000)
    server = GraphServer(app, bind_port("127.0.0.1", 0))
    await server.start()
    async with httpx.AsyncClient() as client:
        for size, status in ((1000, 200), (1001, 413)):
            assert (await client.post(server.url, content=b"1" * size)).status_code == status
    await server.stop()


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"", b""),
        (b"POST / HTTP/1.1\r\nhost: x\r\n", b"408"),
        (b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n1", b"500"),
        (b"POST / HTTP/1.1\r\n" + b"a: 1\r\n" * 101 + b"\r\n", b"431"),
        (b"POST / HTTP/1.1\r\na: " + b"1" * 500_000, b"431"),
        (b"not HTTP\r\n\r\n", b"400"),
    ],
)
async def test_slow_silent_and_wrong_clients_are_let_go_of(
    client: httpx.AsyncClient, sent: bytes, status: bytes
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", client.base_url.port)
    writer.write(sent)
    answer = await asyncio.wait_for(reader.read(), PATIENCE)
    writer.close()
    assert answer[9:12] == status
    assert (await client.post("/", content=b"{}")).content == b"{}"


@pytest.mark.parametrize("value", [b"caf\xc3\xa9", b"caf\xe9", "请求".encode(), b"\xff"])
async def test_headers_that_are_not_ascii_are_passed_on(stage: Stage, value: bytes) -> None:
    graph = sequence({"serviceUrl": f"{stage.url}/echo"})
    async with routing(graph, propagate_headers=["(?i)x-request-id"]) as client:
        headers = [(b"x-request-id", value)]
        response = await client.post("/", content=b"{}", headers=headers)
    assert response.status_code == 200
    assert "x-request-id" in stage.app.calls[-1]["headers"]
