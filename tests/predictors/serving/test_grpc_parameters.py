"""Parameters over gRPC of the kinds that Triton's protocol has and kserve's has not; and none."""

from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from predictors.engines.triton.client import messages, stubs
from tests.conftest import ServerProcess, StartServer


@pytest.fixture(scope="module")
def mining(start_server: StartServer) -> ServerProcess:
    """HEM in the answer stage, with a predictor behind it whose defaults are its own."""
    predictor = start_server(
        *("tests.predictors.scripted", "--model_name", "m", "--engine", "scripted"),
        ready="/v2/models/m/ready",
    )
    return start_server(
        *("transformers_hem", "--model_name", "m", "--predictor_host"),
        f"127.0.0.1:{predictor.port}",
        env={"HEM_ALGORITHM": "ConfidenceRouter", "HEM_THRESHOLD": "0.5"},
        ready="/v2/models/m/ready",
    )


@pytest.fixture
async def stub(scripted: ServerProcess) -> AsyncIterator[Any]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{scripted.grpc_port}") as channel:
        yield stubs.GRPCInferenceServiceStub(channel)


def request(**parameters: Any) -> Any:
    """As tritonclient.grpc makes it: the kind of a parameter is that of its value."""
    message = messages.ModelInferRequest(model_name="m")
    message.inputs.add(name="text_input", datatype="BYTES", shape=[1])
    message.raw_input_contents.append(b"\x04\0\0\0word")
    for name, value in parameters.items():
        set_parameter(message.parameters[name], value)
    return message


def set_parameter(parameter: Any, value: Any) -> None:
    if value is None:
        parameter.SetInParent()
    elif isinstance(value, bool):
        parameter.bool_param = value
    elif isinstance(value, float):
        parameter.double_param = value
    elif isinstance(value, int) and value >= 2**63:
        parameter.uint64_param = value
    else:
        kind = "int64_param" if isinstance(value, int) else "string_param"
        setattr(parameter, kind, value)


async def answer(stub: Any, message: Any) -> tuple[str, float]:
    """The text, and the temperature with its sign turned (see ScriptedEngine)."""
    response = await stub.ModelInfer(message)
    names = [output.name for output in response.outputs]
    text = response.raw_output_contents[names.index("text_output")][4:].decode()
    raw = response.raw_output_contents[names.index("mean_logprob")]
    return text, float(memoryview(raw).cast("f")[0])


@pytest.mark.parametrize(
    ("parameters", "text", "temperature"),
    [
        ({"temperature": 0.5}, "WORD", 0.5),
        ({"temperature": 2.0, "max_tokens": 2.0}, "WO", 2.0),
        ({"temperature": 1e-320}, "WORD", 0.0),
        ({"temperature": "0.25"}, "WORD", 0.25),
        ({"temperature": 1, "seed": 7.0}, "WORD", 1.0),
        ({"top_p": 0.5, "repetition_penalty": 1.5}, "WORD", 0.0),
    ],
)
async def test_a_double_is_read(
    stub: Any, parameters: dict[str, Any], text: str, temperature: float
) -> None:
    assert await answer(stub, request(**parameters)) == (text, pytest.approx(-temperature))


async def test_an_unsigned_integer_is_read(stub: Any) -> None:
    message = request()
    message.parameters["max_tokens"].uint64_param = 3
    assert await answer(stub, message) == ("WOR", 0.0)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("temperature", 5.0, "temperature must be a number from 0 to 2, not 5.0"),
        ("temperature", float("nan"), "'temperature' must be a number, not nan"),
        ("temperature", True, "temperature must be a number"),
        ("top_p", -1.0, "top_p must be a number"),
        ("repetition_penalty", 1e-320, "repetition_penalty must be a number from 1e-30"),
        ("max_tokens", 1.5, "max_tokens must be a whole number"),
        ("seed", 2**64 - 1, "seed must be a whole number"),
        ("seed", -1.0, "seed must be a whole number"),
        ("stop", 1.0, "stop must be a string"),
        ("hem_prefer", None, "parameter 'hem_prefer' has no value; set its string_param"),
        ("temperature", None, "parameter 'temperature' has no value"),
        ("anything", None, "parameter 'anything' has no value"),
    ],
)
@pytest.mark.parametrize("server", ["scripted", "mining"])
async def test_a_wrong_value_is_refused_whatever_its_kind(
    request_for: Any, server: str, name: str, value: Any, said: str
) -> None:
    stub = await request_for(server)
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await stub.ModelInfer(request(**{name: value}))
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert said in str(raised.value.details())
    await stub.ModelInfer(request(temperature=0.0))


@pytest.fixture
async def request_for(scripted: ServerProcess, mining: ServerProcess) -> AsyncIterator[Any]:
    channels = []

    async def stub(name: str) -> Any:
        port = {"scripted": scripted, "mining": mining}[name].grpc_port
        channels.append(grpc.aio.insecure_channel(f"127.0.0.1:{port}"))
        return stubs.GRPCInferenceServiceStub(channels[-1])

    yield stub
    for channel in channels:
        await channel.close()


async def test_hem_passes_a_double_on_to_its_predictor(request_for: Any) -> None:
    stub = await request_for("mining")
    assert await answer(stub, request(temperature=0.0, max_tokens=2.0)) == ("WO", 0.0)
    assert await answer(stub, request(temperature=1.5)) == ("WORD", pytest.approx(-1.5))


@pytest.mark.parametrize("value", [0.25, 2**64 - 1, -(2**63), True, "x"])
async def test_hem_parameters_come_back_as_kserves_protocol_has_them(stub: Any, value: Any) -> None:
    response = await stub.ModelInfer(request(hem_score=value))
    back = response.parameters["hem_score"]
    shown = repr(value) if isinstance(value, float) or value == 2**64 - 1 else value
    assert getattr(back, back.WhichOneof("parameter_choice")) == shown
