"""A predictor process in front of a real Triton: text, tensors, metadata, cancellation."""

import json
import socket
import time
from typing import Any

import grpc
import httpx
import numpy as np
import pytest
from kserve import InferInput, InferRequest
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub
from openai import OpenAI

from tests.conftest import ServerProcess, StartServer
from tests.tritonserver import TritonServer

pytestmark = pytest.mark.engines
GREEDY = {"temperature": 0, "max_tokens": 50}


def predictor(
    start_server: StartServer, triton: TritonServer, model: str, *options: str
) -> ServerProcess:
    url = triton.http if "http" in options else triton.grpc
    return start_server(
        "predictors",
        *("--model_name", "p", "--engine", "triton", "--url", url, "--upstream_model", model),
        *options,
        ready="/v2/models/p/ready",
    )


@pytest.fixture(scope="module")
def vllm_like(start_server: StartServer, tritonserver: TritonServer) -> ServerProcess:
    return predictor(start_server, tritonserver, "vllm_like")


@pytest.fixture(scope="module", params=["grpc", "http"])
def plain_text(
    request: pytest.FixtureRequest, start_server: StartServer, tritonserver: TritonServer
) -> ServerProcess:
    options = ("--transport", request.param)
    return predictor(start_server, tritonserver, "plain_text", *options)


@pytest.fixture(scope="module")
def tensors_by_grpc(start_server: StartServer, tritonserver: TritonServer) -> ServerProcess:
    return predictor(start_server, tritonserver, "tensors", "--transport", "grpc")


@pytest.fixture(scope="module")
def tensors_by_http(start_server: StartServer, tritonserver: TritonServer) -> ServerProcess:
    return predictor(start_server, tritonserver, "tensors", "--transport", "http")


@pytest.fixture(params=["grpc", "http"])
def tensors(request: pytest.FixtureRequest) -> ServerProcess:
    return request.getfixturevalue(f"tensors_by_{request.param}")


def ask(server: ServerProcess, *texts: str, **parameters: Any) -> httpx.Response:
    tensor = {"name": "text_input", "shape": [len(texts)], "datatype": "BYTES", "data": texts}
    body = {"inputs": [tensor], "parameters": {**GREEDY, **parameters}}
    return httpx.post(f"{server.url}/v2/models/p/infer", json=body, timeout=30)


def columns(response: httpx.Response) -> dict[str, list[Any]]:
    assert response.status_code == 200, response.text
    return {output["name"]: output["data"] for output in response.json()["outputs"]}


def test_a_stream_becomes_one_answer_with_the_contracts_telemetry(
    vllm_like: ServerProcess,
) -> None:
    response = ask(vllm_like, "a b c d", "grüße an alle", hem_route="cloud")
    found = columns(response)
    assert found["text_output"] == ["A B C D", "GRÜSSE AN ALLE"]
    assert found["prompt_tokens"] == [4, 3]
    assert found["completion_tokens"] == [4, 3]
    assert found["mean_logprob"] == [-0.5, -0.5]
    assert found["min_logprob"] == [-0.5, -0.5]
    assert found["mean_margin"] == pytest.approx([np.exp(-0.25) - np.exp(-0.5)] * 2)
    assert all(value > 0 for value in found["time_to_first_token"] + found["inter_token_latency"])
    parameters = response.json()["parameters"]
    assert parameters == {"hem_route": "cloud", "served_by": "vllm_like", "cached": False}


def test_sampling_parameters_arrive_as_vllm_names_them(vllm_like: ServerProcess) -> None:
    response = ask(vllm_like, "options", seed=3, stop='["x", "y"]', top_p=0.5)
    assert json.loads(columns(response)["text_output"][0]) == {
        **{"max_tokens": 50, "temperature": 0.0, "top_p": 0.5, "repetition_penalty": 1.05},
        **{"seed": 3, "stop": ["x", "y"], "logprobs": 2},
    }
    assert columns(ask(vllm_like, "a b c", max_tokens=2))["text_output"] == ["A B"]


def test_a_stream_that_breaks_off_is_no_answer(vllm_like: ServerProcess) -> None:
    response = ask(vllm_like, "a b", "fail now")
    assert response.status_code == 502
    assert "the script says fail" in response.json()["error"]
    assert columns(ask(vllm_like, "a b"))["text_output"] == ["A B"]


def until_cancelled(triton: TritonServer, before: int) -> None:
    deadline = time.monotonic() + 20
    while triton.log.read_text().count("vllm_like: cancelled") == before:
        assert time.monotonic() < deadline, "the request goes on in Triton"
        time.sleep(0.1)


def test_a_client_that_leaves_cancels_the_request_in_triton(
    vllm_like: ServerProcess, tritonserver: TritonServer
) -> None:
    cancelled = tritonserver.log.read_text().count("vllm_like: cancelled")
    body = json.dumps(
        {"inputs": [{"name": "text_input", "shape": [1], "datatype": "BYTES", "data": ["slow"]}]}
    )
    with socket.create_connection(("127.0.0.1", vllm_like.port)) as client:
        client.sendall(
            b"POST /v2/models/p/infer HTTP/1.1\r\nhost: p\r\ncontent-type: application/json\r\n"
            + f"content-length: {len(body)}\r\n\r\n{body}".encode()
        )
        time.sleep(1)
    until_cancelled(tritonserver, cancelled)


def test_an_openai_client_gets_each_response_as_it_comes(vllm_like: ServerProcess) -> None:
    client = OpenAI(base_url=f"{vllm_like.url}/v1", api_key="-")
    events = list(
        client.chat.completions.create(
            model="p",
            stream=True,
            stream_options={"include_usage": True},
            messages=[{"role": "user", "content": "a b c d"}],
        )
    )
    choices = [event.choices[0] for event in events if event.choices]
    assert [c.delta.content for c in choices if c.delta.content] == ["A B", " C", " D"]
    assert choices[-1].finish_reason == "stop"
    assert events[-1].usage is not None
    assert (events[-1].usage.prompt_tokens, events[-1].usage.completion_tokens) == (4, 4)


def test_a_stream_that_breaks_off_ends_with_an_error_event(vllm_like: ServerProcess) -> None:
    body = {"model": "p", "stream": True, "messages": [{"role": "user", "content": "fail now"}]}
    response = httpx.post(f"{vllm_like.url}/v1/chat/completions", json=body, timeout=30)
    assert response.status_code == 200
    assert "FAIL NOW" in response.text
    assert (
        "the script says fail"
        in json.loads(response.text.strip().rpartition("data: ")[2])["error"]["message"]
    )
    assert "[DONE]" not in response.text


def test_a_client_that_leaves_its_stream_cancels_the_request_in_triton(
    vllm_like: ServerProcess, tritonserver: TritonServer
) -> None:
    cancelled = tritonserver.log.read_text().count("vllm_like: cancelled")
    body = {"model": "p", "stream": True, "messages": [{"role": "user", "content": "slow"}]}
    with httpx.stream("POST", f"{vllm_like.url}/v1/chat/completions", json=body) as response:
        assert next(line for line in response.iter_lines() if "word" in line)
    until_cancelled(tritonserver, cancelled)


def test_a_caller_over_grpc_gets_the_same(vllm_like: ServerProcess) -> None:
    tensor = InferInput("text_input", [1], "BYTES", [b"x y z"])
    request = InferRequest("p", [tensor], parameters={"temperature": "0"}, request_id="g")
    with grpc.insecure_channel(f"127.0.0.1:{vllm_like.grpc_port}") as channel:
        response = GRPCInferenceServiceStub(channel).ModelInfer(request.to_grpc())
    outputs = {output.name: output.contents for output in response.outputs}
    assert list(outputs["text_output"].bytes_contents) == [b"X Y Z"]
    assert list(outputs["completion_tokens"].int_contents) == [3]


def test_a_model_that_is_not_decoupled_answers_all_rows_at_once(
    plain_text: ServerProcess,
) -> None:
    found = columns(ask(plain_text, "abc", "grüß"))
    assert found["text_output"] == ["cba", "ßürg"]
    assert found["completion_tokens"] == [3, 4]
    assert found["mean_logprob"] == [-0.5, -0.5]
    assert "time_to_first_token" not in found


def test_options_reach_it_as_request_parameters(plain_text: ServerProcess) -> None:
    shown = json.loads(columns(ask(plain_text, "parameters", seed=3))["text_output"][0])
    assert (shown["max_tokens"], shown["temperature"], shown["seed"]) == (50, "0.0", 3)


def test_a_model_that_fails_is_the_far_sides_fault_in_one_line(plain_text: ServerProcess) -> None:
    for _ in range(8):  # more than open a circuit breaker: the server is alive
        response = ask(plain_text, "fail")
        assert response.status_code == 502
        assert "the script says fail" in response.json()["error"]
        assert "\n" not in response.json()["error"]
    assert columns(ask(plain_text, "abc"))["text_output"] == ["cba"]


def test_a_batched_model_gets_its_options_for_each_row(
    start_server: StartServer, tritonserver: TritonServer
) -> None:
    server = predictor(start_server, tritonserver, "batched_text")
    shown = columns(ask(server, "a", "b", max_tokens=3, stop="x", seed=9))["text_output"]
    options = "{'max_tokens': [3], 'random_seed': [9], 'stop_words': [b'x'], 'temperature': [0.0]}"
    assert shown == [f"a {options}", f"b {options}"]


def infer(server: ServerProcess, *inputs: InferInput, **extra: Any) -> httpx.Response:
    body: dict[str, Any] = {
        "inputs": [
            {"name": i.name, "shape": i.shape, "datatype": i.datatype, "data": i.data}
            for i in inputs
        ],
        **extra,
    }
    return httpx.post(f"{server.url}/v2/models/p/infer", json=body, timeout=30)


def test_tensors_of_every_kind_cross_with_their_shapes(tensors: ServerProcess) -> None:
    response = infer(
        tensors,
        InferInput("BOOL", [2], "BOOL", [True, False]),
        InferInput("UINT8", [2, 2], "UINT8", [[1, 2], [3, 254]]),
        InferInput("INT64", [2], "INT64", [2**60, -7]),
        InferInput("FP32", [1, 2], "FP32", [0.5, 1e30]),
        InferInput("FP64", [1], "FP64", [0.1]),
        InferInput("BYTES", [2], "BYTES", ["grüße", ""]),
    )
    assert columns(response) == {
        "BOOL_OUT": [False, True],
        "UINT8_OUT": [2, 3, 4, 255],
        "INT64_OUT": [2**60 + 1, -6],
        "FP32_OUT": [1.5, pytest.approx(1e30)],
        "FP64_OUT": [1.1],
        "BYTES_OUT": ["GRüßE", ""],
    }
    shapes = {output["name"]: output["shape"] for output in response.json()["outputs"]}
    assert (shapes["UINT8_OUT"], shapes["FP32_OUT"]) == ([2, 2], [1, 2])
    assert response.json()["parameters"]["served_by"] == "tensors"


def infer_in_binary(server: ServerProcess, values: Any, datatype: str) -> httpx.Response:
    tensor = InferInput(datatype, list(values.shape), datatype)
    tensor.set_data_from_numpy(values, binary_data=True)
    body, length = InferRequest("p", [tensor], parameters={"binary_data_output": True}).to_rest()
    return httpx.post(
        f"{server.url}/v2/models/p/infer",
        content=body,
        headers={"inference-header-content-length": str(length)},
    )


def test_half_precision_crosses_in_binary(tensors_by_grpc: ServerProcess) -> None:
    response = infer_in_binary(tensors_by_grpc, np.array([0.5, 2], np.float16), "FP16")
    assert response.status_code == 200, response.text
    assert response.content.endswith(np.array([1.5, 3], np.float16).tobytes())


@pytest.mark.parametrize(
    "values",
    [
        np.array([0.5, 2], np.float16),
        np.array([[np.nan, np.inf]], np.float32),
    ],
    ids=["FP16", "FP32"],
)
def test_what_json_can_not_carry_is_refused_over_http_with_the_way_out(
    tensors_by_http: ServerProcess, values: Any, request: pytest.FixtureRequest
) -> None:
    response = infer_in_binary(tensors_by_http, values, request.node.callspec.id)
    assert response.status_code == 400
    assert "--transport grpc" in response.json()["error"]


def infer_raw_bytes(server: ServerProcess) -> Any:
    raw = InferInput("BYTES", [2], "BYTES")
    raw.set_data_from_numpy(np.array([b"\xffa", b""], dtype=np.object_), binary_data=True)
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        return GRPCInferenceServiceStub(channel).ModelInfer(InferRequest("p", [raw]).to_grpc())


def test_bytes_that_are_no_text_cross_over_grpc(tensors_by_grpc: ServerProcess) -> None:
    response = infer_raw_bytes(tensors_by_grpc)
    (output,) = response.outputs
    found = response.raw_output_contents or list(output.contents.bytes_contents)
    assert found in ([b"\xffA", b""], [b"\x02\0\0\0\xffA\0\0\0\0"])


def test_bytes_that_are_no_text_are_refused_over_http_with_the_way_out(
    tensors_by_http: ServerProcess,
) -> None:
    with pytest.raises(grpc.RpcError, match=r"not UTF-8.* --transport grpc"):
        infer_raw_bytes(tensors_by_http)


def test_only_the_outputs_that_are_asked_for_come_back(tensors: ServerProcess) -> None:
    given = (InferInput("INT64", [1], "INT64", [1]), InferInput("BOOL", [1], "BOOL", [True]))
    assert columns(infer(tensors, *given, outputs=[{"name": "BOOL_OUT"}])) == {"BOOL_OUT": [False]}


@pytest.mark.parametrize(
    ("given", "extra", "fault"),
    [
        (InferInput("NIX", [1], "INT64", [1]), {}, "unknown input 'NIX'; model 'tensors' takes"),
        (InferInput("INT64", [1], "FP32", [1]), {}, "data-type is 'FP32'"),
        (InferInput("FP32", [1], "FP32", [1]), {}, "unexpected shape"),
        (InferInput("BOOL", [1], "BOOL", [True]), {"outputs": [{"name": "NIX"}]}, "output 'NIX'"),
        (InferInput("text_input", [1], "BYTES", ["a"]), {}, "'tensors' takes"),
    ],
)
def test_what_the_caller_can_mend_is_a_400_that_says_what(
    tensors: ServerProcess, given: InferInput, extra: dict[str, Any], fault: str
) -> None:
    response = infer(tensors, given, **extra)
    assert response.status_code == 400
    assert fault in response.json()["error"]


def test_metadata_are_those_of_the_model(tensors: ServerProcess) -> None:
    metadata = httpx.get(f"{tensors.url}/v2/models/p").json()
    types = {t["name"]: (t["datatype"], t["shape"]) for t in metadata["inputs"]}
    assert types["FP32"] == ("FP32", [-1, 2])
    assert {t["name"] for t in metadata["outputs"]} >= {"BYTES_OUT", "FP16_OUT"}


def test_a_decoupled_model_of_tensors_may_answer_once(
    start_server: StartServer, tritonserver: TritonServer
) -> None:
    server = predictor(start_server, tritonserver, "counter")
    assert columns(infer(server, InferInput("COUNT", [1], "INT32", [1]))) == {"INDEX": [0]}
    for count in (0, 3):
        response = infer(server, InferInput("COUNT", [1], "INT32", [count]))
        assert response.status_code == 502
        assert f"gave {count} responses" in response.json()["error"]
