"""Each cause of a failed call has the consequences of the one table, whatever carries the call."""

import asyncio
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import grpc
import pytest
import trustme
from kserve.protocol.grpc import grpc_predict_v2_pb2 as v2
from prometheus_client import REGISTRY

from predictors.contract import parse_answers, text_request
from predictors.errors import CAUSES, Cause, InvalidRequest
from predictors.upstream.settings import Limits
from predictors.upstream.v2 import TRANSPORTS, V2Client, V2Model
from tests.conftest import free_port
from tests.predictors.upstream.failing import failing
from tests.predictors.upstream.far_side import FarSide
from tests.predictors.upstream.test_v2_transports import far_side, text_output

AUTHORITY = trustme.CA()
LIMITS = {"retries": 0, "timeout": 0.5, "max_answer_bytes": 100_000, "breaker_failures": 1}
Misbehaving = Callable[[], AbstractAsyncContextManager[str]]


@asynccontextmanager
async def nobody() -> AsyncIterator[str]:
    yield f"http://127.0.0.1:{free_port()}"


@asynccontextmanager
async def rest() -> AsyncIterator[str]:
    with FarSide() as far:
        yield far.url


@asynccontextmanager
async def rest_by_tls() -> AsyncIterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert("127.0.0.1").configure_cert(context)
    with FarSide(context) as far:
        yield far.url


async def infer(request: v2.ModelInferRequest, context: Any) -> v2.ModelInferResponse:
    """As FarSide does over HTTP; `status CODE` with gRPC's name of it."""
    (raw,) = request.raw_input_contents
    word, _, rest = raw[4:].decode().partition(" ")
    if word == "status":
        await context.abort(grpc.StatusCode[rest], "the far side's words")
    if word == "late":
        await asyncio.sleep(float(rest))
    if word == "html":
        return v2.ModelInferResponse()
    return text_output(b"x" * 1_000_000)


@asynccontextmanager
async def by_grpc() -> AsyncIterator[str]:
    async with far_side(infer) as port:
        yield f"http://127.0.0.1:{port}"


@asynccontextmanager
async def grpc_by_tls() -> AsyncIterator[str]:
    issued = AUTHORITY.issue_cert("127.0.0.1")
    pair = (issued.private_key_pem.bytes(), issued.cert_chain_pems[0].bytes())
    async with far_side(infer, credentials=grpc.ssl_server_credentials([pair])) as port:
        yield f"https://127.0.0.1:{port}"


async def ask(client: V2Client, query: str) -> Any:
    return await client.infer_text(text_request([query]), parse_answers)


def failures(url: str, cause: Cause) -> float:
    labels = {"upstream": url, "kind": str(cause)}
    return REGISTRY.get_sample_value("hem_upstream_failures_total", labels) or 0.0


TABLE = [
    (Cause.UNREACHABLE, "rest", nobody, "never sent"),
    (Cause.UNREACHABLE, "grpc", nobody, "never sent"),
    (Cause.CERTIFICATE, "rest", rest_by_tls, "never sent"),
    (Cause.CERTIFICATE, "grpc", grpc_by_tls, "never sent"),
    (Cause.TIMEOUT, "rest", rest, "late 5"),
    (Cause.TIMEOUT, "grpc", by_grpc, "late 5"),
    (Cause.SERVER_ERROR, "rest", rest, "status 500"),
    (Cause.SERVER_ERROR, "grpc", by_grpc, "status INTERNAL"),
    (Cause.THROTTLED, "rest", rest, "status 429"),
    (Cause.THROTTLED, "grpc", by_grpc, "status RESOURCE_EXHAUSTED"),
    (Cause.REFUSED, "rest", rest, "status 401"),
    (Cause.REFUSED, "grpc", by_grpc, "status UNAUTHENTICATED"),
    (Cause.REFUSED, "rest", rest, "status 404"),
    (Cause.REFUSED, "grpc", by_grpc, "status NOT_FOUND"),
    (Cause.UNUSABLE, "rest", rest, "html"),
    (Cause.UNUSABLE, "grpc", by_grpc, "html"),
    (Cause.TOO_LARGE, "rest", rest, "endless 200 identity"),
    (Cause.TOO_LARGE, "grpc", by_grpc, "large"),
]


@pytest.mark.parametrize(
    ("cause", "transport", "server", "query"), TABLE, ids=[f"{c}-{t}-{q}" for c, t, _, q in TABLE]
)
async def test_a_cause_decides_status_retry_metric_and_breaker(
    cause: Cause, transport: str, server: Misbehaving, query: str
) -> None:
    async with server() as url:
        client = TRANSPORTS.load(transport)(V2Model(url, "far"), Limits(**LIMITS))
        before = failures(url, cause)
        with failing(cause) as raised:
            await ask(client, query)
        assert raised.value.retryable is CAUSES[cause].retryable
        assert failures(url, cause) == before + 1
        state = REGISTRY.get_sample_value("hem_upstream_breaker", {"upstream": url})
        assert state == (2 if CAUSES[cause].down else 0)
        await client.close()


def test_every_cause_is_tried_over_both_transports() -> None:
    """V2 has no way to decline: that is a cause of OpenAI-compatible servers alone. What the ledger
    can't record is no failure of a server: tests of the ledger have it."""
    causes = set(Cause) - {Cause.DECLINED, Cause.UNRECORDED}
    assert {(cause, transport) for cause, transport, *_ in TABLE} == {
        (cause, transport) for cause in causes for transport in TRANSPORTS.names()
    }


@pytest.mark.parametrize(
    ("transport", "server", "query"),
    [("rest", rest, "status 400"), ("grpc", by_grpc, "status INVALID_ARGUMENT")],
)
async def test_what_the_caller_can_mend_is_no_failure_of_the_server(
    transport: str, server: Misbehaving, query: str
) -> None:
    async with server() as url:
        client = TRANSPORTS.load(transport)(V2Model(url, "far"), Limits(**LIMITS))
        with pytest.raises(InvalidRequest, match=r"^the far side's words"):
            await ask(client, query)
        assert REGISTRY.get_sample_value("hem_upstream_breaker", {"upstream": url}) == 0
        await client.close()


async def test_without_a_breaker_a_server_that_is_down_is_asked_every_time() -> None:
    async with nobody() as url:
        limits = Limits(**{**LIMITS, "breaker_failures": 0})
        client = TRANSPORTS.load("rest")(V2Model(url, "far"), limits)
        for _ in range(20):
            with failing(Cause.UNREACHABLE, "can't be reached"):
                await ask(client, "never sent")
        await client.close()


def test_one_attempt_imports_nothing_heavy() -> None:
    """`hem ask` is one attempt, and starts at once."""
    heavy = [
        "pydantic",
        "numpy",
        "tenacity",
        "prometheus_client",
        "kserve",
        "grpc",
    ]
    code = f"import sys, predictors.upstream.ask; print(set({heavy}) & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "set()\n"
