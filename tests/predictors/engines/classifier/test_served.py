"""The engine behind a real server: text rows without generation, and tensors by their names."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from predictors.contract import text_request
from tests.conftest import ServerProcess, StartServer
from tests.predictors.engines.classifier import tiny_models as tiny


@pytest.fixture(scope="module")
def served(start_server: StartServer, tmp_path_factory: pytest.TempPathFactory) -> ServerProcess:
    path: Path = tiny.text_classifier(tmp_path_factory.mktemp("bert"))
    options = ["--model_name", "m", "--engine", "classifier", "--model_dir", str(path)]
    return start_server("predictors", *options, ready="/v2/models/m/ready")


def ask(served: ServerProcess, request: dict[str, Any]) -> httpx.Response:
    return httpx.post(f"{served.url}/v2/models/m/infer", json=request, timeout=30)


def test_texts_are_answered_with_probabilities(served: ServerProcess) -> None:
    response = ask(served, text_request(["good film", "bad film"], {"hem_route": "edge"})).json()
    (output,) = response["outputs"]
    assert (output["name"], output["datatype"]) == ("probabilities", "FP32")
    assert output["shape"] == [2, 2]
    assert sum(output["data"]) == pytest.approx(2)
    assert response["parameters"] == {"hem_route": "edge", "served_by": "m", "cached": False}
    metadata = httpx.get(f"{served.url}/v2/models/m").json()
    assert metadata["inputs"] == [{"name": "text_input", "datatype": "BYTES", "shape": [-1]}]
    assert [output["name"] for output in metadata["outputs"]] == ["probabilities"]


def test_wrong_inputs_are_400_and_the_server_goes_on(served: ServerProcess) -> None:
    image = {"name": "image", "datatype": "UINT8", "shape": [1], "data": [0]}
    response = ask(served, {"inputs": [image]})
    assert response.status_code == 400
    assert "this model takes 'text_input' BYTES [-1]" in response.json()["error"]
    assert ask(served, text_request(["good"])).status_code == 200
