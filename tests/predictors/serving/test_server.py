"""The contract on a live server: V2 over REST, good requests and bad."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from predictors.contract import text_request
from tests.conftest import ServerProcess


def infer(server: ServerProcess, **kwargs: Any) -> httpx.Response:
    return httpx.post(f"{server.url}/v2/models/m/infer", timeout=10, **kwargs)


def test_a_request_of_several_rows_is_answered_row_by_row(scripted: ServerProcess) -> None:
    response = infer(scripted, json=text_request(["one", "two three"], id="q-1")).json()
    outputs = {output["name"]: output for output in response["outputs"]}
    assert response["id"] == "q-1"
    assert response["model_name"] == "m"
    assert outputs["text_output"]["data"] == ["ONE", "TWO THREE"]
    tokens = outputs["prompt_tokens"]
    assert (tokens["datatype"], tokens["shape"], tokens["data"]) == ("INT32", [2], [1, 2])
    assert response["parameters"] == {"served_by": "m", "cached": False}


def test_telemetry_that_the_engine_lacks_is_left_out(scripted: ServerProcess) -> None:
    names = {o["name"] for o in infer(scripted, json=text_request(["x"])).json()["outputs"]}
    assert "time_to_first_token" in names
    assert not names & {"inter_token_latency", "mean_margin"}


def test_parameters_come_from_the_request_else_from_the_settings(scripted: ServerProcess) -> None:
    plain = infer(scripted, json=text_request(["word"])).json()
    cut = infer(scripted, json=text_request(["word"], {"max_tokens": 2, "temperature": 1})).json()
    assert [o["data"] for o in plain["outputs"] if o["name"] == "mean_logprob"] == [[0.0]]
    assert [o["data"] for o in cut["outputs"] if o["name"] == "text_output"] == [["WO"]]
    assert [o["data"] for o in cut["outputs"] if o["name"] == "mean_logprob"] == [[-1.0]]


def test_hem_parameters_come_back(scripted: ServerProcess) -> None:
    request = text_request(["x"], {"hem_route": "edge", "hem_score": 0.25, "other": 1})
    parameters = infer(scripted, json=request).json()["parameters"]
    assert parameters["hem_route"] == "edge"
    assert parameters["hem_score"] == 0.25
    assert "other" not in parameters


def test_only_requested_outputs_are_sent(scripted: ServerProcess) -> None:
    request = {**text_request(["x"]), "outputs": [{"name": "text_output"}]}
    assert [o["name"] for o in infer(scripted, json=request).json()["outputs"]] == ["text_output"]


def test_metadata_names_inputs_and_outputs(scripted: ServerProcess) -> None:
    metadata = httpx.get(f"{scripted.url}/v2/models/m").json()
    assert metadata["inputs"] == [{"name": "text_input", "datatype": "BYTES", "shape": [-1]}]
    assert {"name": "min_logprob", "datatype": "FP32", "shape": [-1]} in metadata["outputs"]


GOOD = text_request(["x"])
TENSOR = GOOD["inputs"][0]
BINARY = {"content-type": "application/octet-stream"}


def binary_header(length: str) -> dict[str, str]:
    return {**BINARY, "inference-header-content-length": length}


@pytest.mark.parametrize(
    ("kwargs", "status", "fault"),
    [
        ({"content": b"{", "headers": {"content-type": "application/json"}}, 400, "not valid JSON"),
        ({"content": b"\xff\xfe", "headers": {"content-type": "application/json"}}, 400, "JSON"),
        ({"content": b"x"}, 400, "not valid JSON"),
        ({"json": {}}, 422, "inputs"),
        ({"json": {"inputs": []}}, 400, "no input 'text_input'"),
        ({"json": {"inputs": [TENSOR, TENSOR]}}, 400, "more than one"),
        ({"json": {"inputs": [TENSOR, {**TENSOR, "name": "n"}]}}, 400, "unknown input 'n'"),
        ({"json": {"inputs": [{**TENSOR, "datatype": "INT8"}]}}, 400, "BYTES"),
        ({"json": {"inputs": [{**TENSOR, "shape": [3]}]}}, 400, "shape"),
        ({"json": {"inputs": [{**TENSOR, "data": []}]}}, 400, "elements"),
        ({"json": {"inputs": [{**TENSOR, "data": None}]}}, 422, "data"),
        ({"json": {**GOOD, "parameters": {"seed": [1]}}}, 400, "'seed' must be a string"),
        ({"json": {**GOOD, "parameters": {"a": {"b": 1}}}}, 400, "'a' must be a string"),
        ({"json": {**GOOD, "parameters": {"temperature": 3}}}, 400, "temperature"),
        ({"json": {**GOOD, "outputs": [{"name": "nope"}]}}, 400, "unknown output 'nope'"),
        ({"json": text_request(["x" * 70_000])}, 413, "limit is 65536"),
        ({"content": iter([b"x" * 40_000] * 2)}, 413, "limit of 65536"),
        ({"content": b"{}", "headers": binary_header("x")}, 400, "length"),
        ({"content": b"{}", "headers": binary_header("2")}, 400, "inputs"),
    ],
)  # fmt: skip
def test_a_bad_request_is_a_4xx_that_says_why_and_the_next_good_one_works(
    scripted: ServerProcess, kwargs: dict[str, Any], status: int, fault: str
) -> None:
    response = infer(scripted, **kwargs)
    assert response.status_code == status
    assert fault in response.json()["error"]
    assert infer(scripted, json=GOOD).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("PUT", "/v2/models/m/infer", 405),
        ("POST", "/v2/models/unknown/infer", 404),
        ("GET", "/v2/nowhere", 404),
        ("POST", "/v1/models/m:predict", 400),
    ],
)
def test_a_wrong_address_is_a_4xx_with_error(
    scripted: ServerProcess, method: str, path: str, status: int
) -> None:
    body = {"instances": [1]} if "v1" in path else GOOD
    response = httpx.request(method, scripted.url + path, json=body)
    assert response.status_code == status
    assert response.json()["error"]


def binary_request(raw: bytes, shape: list[int]) -> dict[str, Any]:
    tensor = {"name": "text_input", "shape": shape, "datatype": "BYTES"}
    tensor["parameters"] = {"binary_data_size": len(raw)}
    header = orjson.dumps({"inputs": [tensor]})
    return {"content": header + raw, "headers": binary_header(str(len(header)))}


def test_binary_tensors_are_taken_and_broken_ones_refused(scripted: ServerProcess) -> None:
    good = infer(scripted, **binary_request(b"\x02\0\0\0hi", [1]))
    assert good.json()["outputs"][0]["data"] == ["HI"]
    not_utf8 = infer(scripted, **binary_request(b"\x01\0\0\0\xff", [1]))
    assert (not_utf8.status_code, "UTF-8" in not_utf8.json()["error"]) == (400, True)
    too_short = infer(scripted, **binary_request(b"\x09\0\0\0hi", [1]))
    assert (too_short.status_code, "runs past" in too_short.json()["error"]) == (400, True)


def test_an_engine_that_fails_is_a_500_with_error_and_the_next_request_works(
    scripted: ServerProcess,
) -> None:
    for query in ("fail", "crash"):
        response = infer(scripted, json=text_request([query]))
        assert response.status_code == 500
        assert "the script says" in response.json()["error"]
    assert infer(scripted, json=GOOD).status_code == 200


async def test_health_is_answered_while_the_engine_works(
    scripted: ServerProcess, tmp_path: Path
) -> None:
    begun, enough = len(scripted.logged("scripted: waits")), tmp_path / "enough"
    async with httpx.AsyncClient(base_url=scripted.url, timeout=30) as client:
        slow = asyncio.create_task(
            client.post("/v2/models/m/infer", json=text_request([f"until {enough}"]))
        )
        await asyncio.to_thread(scripted.wait_logged, "scripted: waits", begun + 1)
        assert (await client.get("/v2/health/live")).json() == {"live": True}
        assert not slow.done()
        enough.touch()
        assert (await slow).status_code == 200


async def test_work_is_cancelled_when_its_client_leaves(scripted: ServerProcess) -> None:
    begun = len(scripted.logged("scripted: waits"))
    before = len(scripted.logged("scripted: cancelled"))
    async with httpx.AsyncClient(base_url=scripted.url, timeout=30) as client:
        asked = asyncio.create_task(
            client.post("/v2/models/m/infer", json=text_request(["sleep 60"]))
        )
        await asyncio.to_thread(scripted.wait_logged, "scripted: waits", begun + 1)
        asked.cancel()
    await asyncio.to_thread(scripted.wait_logged, "scripted: cancelled", before + 1)
    assert len(scripted.logged("scripted: cancelled")) == before + 1
    assert "Traceback" not in scripted.log.read_text().split("scripted: cancelled")[-1]


def test_metrics_are_exposed(scripted: ServerProcess) -> None:
    assert (
        "request_predict_seconds"
        in httpx.get(f"{scripted.url}/metrics", follow_redirects=True).text
    )


def test_a_probe_of_an_unknown_model_is_one_line_in_the_log(scripted: ServerProcess) -> None:
    assert httpx.get(f"{scripted.url}/v2/models/elsewhere/ready").status_code == 404
    told = scripted.wait_logged("elsewhere")
    assert "ModelNotFound: Model with name elsewhere does not exist." in told
    assert len(scripted.logged("elsewhere")) == 1


@pytest.mark.parametrize("length", [{"content-length": str(2**25)}, {}])
def test_a_413_arrives_at_a_client_that_first_sends_everything(
    scripted: ServerProcess, length: dict[str, str]
) -> None:
    pieces = (b"1" * 2**20 for _ in range(32))
    headers = {"content-type": "application/json", **length}
    response = infer(scripted, content=pieces, headers=headers)
    assert response.status_code == 413
    assert "limit" in response.json()["error"]


def test_too_many_headers_are_a_431(scripted: ServerProcess) -> None:
    headers = {f"x-{number}": "1" for number in range(101)}
    response = infer(scripted, json=GOOD, headers=headers)
    assert (response.status_code, "100 headers" in response.json()["error"]) == (431, True)
