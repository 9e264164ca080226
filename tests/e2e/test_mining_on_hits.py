"""Answer-stage mining decides on an answer from the cache as it did on the computed one."""

import httpx

from predictors.contract import text_request
from tests.conftest import StartServer

START_SECONDS = 240  # torch and transformers, on a machine where much else runs


def test_a_hit_has_the_score_of_the_answer_that_was_computed(start_server: StartServer) -> None:
    edge = start_server(
        *("predictors", "--model_name", "qa-edge", "--model_dir", "embedded:edge"),
        *("--cache", "memory"),
    )
    edge.wait_ready("/v2/models/qa-edge/ready", START_SECONDS)
    hem = start_server(
        *("transformers_hem", "--model_name", "qa-edge"),
        *("--predictor_host", f"127.0.0.1:{edge.port}"),
        env={"HEM_ALGORITHM": "ConfidenceRouter", "HEM_THRESHOLD": "0.5"},
    )
    hem.wait_ready("/v2/models/qa-edge/ready", START_SECONDS)
    body = text_request(["What is 12 + 7?"], {"temperature": 0, "max_tokens": 32})
    said = [
        httpx.post(f"{hem.url}/v2/models/qa-edge/infer", json=body, timeout=30).json()["parameters"]
        for _ in range(2)
    ]
    assert [parameters["cached"] for parameters in said] == [False, True]
    assert 0 < said[0]["hem_score"] < 1
    assert said[1]["hem_score"] == said[0]["hem_score"]
    assert said[1]["hem_reason"] == said[0]["hem_reason"] == "algorithm"
