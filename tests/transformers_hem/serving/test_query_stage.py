"""mining-then-inference: a real HEM server answers the request, annotated."""

import concurrent.futures
from typing import Any

import grpc
import httpx
import pytest
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub

from tests.conftest import ServerProcess, StartServer
from tests.transformers_hem.v2 import grpc_request, request

SECRET = "correct-horse-battery-staple"


@pytest.fixture(scope="module")
def hem(start_server: StartServer) -> ServerProcess:
    return start_server("transformers_hem", "--model_name", "m", ready="/v2/models/m/ready")


def infer(hem: ServerProcess, body: Any, **headers: str) -> httpx.Response:
    return httpx.post(f"{hem.url}/v2/models/m/infer", json=body, headers=headers, timeout=10)


def test_the_answer_is_the_request_with_the_decision_in_its_parameters(hem: ServerProcess) -> None:
    sent = {
        **request("What is 2 + 3?", temperature=0, hem_route="cloud", hem_reason="old", house=7),
        "outputs": [{"name": "text_output"}],
    }
    response = infer(hem, sent)
    assert response.headers["content-type"] == "application/json"
    answered = response.json()
    parameters = answered.pop("parameters")
    assert {**answered, "parameters": sent["parameters"]} == sent
    assert {name for name in parameters if name.startswith("hem_")} == {
        *("hem_route", "hem_score", "hem_algorithm", "hem_threshold", "hem_reason")
    }
    assert (parameters["hem_reason"], parameters["hem_algorithm"]) == ("algorithm", "LinearRouter")
    assert (parameters["temperature"], parameters["house"]) == (0, 7)
    hard = parameters["hem_score"] > parameters["hem_threshold"]
    assert parameters["hem_route"] == ("cloud" if hard else "edge")


def test_tensors_it_does_not_know_stay(hem: ServerProcess) -> None:
    sent = request("What is 2 + 3?")
    sent["inputs"][0] |= {"shape": [1, 1], "data": [["What is 2 + 3?"]]}
    sent["inputs"].append(
        {
            "name": "image",
            "shape": [1, 2],
            "datatype": "FP32",
            "parameters": {"layout": "HW"},
            "data": [[0.5, 1]],
        }
    )
    answered = infer(hem, sent).json()
    assert answered["inputs"] == sent["inputs"]


@pytest.mark.parametrize("route", ["edge", "cloud"])
def test_the_caller_may_prefer(hem: ServerProcess, route: str) -> None:
    parameters = infer(hem, request("x", hem_prefer=route)).json()["parameters"]
    assert (parameters["hem_route"], parameters["hem_reason"]) == (route, "prefer")
    assert parameters["hem_prefer"] == route


def test_a_batch_goes_where_its_hardest_row_does(hem: ServerProcess) -> None:
    texts = ["What is 1 + 1?", "Reverse the word BANERUTOLIKA."]
    each = [infer(hem, request(text)).json()["parameters"]["hem_score"] for text in texts]
    both = infer(hem, request(*texts)).json()
    assert both["parameters"]["hem_score"] == max(each)
    assert both["inputs"][0]["data"] == texts


@pytest.mark.parametrize(
    ("bad", "fault"),
    [
        (request("x", hem_prefer="moon"), "hem_prefer"),
        (request("x", temperature=-1), "temperature"),
        (request("  "), "empty"),
        ({**request("x"), "inputs": []}, "text_input"),
        ({"inputs": [{**request("x")["inputs"][0], "shape": [2]}]}, "shape"),
        ({"inputs": [{**request("x")["inputs"][0], "datatype": "FP32"}]}, "BYTES"),
        ({"instances": ["x"]}, "inputs"),
    ],
)
def test_a_bad_request_is_told_why_and_the_next_one_works(
    hem: ServerProcess, bad: dict[str, Any], fault: str
) -> None:
    response = infer(hem, bad)
    assert response.status_code in (400, 422)
    assert fault in response.json()["error"]
    assert infer(hem, request("x")).status_code == 200


def test_a_long_query_is_scored_beside_the_others(hem: ServerProcess) -> None:
    """Health answers while a megabyte is scored in a thread."""
    with concurrent.futures.ThreadPoolExecutor() as pool:
        long = pool.submit(infer, hem, request("many words 123 " * 70_000))
        assert httpx.get(f"{hem.url}/v2/health/live", timeout=2).status_code == 200
        assert long.result().json()["parameters"]["hem_route"] in ("edge", "cloud")


async def test_grpc_is_refused_with_the_way_out(hem: ServerProcess) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{hem.grpc_port}") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await GRPCInferenceServiceStub(channel).ModelInfer(grpc_request("x"))
    assert raised.value.code() == grpc.StatusCode.UNIMPLEMENTED
    assert "/v2/models/m/infer over REST" in str(raised.value.details())


def test_the_v1_path_says_where_to_go(hem: ServerProcess) -> None:
    response = httpx.post(f"{hem.url}/v1/models/m:predict", json={"instances": ["x"]})
    assert response.status_code == 400
    assert "/v2/models/m/infer" in response.json()["error"]


def test_metadata_says_what_it_takes(hem: ServerProcess) -> None:
    metadata = httpx.get(f"{hem.url}/v2/models/m").json()
    assert metadata["inputs"] == [{"name": "text_input", "datatype": "BYTES", "shape": [-1]}]


def test_an_operator_sees_the_decision_but_not_the_query(hem: ServerProcess) -> None:
    infer(hem, request(f"What is {SECRET}?", hem_prefer="edge"), **{"x-request-id": "seen-7"})
    line = hem.wait_logged("id='seen-7'")
    assert "route=edge" in line and "reason=prefer" in line
    assert SECRET not in hem.log.read_text()
    metrics = httpx.get(f"{hem.url}/metrics").text
    assert 'hem_decisions_total{algorithm="LinearRouter",reason="prefer",route="edge"}' in metrics
    assert 'hem_score_bucket{algorithm="LinearRouter",le="0.5"}' in metrics
    assert 'hem_decision_seconds_count{algorithm="LinearRouter"}' in metrics


def test_a_request_id_cannot_forge_a_log_line(hem: ServerProcess) -> None:
    infer(hem, {**request("x"), "id": "a\nforged decision id=1"})
    hem.wait_logged("forged")
    assert "\nforged" not in hem.log.read_text()


def test_queries_of_seven_megabytes_fit_the_manifests_memory(hem: ServerProcess) -> None:
    words = " ".join(f"w{n}" for n in range(900_000))[:7_300_000]
    texts = [words, "é" * 3_600_000, "x" * 7_300_000, "word " * 1_400_000, "7+" * 3_600_000]
    for text in texts:
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(infer_patiently, [hem] * 4, [text] * 4))
        assert [answer.status_code for answer in answers] == [200] * 4
        assert answers[0].json()["inputs"][0]["data"] == [text]
    assert hem.memory_peak() < 512 * 2**20


def infer_patiently(hem: ServerProcess, text: str) -> httpx.Response:
    return httpx.post(f"{hem.url}/v2/models/m/infer", json=request(text), timeout=120)
