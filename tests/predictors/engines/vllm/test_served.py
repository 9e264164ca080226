"""The engine behind a real predictor process, over V2 REST and gRPC."""

import asyncio
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import httpx
import psutil
import pytest
from kserve.protocol.grpc.grpc_predict_v2_pb2 import (
    InferParameter,
    InferTensorContents,
    ModelInferRequest,
)
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub

from predictors.contract import (
    TELEMETRY,
    parse_answers,
    text_request,
)
from predictors.embedded.workshop.questions import test_questions as shipped_questions
from tests.conftest import ServerProcess, StartServer
from tests.inferencegraph.running_hem import still_there

pytestmark = [pytest.mark.engines, pytest.mark.timeout(900)]

QUESTIONS = [question.query for question in shipped_questions()[::40]]


@pytest.fixture(scope="module")
def server(start_server: StartServer) -> ServerProcess:
    defaults = {"PREDICTOR_TEMPERATURE": "0", "PREDICTOR_REPETITION_PENALTY": "1"}
    server = start_server(
        *("predictors", "--model_name", "qa", "--engine", "vllm", "--model_dir", "embedded:edge"),
        *("--enforce_eager", "true", "--max_model_len", "256"),
        env=defaults,
    )
    server.wait_ready("/v2/health/live")  # before the model is loaded
    assert httpx.get(f"{server.url}/v2/models/qa/ready").status_code == 503
    server.wait_ready("/v2/models/qa/ready", timeout=800)
    return server


def infer(server: ServerProcess, *texts: str, **parameters: Any) -> httpx.Response:
    url = f"{server.url}/v2/models/qa/infer"
    return httpx.post(url, json=text_request(texts, parameters), timeout=60)


def texts(response: httpx.Response) -> list[str]:
    assert response.status_code == 200, response.text
    return [answer.text for answer in parse_answers(response.json())]


def test_sequence_batch_and_concurrency_give_the_same_answers(server: ServerProcess) -> None:
    batch = texts(infer(server, *QUESTIONS))
    sequence = [texts(infer(server, question))[0] for question in QUESTIONS]
    with ThreadPoolExecutor(16) as pool:
        together = [texts(r)[0] for r in pool.map(lambda q: infer(server, q), QUESTIONS)]
    assert batch == sequence == together
    assert len(set(batch)) > len(batch) / 2


def test_every_telemetry_tensor_comes_back(server: ServerProcess) -> None:
    outputs = {o["name"]: o["data"] for o in infer(server, *QUESTIONS[:3]).json()["outputs"]}
    assert set(outputs) == {"text_output", *TELEMETRY}
    assert all(len(column) == 3 for column in outputs.values())


def test_health_is_answered_while_it_generates(server: ServerProcess) -> None:
    with ThreadPoolExecutor(1) as pool:
        answers = pool.submit(infer, server, *QUESTIONS * 4, temperature=1.5, seed=3)
        while not answers.done():
            assert httpx.get(f"{server.url}/v2/health/live", timeout=5).status_code == 200
    assert len(texts(answers.result())) == len(QUESTIONS) * 4


def test_what_is_too_long_is_a_400_with_both_numbers_and_the_next_one_works(
    server: ServerProcess,
) -> None:
    response = infer(server, "1 + " * 200)
    assert response.status_code == 400
    assert "tokens" in response.json()["error"] and "256 tokens" in response.json()["error"]
    assert texts(infer(server, "1 + 1?"))


def test_grpc_gives_the_same_answer(server: ServerProcess) -> None:
    async def over_grpc() -> str:
        tensor = ModelInferRequest.InferInputTensor(
            name="text_input",
            datatype="BYTES",
            shape=[1],
            contents=InferTensorContents(bytes_contents=[QUESTIONS[0].encode()]),
        )
        parameters = {"max_tokens": InferParameter(int64_param=20)}
        request = ModelInferRequest(model_name="qa", inputs=[tensor], parameters=parameters)
        async with grpc.aio.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
            response = await GRPCInferenceServiceStub(channel).ModelInfer(request)
        outputs = {output.name: output for output in response.outputs}
        return outputs["text_output"].contents.bytes_contents[0].decode()

    assert asyncio.run(over_grpc()) == texts(infer(server, QUESTIONS[0]))[0]


def test_the_metrics_of_vllm_are_the_predictors_too(server: ServerProcess) -> None:
    assert "vllm:request_success_total" in httpx.get(f"{server.url}/metrics").text


def test_a_killed_engine_takes_the_predictor_out_of_service_and_nothing_stays_behind(
    server: ServerProcess,
) -> None:
    """The last test of this server."""
    family = psutil.Process(server.process.pid).children(recursive=True)
    worker = next(process for process in family if "Worker" in " ".join(process.cmdline()))
    worker.kill()
    response = infer(server, "1 + 1?")
    assert response.status_code == 500 and "died" in response.json()["error"]
    assert httpx.get(f"{server.url}/v2/models/qa/ready").status_code == 503
    server.stop()
    assert still_there(family, within=15) == []


def test_a_wrong_setting_is_one_line_and_exit_status_2() -> None:
    command = [sys.executable, "-m", "predictors", "--engine", "vllm"]
    wrong = ["--model_dir", "embedded:edge", "--engine_args", "{"]
    done = subprocess.run([*command, *wrong], capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert done.stderr.startswith("error: --engine_args '{': ") and done.stderr.count("\n") == 1


def test_kserve_has_imported_vllm_before_an_engine_starts(start_server: StartServer) -> None:
    """Or an engine that imports transformers in a thread of its own fails now and then."""
    engine = "tests.predictors.engines.vllm.import_order:ImportOrder"
    server = start_server("predictors", "--model_name", "order", "--engine", engine)
    server.wait_ready("/v2/models/order/ready", timeout=300)
    answer = httpx.post(f"{server.url}/v2/models/order/infer", json=text_request(["?"], {}))
    assert [each.text for each in parse_answers(answer.json())] == ["True"]
