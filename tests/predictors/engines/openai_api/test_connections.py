"""How the server is reached: proxies, certificates, compression, and one that is down."""

import asyncio
import gzip
import json
import ssl
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme

from predictors.contract import Answer, Query
from predictors.engines.openai_api import OpenAIAPIEngine, OpenAIAPISettings
from predictors.errors import Cause, UpstreamError
from tests.conftest import free_port
from tests.listening import listening
from tests.predictors.engines.openai_api.conftest import KEY, PLAIN, Ask
from tests.predictors.upstream.failing import failing
from tests.predictors.upstream.far_side import FarSide


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress])
async def test_a_packed_answer_is_unpacked(pack: Callable[[bytes], bytes]) -> None:
    text = "a" * 300_000
    packed = pack(json.dumps({"choices": [{"message": {"content": text}}]}).encode())

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        assert "accept-encoding: gzip\r\n" in head
        coding = "gzip" if pack is gzip.compress else "deflate"
        lines = f"HTTP/1.1 200 X\r\ncontent-encoding: {coding}\r\ncontent-length: {len(packed)}"
        writer.write(lines.encode() + b"\r\n\r\n" + packed)
        await writer.drain()

    async with listening(answer) as address:
        settings = OpenAIAPISettings(url=f"http://{address}", upstream_model="m")
        engine = OpenAIAPIEngine(settings)
        await engine.start()
        assert await engine.generate([Query("a", PLAIN)]) == [Answer(text)]
        await engine.close()


async def test_a_far_side_that_is_down_is_unavailable(ask: Ask) -> None:
    with failing(Cause.UNREACHABLE, match="can't be reached: Connection refused"):
        await ask("hello", url=f"http://127.0.0.1:{free_port()}/v1")


async def test_a_host_that_has_no_address_is_unavailable(ask: Ask) -> None:
    with failing(Cause.UNREACHABLE, match=r"nowhere\.invalid.* can't be reached"):
        await ask("hello", url="http://nowhere.invalid/v1")


@pytest.mark.filterwarnings("ignore:.*(BasicAuth|proxy_auth):DeprecationWarning")  # httpx_aiohttp
async def test_calls_go_through_the_proxy(ask: Ask, far: FarSide) -> None:
    """FarSide takes the absolute URL of a proxied request for a path."""
    proxy = far.url.replace("//", "//user:password@")
    await ask("hello", url="http://cloud.example/v1", proxy=proxy)
    request = far.requests[0]
    assert request.path == "http://cloud.example/v1/chat/completions"
    assert request.headers["proxy-authorization"].startswith("Basic ")


async def test_a_proxy_that_is_down_is_named(ask: Ask) -> None:
    with failing(Cause.UNREACHABLE, match=r"the proxy to http://cloud\.example"):
        await ask("x", url="http://cloud.example/v1", proxy=f"http://127.0.0.1:{free_port()}")


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def secure(authority: trustme.CA) -> Iterator[FarSide]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with FarSide(context) as far:
        yield far


async def test_a_certificate_verifies_by_the_bundle(
    ask: Ask, secure: FarSide, authority: trustme.CA, tmp_path: Path
) -> None:
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(bundle))
    answers = await ask("hello", url=f"{secure.url}/v1", ca_bundle=str(bundle))
    assert answers[0].text == "HELLO"


async def test_a_certificate_that_does_not_verify_is_a_bad_gateway(
    ask: Ask, secure: FarSide
) -> None:
    secure.requests.clear()
    with pytest.raises(UpstreamError, match=r"certificate of .* does not verify: ") as raised:
        await ask("hello", url=f"{secure.url}/v1", api_key=KEY)
    assert raised.value.status == 502
    assert secure.requests == []


async def test_a_caller_who_leaves_closes_the_connection() -> None:
    asked, gone = asyncio.Semaphore(0), asyncio.Semaphore(0)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if head.startswith(b"POST"):
            asked.release()
            await reader.read()
            gone.release()

    async with listening(answer) as address, asyncio.timeout(30):
        settings = OpenAIAPISettings(url=f"http://{address}/v1", upstream_model="m")
        engine = OpenAIAPIEngine(settings)
        await engine.start()
        task = asyncio.create_task(engine.generate([Query("a", PLAIN), Query("b", PLAIN)]))
        for _ in range(2):
            await asked.acquire()
        task.cancel()
        await asyncio.wait([task])
        for _ in range(2):
            await gone.acquire()
        assert task.cancelled()
        await engine.close()
