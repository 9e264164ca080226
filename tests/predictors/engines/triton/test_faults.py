"""A Triton that is late, gone, slow, without the model, or behind a certificate of its own."""

import asyncio
import contextlib
import os
import signal
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import psutil
import pytest
import trustme

from predictors.contract import (
    Answer,
    Delta,
    Query,
    Sampling,
)
from predictors.engines.triton import TritonEngine, TritonSettings
from predictors.errors import (
    Cause,
    InvalidRequest,
    UpstreamError,
)
from tests.conftest import StartServer
from tests.listening import listening
from tests.predictors.upstream.failing import failing
from tests.tritonserver import MODELS, StartTriton, TritonServer
from tests.waiting import eventually

pytestmark = pytest.mark.engines
ONLY_PLAIN_TEXT = ("--model-control-mode=explicit", "--load-model=plain_text")
QUERY = Query("abc", Sampling(temperature=0))


async def ask(query: Query = QUERY, **settings: object) -> Answer:
    given = {"upstream_model": "plain_text", "retries": 0, **settings}
    engine = TritonEngine(TritonSettings.model_validate(given))
    await engine.start()
    try:
        return (await engine.generate([query]))[0]
    finally:
        await engine.close()


@pytest.mark.parametrize("transport", ["grpc", "http"])
async def test_a_model_that_is_not_loaded_is_unavailable_and_named(
    tritonserver: TritonServer, transport: str
) -> None:
    url = getattr(tritonserver, transport)
    with failing(Cause.REFUSED, "no model 'nix' that is ready", 503):
        await ask(url=url, transport=transport, upstream_model="nix")
    with failing(Cause.REFUSED, "'plain_text' version 7 is not found", 503):
        await ask(url=url, transport=transport, model_version="7")
    assert (await ask(url=url, transport=transport, model_version="1")).text == "cba"


async def test_a_model_without_the_tensors_of_text_is_named_with_what_it_has(
    tritonserver: TritonServer,
) -> None:
    with pytest.raises(UpstreamError, match=r"gives embedding FP32 \[-1\]"):
        await ask(url=tritonserver.grpc, upstream_model="half_text")
    with pytest.raises(InvalidRequest, match=r"takes COUNT INT32 \[1\]"):
        await ask(url=tritonserver.grpc, upstream_model="counter")


async def test_a_decoupled_model_needs_grpc(tritonserver: TritonServer) -> None:
    settings = {"url": tritonserver.http, "transport": "http", "upstream_model": "vllm_like"}
    with failing(Cause.REFUSED, "--transport grpc"):
        await ask(**settings)
    engine = TritonEngine(TritonSettings.model_validate(settings))
    await engine.start()
    with failing(Cause.REFUSED, "--transport grpc"):
        await anext(engine.stream(QUERY))
    await engine.close()


@pytest.mark.parametrize("transport", ["grpc", "http"])
async def test_a_model_that_is_too_slow_is_a_timeout(
    tritonserver: TritonServer, transport: str
) -> None:
    url = getattr(tritonserver, transport)
    with failing(Cause.TIMEOUT, match=r"within 0\.5 s|in time"):
        await ask(Query("sleep 2"), url=url, transport=transport, timeout=0.5)


async def test_a_template_makes_the_prompt(tritonserver: TritonServer) -> None:
    answer = await ask(url=tritonserver.grpc, prompt_template="<{query}>")
    assert answer.text == ">cba<"


@pytest.fixture
def streaming_triton(start_triton: StartTriton) -> TritonServer:
    """One of this test's own, to be broken."""
    return start_triton(MODELS, "--model-control-mode=explicit", "--load-model=vllm_like")


@contextlib.asynccontextmanager
async def streaming(triton: TritonServer) -> AsyncIterator[AsyncIterator[Delta]]:
    """The rest of an answer of a minute, whose first part is there."""
    settings = {"url": triton.grpc, "upstream_model": "vllm_like", "retries": 0}
    engine = TritonEngine(TritonSettings.model_validate(settings))
    await engine.start()
    async with contextlib.aclosing(engine.stream(Query("slow"))) as deltas:
        assert (await anext(deltas)).text == "word "
        yield deltas
    await engine.close()


def kill_server(pid: int) -> None:
    os.killpg(pid, signal.SIGKILL)


def kill_model(pid: int) -> None:
    """The process in which the Python backend runs it."""
    family = psutil.Process(pid).children(recursive=True)
    (stub,) = [process for process in family if "stub" in process.name()]
    stub.kill()


@pytest.mark.parametrize(
    ("kill", "cause"), [(kill_server, Cause.UNREACHABLE), (kill_model, Cause.UNUSABLE)]
)
async def test_what_is_killed_while_it_streams_gives_no_answer(
    streaming_triton: TritonServer, kill: Callable[[int], None], cause: Cause
) -> None:
    async with streaming(streaming_triton) as deltas:
        assert streaming_triton.process is not None
        kill(streaming_triton.process.pid)
        with failing(cause):
            async for delta in deltas:
                assert delta.answer is None


async def test_a_model_that_is_unloaded_finishes_what_it_streams(
    streaming_triton: TritonServer,
) -> None:
    unload = f"http://{streaming_triton.http}/v2/repository/models/vllm_like/unload"
    async with streaming(streaming_triton) as deltas:
        async with httpx.AsyncClient() as client:
            assert (await client.post(unload)).status_code == 200
        with failing(Cause.REFUSED, "no model 'vllm_like' that is ready", 503):
            await ask(url=streaming_triton.grpc, upstream_model="vllm_like")
        for _ in range(3):
            assert (await anext(deltas)).text == "word "


def test_readiness_follows_a_triton_that_comes_goes_and_comes_back(
    start_triton: StartTriton, start_server: StartServer
) -> None:
    triton = start_triton(
        MODELS, "--model-control-mode=explicit", "--load-model=plain_text", run=False
    )
    arguments = ("--engine", "triton", "--url", triton.grpc, "--upstream_model", "plain_text")
    follows = start_server("predictors", "--model_name", "p", *arguments, ready="/v2/health/live")
    uplink = start_server(
        *("predictors", "--model_name", "p", *arguments, "--ready_when", "always"),
        *("--breaker_seconds", "0.2"),
        ready="/v2/models/p/ready",
    )
    assert _ready(follows.url) == 503
    assert _answer(uplink.url).status_code == 503
    triton.start()
    eventually(lambda: _ready(follows.url) == 200)
    assert _answer(follows.url).json()["outputs"][0]["data"] == ["cba"]
    eventually(lambda: _answer(uplink.url).status_code == 200)
    triton.stop()
    eventually(lambda: _ready(follows.url) == 503)
    assert _answer(follows.url).status_code == 503
    assert _ready(uplink.url) == 200
    triton.start()
    eventually(lambda: _ready(follows.url) == 200)
    eventually(lambda: _answer(uplink.url).status_code == 200)


@pytest.fixture
def pems(tmp_path: Path) -> dict[str, str]:
    """Paths of PEM files: an authority, another one, and key and certificate of either side."""
    authority, stranger = trustme.CA(), trustme.CA()
    blobs = {"ca": authority.cert_pem, "other": stranger.cert_pem}
    for side, name in (("server", "127.0.0.1"), ("client", "client")):
        issued = authority.issue_cert(name)
        blobs[f"{side}_key"] = issued.private_key_pem
        blobs[f"{side}_cert"] = issued.cert_chain_pems[0]
    for name, blob in blobs.items():
        blob.write_to_path(str(tmp_path / name))
    return {name: str(tmp_path / name) for name in blobs}


async def test_tls_over_grpc_needs_the_right_authority_and_identity(
    start_triton: StartTriton, pems: dict[str, str]
) -> None:
    triton = start_triton(
        MODELS,
        *(*ONLY_PLAIN_TEXT, "--grpc-use-ssl-mutual=true", "--grpc-root-cert", pems["ca"]),
        *("--grpc-server-cert", pems["server_cert"], "--grpc-server-key", pems["server_key"]),
    )
    url = f"grpcs://{triton.grpc}"
    identity = {"client_cert": pems["client_cert"], "client_key": pems["client_key"]}
    assert (await ask(url=url, ca_bundle=pems["ca"], **identity)).text == "cba"
    with pytest.raises(UpstreamError, match=r"certificate of .* does not verify") as raised:
        await ask(url=url, ca_bundle=pems["other"], **identity)
    assert (raised.value.status, raised.value.cause) == (502, "certificate")
    with pytest.raises(UpstreamError):
        await ask(url=url, ca_bundle=pems["ca"])


async def test_tls_over_http_needs_the_right_authority(
    tritonserver: TritonServer, pems: dict[str, str]
) -> None:
    """tritonserver leaves TLS over HTTP to a proxy; this is a small one."""

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection(*tritonserver.http.split(":"))
        await asyncio.gather(_copy(reader, inner_writer), _copy(inner_reader, writer))

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pems["server_cert"], pems["server_key"])
    async with listening(relay, tls=context) as address:
        url = f"https://{address}"
        answer = await ask(url=url, transport="http", ca_bundle=pems["ca"])
        assert answer.text == "cba"
        with pytest.raises(UpstreamError, match=r"certificate of .* does not verify") as raised:
            await ask(url=url, transport="http", ca_bundle=pems["other"])
        assert (raised.value.status, raised.value.cause) == (502, "certificate")


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while chunk := await reader.read(65536):
            writer.write(chunk)
            await writer.drain()
    writer.close()


def _ready(url: str) -> int:
    return httpx.get(f"{url}/v2/models/p/ready").status_code


def _answer(url: str) -> httpx.Response:
    tensor = {"name": "text_input", "shape": [1], "datatype": "BYTES", "data": ["abc"]}
    return httpx.post(f"{url}/v2/models/p/infer", json={"inputs": [tensor]}, timeout=30)
