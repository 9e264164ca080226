"""python -m predictors: bad settings are one line and exit status 2, before anything starts."""

import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from predictors.embedded import directory
from tests.conftest import ROOT, StartServer, free_port

UPLINK = ["--engine", "kserve", "--url", "http://x", "--upstream_model", "m"]


def run(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "predictors", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, cwd=ROOT, env={"PATH": "", **env}
    )


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["--engine", "vlm"], "unknown engine 'vlm'; known: classifier, huggingface"),
        (["--engine", "kserve", "--upstream_model", "m"], "--url is required"),
        ([*UPLINK, "--top_p", "2"], "top_p"),
        ([*UPLINK, "--tiemout", "2"], "--tiemout"),
        (["--max_body_bytes", "-1"], "--max_body_bytes"),
    ],
)  # fmt: skip
def test_a_bad_option_is_one_line(
    start_server: StartServer, arguments: list[str], fault: str
) -> None:
    last = start_server("predictors", *arguments).refusal()
    assert fault in last


def test_a_bad_environment_variable_is_one_line(start_server: StartServer) -> None:
    server = start_server("predictors", *UPLINK, env={"PREDICTOR_TEMPERATURE": "hot"})
    last = server.refusal()
    assert "temperature must be a number" in last


def test_a_port_in_use_is_one_line() -> None:
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        result = run(*UPLINK, "--http_port", port)
    assert result.returncode == 2
    assert f"--http_port {port} can't be used" in result.stderr.splitlines()[-1]


def engine_that_can_not_start(engine: str, folder: Path) -> list[str]:
    """Options that only the engine's `start` finds wrong, beside its running servers."""
    bundle = ["--ca_bundle", "/no/such.pem"]
    model = folder / "model"
    if engine == "classifier":
        model.mkdir()
        (model / "model.onnx").write_bytes(b"no ONNX")
    if engine == "huggingface":
        shutil.copytree(directory("edge"), model)
        (model / "model.safetensors").write_bytes(b"no weights")
    return {
        "classifier": ["--model_dir", str(model)],
        "huggingface": ["--model_dir", str(model)],
        "kserve": ["--url", "https://x", "--upstream_model", "m", *bundle],
        "triton": ["--url", "grpcs://x:1", "--upstream_model", "m", *bundle],
    }[engine]


@pytest.mark.parametrize("engine", ["classifier", "huggingface", "kserve", "triton"])
def test_an_engine_that_can_not_start_is_one_line(engine: str, tmp_path: Path) -> None:
    options = engine_that_can_not_start(engine, tmp_path)
    ports = ["--http_port", str(free_port()), "--grpc_port", str(free_port())]
    result = run("--model_name", "m", "--engine", engine, *options, *ports)
    assert result.returncode == 2
    last = result.stderr.splitlines()[-1]
    assert last.startswith("error: ") and options[-1] in last
    assert result.stderr.count("error: ") == 1
    assert "Traceback" not in result.stdout + result.stderr
    assert "Exception ignored" not in result.stderr


def test_help_shows_an_example_and_the_engine_s_options() -> None:
    result = run("--engine", "kserve", "--help")
    assert result.returncode == 0
    assert "python -m predictors --model_name edge" in result.stdout
    assert "--connect_timeout" in result.stdout
