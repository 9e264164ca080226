"""inference-then-mining: a real HEM server in front of a predictor that answers by script."""

from collections.abc import Iterator
from typing import Any

import grpc
import httpx
import pytest
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub

from tests.conftest import ServerProcess, StartServer, free_port
from tests.transformers_hem.scripted_predictor import ScriptedPredictor
from tests.transformers_hem.v2 import grpc_request, request

CONFIDENCE = {"HEM_ALGORITHM": "ConfidenceRouter", "HEM_THRESHOLD": "0.5"}


@pytest.fixture(scope="module")
def predictor() -> Iterator[ScriptedPredictor]:
    with ScriptedPredictor() as server:
        yield server


@pytest.fixture(scope="module")
def hem(start_server: StartServer, predictor: ScriptedPredictor) -> ServerProcess:
    arguments = ("--model_name", "m", "--predictor_host", predictor.host)
    return start_server("transformers_hem", *arguments, env=CONFIDENCE, ready="/v2/models/m/ready")


def infer(hem: ServerProcess, body: Any, **headers: str) -> httpx.Response:
    return httpx.post(f"{hem.url}/v2/models/m/infer", json=body, headers=headers, timeout=10)


@pytest.mark.parametrize(("logprob", "route"), [("-0.1", "edge"), ("-2", "cloud")])
def test_the_answer_comes_back_with_the_decision(
    hem: ServerProcess, logprob: str, route: str
) -> None:
    answered = infer(hem, request(f"logprob {logprob}", hem_route="old", hem_note="mine")).json()
    assert answered["outputs"][0]["data"] == [f"answer to logprob {logprob}"]
    assert answered["id"] == "r-1"
    parameters = answered["parameters"]
    assert parameters["hem_route"] == route
    assert (parameters["hem_algorithm"], parameters["hem_reason"]) == (
        "ConfidenceRouter",
        "algorithm",
    )
    assert (parameters["served_by"], parameters["hem_note"]) == ("scripted", "mine")


def test_no_telemetry_is_no_signal_and_goes_to_the_cloud(hem: ServerProcess) -> None:
    parameters = infer(hem, request("bare")).json()["parameters"]
    assert (parameters["hem_route"], parameters["hem_reason"]) == ("cloud", "no_signal")
    assert "hem_score" not in parameters


def test_a_batch_goes_where_its_hardest_row_does(hem: ServerProcess) -> None:
    easy = infer(hem, request("logprob -0.1", "logprob -0.2")).json()
    mixed = infer(hem, request("logprob -0.1", "logprob -5")).json()
    assert easy["parameters"]["hem_route"] == "edge"
    assert mixed["parameters"]["hem_route"] == "cloud"
    assert len(mixed["outputs"][0]["data"]) == 2


@pytest.mark.parametrize("route", ["edge", "cloud"])
def test_the_caller_may_prefer(hem: ServerProcess, route: str) -> None:
    parameters = infer(hem, request("logprob -1", hem_prefer=route)).json()["parameters"]
    assert (parameters["hem_route"], parameters["hem_reason"]) == (route, "prefer")
    assert parameters["hem_prefer"] == route


def test_only_wanted_outputs_come_back_though_all_are_mined(hem: ServerProcess) -> None:
    wanted = {**request("logprob -0.1"), "outputs": [{"name": "text_output"}]}
    answered = infer(hem, wanted).json()
    assert [output["name"] for output in answered["outputs"]] == ["text_output"]
    assert answered["parameters"]["hem_reason"] == "algorithm"
    refused = infer(hem, {**wanted, "outputs": [{"name": "poem"}]})
    assert refused.status_code == 400
    assert "unknown output 'poem'" in refused.json()["error"]


@pytest.mark.parametrize("status", [400, 404, 413, 429, 500, 503, 504])
def test_the_predictors_errors_come_through_as_they_are(hem: ServerProcess, status: int) -> None:
    response = infer(hem, request(f"status {status}"))
    assert response.status_code == status
    assert response.json() == {"error": f"scripted {status}", "retry": True}


def test_an_error_body_without_error_gets_one(hem: ServerProcess) -> None:
    response = infer(hem, request("detail 422"))
    assert response.status_code == 422
    assert "scripted" in response.json()["error"]


def test_something_that_is_no_answer_is_a_bad_gateway(hem: ServerProcess) -> None:
    response = infer(hem, request("garbage"))
    assert response.status_code == 502
    assert "not a V2 response" in response.json()["error"]


def test_a_bad_preference_is_refused_before_anybody_computes(
    hem: ServerProcess, predictor: ScriptedPredictor
) -> None:
    asked = len(predictor.requests)
    assert infer(hem, request("logprob -1", hem_prefer="moon")).status_code == 400
    assert len(predictor.requests) == asked


def test_tracing_and_parameters_reach_the_predictor_and_stale_decisions_do_not(
    hem: ServerProcess, predictor: ScriptedPredictor
) -> None:
    sent = request("logprob -1", temperature=0, hem_route="cloud", binary_data_output=False)
    infer(hem, sent, **{"x-request-id": "t-1", "traceparent": "00-a-b-01", "x-other": "no"})
    headers, body = predictor.requests[-1]
    assert (headers["x-request-id"], headers["traceparent"]) == ("t-1", "00-a-b-01")
    assert "x-other" not in headers
    assert body == {**sent, "parameters": {"temperature": 0}}


async def test_over_grpc_numbers_are_strings_and_errors_have_a_status(hem: ServerProcess) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{hem.grpc_port}") as channel:
        stub = GRPCInferenceServiceStub(channel)
        answered = await stub.ModelInfer(grpc_request("logprob -2"))
        assert answered.id == "g-1"
        assert answered.outputs[0].contents.bytes_contents[0] == b"answer to logprob -2"
        assert answered.parameters["hem_route"].string_param == "cloud"
        assert float(answered.parameters["hem_threshold"].string_param) == 0.5
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await stub.ModelInfer(grpc_request("status 503"))
        assert raised.value.code() == grpc.StatusCode.UNAVAILABLE
        assert "scripted 503" in str(raised.value.details())


def test_binary_outputs_are_given_to_who_asks_for_them(hem: ServerProcess) -> None:
    response = infer(hem, request("logprob -2", binary_data_output=True))
    length = int(response.headers["inference-header-content-length"])
    assert b"answer to logprob -2" in response.content[length:]


def test_it_is_ready_when_its_predictor_is(
    hem: ServerProcess, predictor: ScriptedPredictor
) -> None:
    predictor.ready = False
    try:
        not_ready = httpx.get(f"{hem.url}/v2/models/m/ready")
        assert not_ready.status_code == 503
        assert "/v2/models/m/ready answered 503" in not_ready.json()["error"]
        assert httpx.get(f"{hem.url}/v2/health/live").status_code == 200
    finally:
        predictor.ready = True
    assert httpx.get(f"{hem.url}/v2/models/m/ready").status_code == 200


def test_a_predictor_that_is_gone_is_unavailable(start_server: StartServer) -> None:
    nobody = f"127.0.0.1:{free_port()}"
    hem = start_server(
        *("transformers_hem", "--model_name", "m", "--predictor_host", nobody),
        env=CONFIDENCE,
        ready="/v2/health/live",
    )
    response = infer(hem, request("logprob -1"))
    assert response.status_code == 503
    assert "can't be reached" in response.json()["error"]
    for path in ("/v2/models/m/ready", "/v2/health/ready"):
        not_ready = httpx.get(hem.url + path)
        assert not_ready.status_code == 503
        assert "can't be reached" in not_ready.json()["error"]


def test_a_rule_on_the_first_tokens_mines_whole_answers_here_and_says_so_once(
    start_server: StartServer, predictor: ScriptedPredictor
) -> None:
    arguments = ("--model_name", "m", "--predictor_host", predictor.host)
    env = {**CONFIDENCE, "HEM_PARAMETERS": '{"prefix_tokens": 16}'}
    hem = start_server("transformers_hem", *arguments, env=env, ready="/v2/models/m/ready")
    for logprob, route in (("-0.1", "edge"), ("-2", "cloud")):
        told = infer(hem, request(f"logprob {logprob}")).json()["parameters"]
        assert (told["hem_route"], told["hem_reason"]) == (route, "algorithm")
    assert hem.log.read_text().count("the V2 graph mines whole answers") == 1
