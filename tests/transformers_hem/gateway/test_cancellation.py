"""A caller that leaves ends the calls that are made for them: at once, wherever they are."""

import asyncio
import json
import time
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.transformers_hem.gateway.gateway_under_test import NOBODY, chat, gateway
from tests.transformers_hem.gateway.scripted_side import (
    SSE,
    Body,
    Side,
    event,
    head,
    never,
    scripted_side,
    usage,
    whole,
)

# What the side has sent of its answer when the caller leaves, and whether a stream was asked for.
MOMENTS: dict[str, tuple[bytes, bool]] = {
    "before the first token": (b"", True),
    "behind the headers": (head(SSE), True),
    "in the middle": (head(SSE) + event("large", "hi"), True),
    "without streaming": (b"", False),
    "in the middle of a whole answer": (head() + b'{"id": ', False),
}


async def leaves(url: str, side: Side, after: bytes = b"", **fields: Any) -> float:
    """Asks the gateway at `url`, reads until `after`, closes the connection while `side` still
    answers. Milliseconds until that side's own connection ended."""
    where = urlsplit(url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    body = json.dumps(chat(**fields)).encode()
    start = f"POST /v1/chat/completions HTTP/1.1\r\nhost: qa\r\ncontent-length: {len(body)}\r\n\r\n"
    writer.write(start.encode() + body)
    await asyncio.wait_for(side.reached.wait(), 10)
    if after:
        await asyncio.wait_for(reader.readuntil(after), 10)
    began = time.perf_counter()
    writer.close()
    await asyncio.wait_for(side.gone.wait(), 10)  # its answer would go on for ever
    milliseconds = 1000 * (side.left - began)
    print(f"ended after {milliseconds:.1f} ms")
    return milliseconds


@pytest.mark.parametrize(("sent", "stream"), MOMENTS.values(), ids=MOMENTS)
@pytest.mark.parametrize("algorithm", ["CloudOnly", "ConfidenceRouter"])
async def test_the_call_of_the_cloud_ends(algorithm: str, sent: bytes, stream: bool) -> None:
    draft = whole("small", "hello", usage=usage(1, 1))
    async with (
        scripted_side(lambda _: draft) as edge,
        scripted_side(lambda _: sent, ends=never) as cloud,
        gateway(edge=edge.url, cloud=cloud.url, algorithm=algorithm) as client,
    ):
        after = b'"hi"' if b'"hi"' in sent else b""
        await leaves(str(client.base_url), cloud, after, stream=stream)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("algorithm", ["ConfidenceRouter", "SelfConsistency"])
async def test_the_draft_of_the_edge_ends(algorithm: str, stream: bool) -> None:
    """SelfConsistency's are the sampled answers, behind a first one."""

    def answer(body: Body) -> bytes:
        return b"" if hangs(body) else whole("small", "hello", usage=usage(1, 1))

    def hangs(body: Body) -> bool:
        return algorithm == "ConfidenceRouter" or "n" in body

    async with (
        scripted_side(answer, ends=lambda body: not hangs(body)) as edge,
        gateway(edge=edge.url, cloud=NOBODY, algorithm=algorithm) as client,
    ):
        await leaves(str(client.base_url), edge, stream=stream)


async def test_a_stream_that_has_sent_comments_ends_too() -> None:
    async with (
        scripted_side(lambda _: b"", ends=never) as cloud,
        gateway(cloud=cloud.url, patience=0.05) as client,
    ):
        await leaves(str(client.base_url), cloud, b": waiting")
