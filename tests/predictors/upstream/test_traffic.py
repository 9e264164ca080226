"""Bytes as the metric counts them, beside those that a proxy in between has carried."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from prometheus_client import REGISTRY

from predictors.upstream.http import HTTPUpstream
from predictors.upstream.settings import Limits
from predictors.upstream.traffic import LINK, Link
from tests.listening import listening

ANSWER = b'{"answer": "' + b"x" * 5000 + b'"}'
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"


@asynccontextmanager
async def counting_server(seen: dict[str, int]) -> AsyncIterator[str]:
    """Answers each request whole; `seen` gets the bytes that came and went."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0] or 0)
            body = await reader.readexactly(length)
            reply = HEAD % len(ANSWER) + ANSWER
            seen["sent"] += len(head) + len(body)
            seen["received"] += len(reply)
            writer.write(reply)
            await writer.drain()

    async with listening(serve) as address:
        yield f"http://{address}"


def counted(url: str, direction: str) -> float:
    labels = {"upstream": url, "direction": direction}
    return REGISTRY.get_sample_value("hem_upstream_bytes_total", labels) or 0.0


async def test_every_byte_of_heads_and_bodies_is_counted() -> None:
    seen = {"sent": 0, "received": 0}
    async with counting_server(seen) as url:
        upstream = HTTPUpstream(url, Limits(timeout=5))
        try:
            await asyncio.gather(
                *(upstream.post("/v1/x", {"n": "y" * 100 * n}, dict) for n in range(5))
            )
        finally:
            await upstream.close()
        assert counted(url, "received") == seen["received"]
        assert abs(counted(url, "sent") - seen["sent"]) <= 0.03 * seen["sent"]
        assert seen["sent"] > 1000


async def test_bytes_count_for_the_answer_whose_call_they_are_of() -> None:
    """Whoever opened the connection."""
    seen = {"sent": 0, "received": 0}

    async def ask(upstream: HTTPUpstream) -> Link:
        link = Link()
        LINK.set(link)
        await upstream.post("/v1/x", {}, dict)
        return link

    async with counting_server(seen) as url:
        upstream = HTTPUpstream(url, Limits(timeout=5))
        try:
            links = [await asyncio.ensure_future(ask(upstream)) for _ in range(3)]
        finally:
            await upstream.close()
    assert [link.received for link in links] == [seen["received"] / 3] * 3
    assert links[0].sent == links[1].sent == links[2].sent > 0
