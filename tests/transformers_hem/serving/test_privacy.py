"""The guard of privacy in V2: in a graph its decision is a parameter, as every other one."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.conftest import ServerProcess, StartServer
from tests.transformers_hem.scripted_predictor import ScriptedPredictor
from tests.transformers_hem.v2 import request

SECRET = "4111 1111 1111 1111"
GUARDED = {"HEM_GUARDS": "PrivacyGuard"}
ARGUMENTS = ("--model_name", "m")
READY = "/v2/models/m/ready"


@pytest.fixture(scope="module")
def predictor() -> Iterator[ScriptedPredictor]:
    with ScriptedPredictor() as server:
        yield server


@pytest.fixture(scope="module")
def stages(start_server: StartServer, predictor: ScriptedPredictor) -> dict[str, ServerProcess]:
    query = {**GUARDED, "HEM_ALGORITHM": "CloudOnly"}
    answer = {**GUARDED, "HEM_ALGORITHM": "ConfidenceRouter", "HEM_THRESHOLD": "0.5"}
    at = (*ARGUMENTS, "--predictor_host", predictor.host)
    return {
        "query": start_server("transformers_hem", *ARGUMENTS, env=query, ready=READY),
        "answer": start_server("transformers_hem", *at, env=answer, ready=READY),
    }


def other(name: str, datatype: str, data: list[Any]) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": [len(data)], "data": data}


def with_input(tensor: dict[str, Any]) -> dict[str, Any]:
    sent = request("logprob -5")
    return {**sent, "inputs": [*sent["inputs"], tensor]}


PRIVATE = {
    "a text": request(f"logprob -5 {SECRET}"),
    "a row": request("logprob -5", f"logprob -5 {SECRET}"),
    "a text that prefers the cloud": request(f"logprob -5 {SECRET}", hem_prefer="cloud"),
    "a parameter": request("logprob -5", note=SECRET),
    "an id": {**request("logprob -5"), "id": "anna@example.com"},
    "another tensor": with_input(other("context", "BYTES", [SECRET])),
    "another tensor that is none": with_input({**other("context", "BYTES", ["a"]), "shape": [3]}),
    "an image": with_input(other("image", "FP32", [0.5, 1])),
}


@pytest.mark.parametrize("stage", ["query", "answer"])
@pytest.mark.parametrize("name", PRIVATE)
def test_what_is_private_stays_at_the_edge(
    stages: dict[str, ServerProcess], name: str, stage: str
) -> None:
    url = f"{stages[stage].url}/v2/models/m/infer"
    answered = httpx.post(url, json=PRIVATE[name], timeout=10).json()["parameters"]
    assert (answered["hem_route"], answered["hem_reason"]) == ("edge", "PrivacyGuard")
    assert "hem_score" not in answered


@pytest.mark.parametrize("stage", ["query", "answer"])
def test_what_is_not_private_is_decided_by_the_algorithm(
    stages: dict[str, ServerProcess], stage: str
) -> None:
    url = f"{stages[stage].url}/v2/models/m/infer"
    answered = httpx.post(url, json=request("logprob -5", temperature=0), timeout=10).json()
    parameters = answered["parameters"]
    assert (parameters["hem_route"], parameters["hem_reason"]) == ("cloud", "algorithm")
