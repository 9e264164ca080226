"""Text and tensors cross the uplink by REST and by gRPC, and failures keep their meaning."""

import asyncio
import json
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import trustme
from kserve.protocol.grpc import grpc_predict_v2_pb2 as v2

from predictors.contract import Query, Sampling
from predictors.contract.tensors import (
    Tensor,
    TensorRequest,
    TensorResponse,
    TensorType,
)
from predictors.engines.kserve import KServeEngine, KServeSettings
from predictors.errors import (
    Cause,
    ConfigurationError,
    EngineError,
    HEMError,
    InvalidRequest,
    Overloaded,
    UpstreamError,
)
from predictors.upstream.client import forwarded_headers
from predictors.upstream.settings import Limits
from predictors.upstream.v2 import TRANSPORTS as V2_TRANSPORTS, V2Model
from tests.conftest import ServerProcess, StartServer, free_port
from tests.predictors.engines.answering import answering
from tests.predictors.upstream.failing import failing
from tests.predictors.upstream.far_side import FarSide

TRANSPORTS = ("rest", "grpc")
JSON_ARRAYS = [
    np.array([[True, False]]),
    np.arange(6, dtype=np.uint8).reshape(2, 3),
    np.array([2**63], dtype=np.uint64),
    np.array([-(2**63), 2**63 - 1], dtype=np.int64),
    np.random.default_rng(7).random((2, 8, 8), dtype=np.float32),
    np.array([0.1, -1.7976931348623157e308]),
    np.array(["grüß".encode(), b""], dtype=np.object_),
    np.zeros((0, 4), dtype=np.float32),
]
RAW_ARRAYS = [
    np.array([0.5, -2], dtype=np.float16),
    np.array([b"\xff\xd8"], dtype=np.object_),
    np.array([np.nan, -np.inf], dtype=np.float32),
]


@pytest.fixture(scope="module")
def echo(start_server: StartServer) -> ServerProcess:
    arguments = ["--model_name", "m", "--engine", "echo"]
    return start_server("tests.predictors.scripted_tensors", *arguments, ready="/v2/models/m/ready")


def address(server: ServerProcess, transport: str) -> str:
    return server.url if transport == "rest" else f"http://127.0.0.1:{server.grpc_port}"


@asynccontextmanager
async def linked(url: str, transport: str, **options: Any) -> AsyncIterator[KServeEngine]:
    given = {"upstream_model": "m", "retries": 0, **options}
    engine = KServeEngine(KServeSettings(url=url, transport=transport, **given))
    try:
        await engine.start()
        yield engine
    finally:
        await engine.close()


async def infer(server: ServerProcess, transport: str, request: TensorRequest) -> TensorResponse:
    async with linked(address(server, transport), transport) as engine:
        return await engine.infer(request)


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("values", JSON_ARRAYS, ids=lambda values: str(values.dtype))
async def test_tensors_come_back_as_they_went(
    echo: ServerProcess, transport: str, values: np.ndarray[Any, Any]
) -> None:
    sent = Tensor.of(values)
    response = await infer(echo, transport, TensorRequest({"x": sent}))
    got = response.outputs["x"]
    assert got.datatype == sent.datatype
    np.testing.assert_array_equal(got.values, sent.values)
    assert got.values.shape == sent.values.shape
    assert (response.served_by, response.cached) == ("m", False)


@pytest.mark.parametrize("values", RAW_ARRAYS, ids=lambda values: str(values.dtype))
async def test_what_json_cannot_carry_goes_by_grpc(
    echo: ServerProcess, values: np.ndarray[Any, Any]
) -> None:
    request = TensorRequest({"x": Tensor.of(values)})
    response = await infer(echo, "grpc", request)
    np.testing.assert_array_equal(response.outputs["x"].values, values)
    with pytest.raises(InvalidRequest, match="V2 JSON can't carry; --transport grpc"):
        await infer(echo, "rest", request)


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_parameters_and_wanted_outputs_cross_the_link(
    echo: ServerProcess, transport: str
) -> None:
    inputs = {name: Tensor.of(np.ones(1, dtype=np.float32)) for name in ("x", "y")}
    parameters = {"cached": "yes", "share": 0.5, "count": 3, "deep": True}
    response = await infer(echo, transport, TensorRequest(inputs, parameters, ("y",)))
    assert list(response.outputs) == ["y"]
    assert response.cached


async def test_numbers_that_grpc_lacks_are_sent_as_decimal_strings() -> None:
    seen: dict[str, Any] = {}

    async def infer(request: v2.ModelInferRequest, context: Any) -> v2.ModelInferResponse:
        for name, value in request.parameters.items():
            kind = value.WhichOneof("parameter_choice")
            seen[name] = (kind, getattr(value, kind))
        return text_output(b"yes")

    parameters = {"a": 0.5, "b": 2**64 - 1, "c": -(2**63), "d": True, "e": "x", "f": 1e-320}
    request = TensorRequest({"x": Tensor.of(np.ones(1))}, parameters)
    async with far_side(infer) as port, linked(f"http://127.0.0.1:{port}", "grpc") as engine:
        await engine.infer(request)
    assert seen == {
        "a": ("string_param", "0.5"),
        "b": ("string_param", str(2**64 - 1)),
        "c": ("int64_param", -(2**63)),
        "d": ("bool_param", True),
        "e": ("string_param", "x"),
        "f": ("string_param", "1e-320"),
    }


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_rows_sampling_and_telemetry_cross_the_link(
    scripted: ServerProcess, transport: str
) -> None:
    queries = [Query(text, Sampling(max_tokens=3, temperature=0.5)) for text in ("four", "grüß")]
    async with linked(address(scripted, transport), transport) as engine:
        answers = await engine.generate(queries)
    assert [answer.text for answer in answers] == ["FOU", "GRÜ"]
    assert [answer.mean_logprob for answer in answers] == [-0.5, -0.5]
    assert (answers[0].served_by, answers[0].mean_margin) == ("m", None)


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize(
    ("name", "kind", "said"),
    [
        ("refuse", InvalidRequest, "the script says refuse"),
        ("fail", UpstreamError, "the script says fail"),
        ("crash", UpstreamError, "http://127"),
    ],
)
async def test_what_the_far_side_raises_keeps_its_meaning(
    echo: ServerProcess, transport: str, name: str, kind: type[HEMError], said: str
) -> None:
    request = TensorRequest({name: Tensor.of(np.ones(1))})
    with pytest.raises(HEMError, match=said) as raised:
        await infer(echo, transport, request)
    assert type(raised.value) is kind
    assert kind is not EngineError


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_model_that_the_far_side_lacks_is_a_bad_gateway(
    scripted: ServerProcess, transport: str
) -> None:
    url = address(scripted, transport)
    async with linked(url, transport, upstream_model="nix") as engine:
        with pytest.raises(UpstreamError, match="nix"):
            await engine.generate([Query("x")])


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_far_side_that_is_too_slow_is_a_timeout(
    scripted: ServerProcess, transport: str
) -> None:
    async with linked(address(scripted, transport), transport, timeout=0.3) as engine:
        with failing(Cause.TIMEOUT, match=r"did not answer within 0\.3 s"):
            await engine.generate([Query("sleep 5")])


async def test_grpc_to_where_nothing_listens_is_unavailable_and_found_again() -> None:
    port = free_port()
    async with linked(f"http://127.0.0.1:{port}", "grpc", breaker_failures=99) as engine:
        with failing(Cause.UNREACHABLE, match=r"is unavailable: .*Connection refused"):
            await engine.generate([Query("x")])
        async with far_side(answer_text, port), asyncio.timeout(20):
            while True:
                try:
                    answers = await engine.generate([Query("x")])
                    break
                except UpstreamError:
                    await asyncio.sleep(0.1)
    assert answers[0].text == "yes"


Infer = Callable[[v2.ModelInferRequest, Any], Awaitable[v2.ModelInferResponse]]


@asynccontextmanager
async def far_side(
    infer: Infer, port: int = 0, credentials: grpc.ServerCredentials | None = None
) -> AsyncIterator[int]:
    """A gRPC server of V2 whose every inference is `infer`; its port."""
    server = grpc.aio.server()
    handler = grpc.unary_unary_rpc_method_handler(
        infer,
        request_deserializer=v2.ModelInferRequest.FromString,
        response_serializer=v2.ModelInferResponse.SerializeToString,
    )
    service = grpc.method_handlers_generic_handler(
        "inference.GRPCInferenceService", {"ModelInfer": handler}
    )
    server.add_generic_rpc_handlers((service,))
    address = f"127.0.0.1:{port}"
    if credentials is None:
        bound = server.add_insecure_port(address)
    else:
        bound = server.add_secure_port(address, credentials)
    await server.start()
    try:
        yield bound
    finally:
        await server.stop(None)


def text_output(*texts: bytes) -> v2.ModelInferResponse:
    contents = v2.InferTensorContents(bytes_contents=texts)
    output = v2.ModelInferResponse.InferOutputTensor(
        name="text_output", datatype="BYTES", shape=[len(texts)], contents=contents
    )
    return v2.ModelInferResponse(model_name="far", outputs=[output])


async def answer_text(request: v2.ModelInferRequest, context: Any) -> v2.ModelInferResponse:
    return text_output(b"yes")


async def test_grpc_carries_tracing_and_extra_headers_and_no_floats() -> None:
    seen: dict[str, Any] = {}

    async def infer(request: v2.ModelInferRequest, context: Any) -> v2.ModelInferResponse:
        seen.update(context.invocation_metadata())
        seen["temperature"] = request.parameters["temperature"].string_param
        return text_output(b"yes")

    async with far_side(infer) as port:
        headers = '{"Authorization": "Bearer key"}'
        url = f"http://127.0.0.1:{port}"
        async with linked(url, "grpc", extra_headers=headers) as engine:
            with forwarded_headers({"X-Request-Id": "r-7", "authorization": "the caller's"}):
                await engine.generate([Query("x", Sampling(temperature=0.25))])
    assert (seen["x-request-id"], seen["authorization"]) == ("r-7", "Bearer key")
    assert seen["temperature"] == "0.25"


@pytest.mark.parametrize(
    ("response", "said"),
    [
        (v2.ModelInferResponse(), "V2 response: its text_output"),
        (text_output(b"a", b"b"), "2 answers to 1 queries"),
        (text_output(b"\xff"), "utf-8"),
        (v2.ModelInferResponse(raw_output_contents=[b"x"]), "1 raw contents for 0 outputs"),
    ],
)
async def test_a_grpc_answer_that_is_none_is_a_bad_gateway(
    response: v2.ModelInferResponse, said: str
) -> None:
    async def infer(request: v2.ModelInferRequest, context: Any) -> v2.ModelInferResponse:
        return response

    async with far_side(infer) as port, linked(f"http://127.0.0.1:{port}", "grpc") as engine:
        with pytest.raises(UpstreamError, match=said) as raised:
            await engine.generate([Query("x")])
    assert raised.value.status == 502


async def test_a_grpc_answer_beyond_the_limit_is_a_bad_gateway() -> None:
    async def infer(request: v2.ModelInferRequest, context: Any) -> v2.ModelInferResponse:
        return text_output(b"x" * 2000)

    options = {"max_answer_bytes": 1000}
    async with far_side(infer) as port, linked(f"http://127.0.0.1:{port}", "grpc", **options) as up:
        with pytest.raises(UpstreamError, match=r"vs\. 1000\)\) \(max_answer_bytes") as raised:
            await up.generate([Query("x")])
    assert (raised.value.status, raised.value.cause) == (502, "too_large")


async def test_overload_does_not_open_the_breaker_to_a_far_side_that_is_well() -> None:
    limits = {"max_concurrency": 1, "timeout": 1.0, "queue_timeout": 0.8, "breaker_failures": 1}
    with FarSide() as far:
        async with linked(far.url, "rest", **limits) as engine:
            calls = [engine.generate([Query("late 0.5")]) for _ in range(4)]
            outcomes = await asyncio.gather(*calls, return_exceptions=True)
            after = await engine.generate([Query("after")])
    assert [type(outcome) for outcome in outcomes] == [list, list, Overloaded, Overloaded]
    assert after[0].text == "AFTER"


@pytest.mark.parametrize(
    ("code", "status", "retryable"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, 400, False),
        (grpc.StatusCode.UNAUTHENTICATED, 502, False),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, 503, True),
        (grpc.StatusCode.UNAVAILABLE, 503, True),
        (grpc.StatusCode.DEADLINE_EXCEEDED, 504, True),
        (grpc.StatusCode.INTERNAL, 502, False),
    ],
)
async def test_grpc_codes_have_the_statuses_of_rest(
    code: grpc.StatusCode, status: int, retryable: bool
) -> None:
    async def infer(request: v2.ModelInferRequest, context: Any) -> v2.ModelInferResponse:
        await context.abort(code, "in its own\nwords")
        raise AssertionError

    async with far_side(infer) as port, linked(f"http://127.0.0.1:{port}", "grpc") as engine:
        with pytest.raises(HEMError, match="in its own words") as raised:
            await engine.generate([Query("x")])
    assert raised.value.status == status
    assert getattr(raised.value, "retryable", False) is retryable


@pytest.mark.parametrize("key", ["sk-0123456789abcdef", "k3y"])
@pytest.mark.parametrize("code", ["UNAUTHENTICATED", "INVALID_ARGUMENT"])
async def test_a_key_that_a_grpc_far_side_repeats_is_struck_out(code: str, key: str) -> None:
    async def infer(request: v2.ModelInferRequest, context: Any) -> v2.ModelInferResponse:
        sent = dict(context.invocation_metadata())["authorization"]
        await context.abort(grpc.StatusCode[code], f"bad credentials: {sent}")
        raise AssertionError

    options = {"extra_headers": json.dumps({"authorization": f"Bearer {key}"})}
    async with far_side(infer) as port, linked(f"http://127.0.0.1:{port}", "grpc", **options) as up:
        with pytest.raises(HEMError, match=r"bad credentials: \*\*\*$") as raised:
            await up.generate([Query("x")])
    assert key not in "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize("trusted", [True, False])
async def test_https_is_tls_by_grpc_too(tmp_path: Path, trusted: bool) -> None:
    authority, stranger = trustme.CA(), trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    key, chain = certificate.private_key_pem.bytes(), certificate.cert_chain_pems[0].bytes()
    credentials = grpc.ssl_server_credentials([(key, chain)])
    bundle = tmp_path / "ca.pem"
    (authority if trusted else stranger).cert_pem.write_to_path(str(bundle))
    async with far_side(answer_text, credentials=credentials) as port:
        url = f"https://127.0.0.1:{port}"
        async with linked(url, "grpc", ca_bundle=str(bundle)) as engine:
            if trusted:
                assert (await engine.generate([Query("x")]))[0].text == "yes"
            else:
                with failing(Cause.CERTIFICATE, match="does not verify"):
                    await engine.generate([Query("x")])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"transport": "soap"}, "unknown transport 'soap'; known: grpc, rest"),
        ({"url": "http://x/v2"}, "gRPC has no path"),
        ({"url": "https://x", "ca_bundle": "/nowhere.pem"}, "--ca_bundle '/nowhere.pem'"),
    ],
)
async def test_a_link_that_cannot_be_is_refused_at_the_start(
    options: dict[str, str], said: str
) -> None:
    given = {"url": "http://x", "transport": "grpc", **options}
    with pytest.raises(ConfigurationError, match=said):
        async with linked(**given):
            pass


async def test_a_rest_answer_without_tensors_is_a_bad_gateway(scripted: ServerProcess) -> None:
    for body in (b'{"outputs": [{"name": "x"}]}', b"[]", b'{"model_name": "m"}'):
        async with answering(body) as url, linked(url, "rest") as engine:
            with pytest.raises(UpstreamError, match="V2 response"):
                await engine.infer(TensorRequest({"x": Tensor.of(np.ones(1))}))


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_model_is_described_and_ready(scripted: ServerProcess, transport: str) -> None:
    model = V2Model(address(scripted, transport), "m")
    client = V2_TRANSPORTS.load(transport)(model, Limits())
    assert await client.ready()
    metadata = await client.metadata()
    assert metadata.inputs == {"text_input": TensorType("text_input", "BYTES", (-1,))}
    assert metadata.outputs["text_output"] == TensorType("text_output", "BYTES", (-1,))
    await client.close()


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_model_that_is_missing_is_not_ready_and_a_server_that_is_missing_an_error(
    scripted: ServerProcess, transport: str
) -> None:
    missing = V2Model(address(scripted, transport), "nix")
    nowhere = V2Model(f"http://127.0.0.1:{free_port()}", "m")
    for model in (missing, nowhere):
        client = V2_TRANSPORTS.load(transport)(model, Limits())
        if model is missing:
            assert not await client.ready()
        else:
            with failing(Cause.UNREACHABLE):
                await client.ready()
        await client.close()
