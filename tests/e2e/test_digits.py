"""Digit recognition through its graph: with Triton in the cloud, and with a predictor of ours."""

import json
import shlex
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from inferencegraph.build.sites import Model
from inferencegraph.read.documents import MANIFESTS
from inferencegraph.spec.examples import DIGITS_FOLDER, files, setup
from predictors.contract import (
    CLOUD,
    EDGE,
    HEM_ROUTE,
    SERVED_BY,
)
from predictors.digits import FILES, TRITON_MODEL
from predictors.digits.workshop.data import split
from tests.inferencegraph.running_hem import HEM, RunningHem

CARD: dict[str, Any] = json.loads((FILES["edge"].parents[1] / "training.json").read_text())
_, TEST = split()


def without_triton(folder: Path) -> Path:
    """The example, with the cloud model in a predictor of ours."""
    made = setup(DIGITS_FOLDER)
    assert made.edge is not None
    model = Model(made.edge.resources, directory="digits:cloud", engine="classifier")
    for name, manifest in files(replace(made, cloud=model)).items():
        (folder / name).write_text(yaml.safe_dump(manifest))
    return folder


@pytest.fixture(
    scope="module",
    params=["predictor", pytest.param("triton", marks=pytest.mark.engines)],
)
def stack(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningHem]:
    folder = MANIFESTS / "digit-recognition"
    if request.param == "predictor":
        folder = without_triton(tmp_path_factory.mktemp("digits"))
    with RunningHem(["--no-restart", "-f", str(folder)], timeout=180) as running:
        assert (request.param == "triton") == any(
            process.name() == "tritonserver" for process in running.family()
        )
        yield running


def ask(client: httpx.Client, stack: RunningHem, row: int, **parameters: str) -> httpx.Response:
    image = TEST.images[row]
    tensor = {
        "name": "image",
        "datatype": "FP32",
        "shape": [1, 8, 8],
        "data": image.ravel().tolist(),
    }
    return client.post(stack.url, json={"inputs": [tensor], "parameters": parameters})


def said(response: httpx.Response) -> tuple[int, str, str]:
    """(digit, route, model). Only an answer of the edge says how it was routed."""
    assert response.status_code == 200, response.text
    body = response.json()
    (output,) = body["outputs"]
    assert (output["name"], output["shape"]) == ("probabilities", [1, 10])
    digit = max(range(10), key=output["data"].__getitem__)
    parameters = body["parameters"]
    return digit, parameters.get(HEM_ROUTE, CLOUD), parameters[SERVED_BY]


def test_the_cards_figures_are_those_of_the_graph(stack: RunningHem) -> None:
    """Every test image. Within two images: processors round differently."""
    with httpx.Client(timeout=60) as client:
        found = [said(ask(client, stack, row)) for row in range(len(TEST))]
    served = {EDGE: "digits-edge", CLOUD: TRITON_MODEL}
    assert all(model == served[route] for _, route, model in found)
    right = [digit == label for (digit, *_), label in zip(found, TEST.labels, strict=True)]
    slack = 2.5 / len(TEST)
    assert sum(right) / len(TEST) == pytest.approx(CARD["test"]["routed"], abs=slack)
    share = sum(route == EDGE for _, route, _ in found) / len(TEST)
    assert share == pytest.approx(CARD["test"]["edge_share"], abs=slack)


def test_the_caller_overrules_mining(stack: RunningHem) -> None:
    with httpx.Client(timeout=60) as client:
        for prefer, model in ((CLOUD, TRITON_MODEL), (EDGE, "digits-edge")):
            assert said(ask(client, stack, 0, hem_prefer=prefer))[2] == model


def test_a_wrong_shape_is_the_callers_fault_on_either_side(stack: RunningHem) -> None:
    tensor = {"name": "image", "datatype": "FP32", "shape": [1, 4], "data": [0, 0, 0, 0]}
    response = httpx.post(stack.url, json={"inputs": [tensor]}, timeout=60)
    assert response.status_code == 400
    assert "this model takes 'image' FP32 [-1, 8, 8]" in response.json()["error"]


def test_the_request_that_hem_up_suggests_is_answered(tmp_path: Path) -> None:
    command = [*HEM, "up", "--port", "0", "-f", str(without_triton(tmp_path))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        try:
            ready, takes, curl, _ = (process.stdout.readline().decode() for _ in range(4))
            assert takes.startswith("  takes image FP32 [-1, 8, 8]; its model: curl -s http://")
            model = httpx.get(takes.split()[-1], timeout=60)
            assert (model.status_code, model.json()["name"]) == (200, "digits-edge")
            *_, url, _, header, _, body = shlex.split(curl)
            assert f"hem: ready {url}\n" == ready
            headers = dict([header.split(": ")])
            digit, _, _ = said(httpx.post(url, content=body, headers=headers, timeout=60))
        finally:
            process.send_signal(signal.SIGINT)
        assert digit in range(10)


def test_the_edge_answers_when_the_cloud_is_gone(stack: RunningHem) -> None:
    """Last: nobody starts the cloud again."""
    stack.kill(TRITON_MODEL)
    with httpx.Client(timeout=60) as client:
        assert said(ask(client, stack, 0, hem_prefer=CLOUD))[2] == "digits-edge"
