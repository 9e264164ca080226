"""The launchers of model servers: what they start, and what they refuse in one line."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from predictors.embedded import directory
from tests.conftest import ROOT

TRITON = "predictors.servers.triton.serve"
OPENAI = "predictors.servers.openai"
SHOWS_ITS_ARGUMENTS = "import json, os, sys; print(json.dumps([sys.argv[1:], dict(os.environ)]))"
QA = ("--model_name=qa", "--model_dir=embedded:edge")
without_vllm = pytest.mark.skipif(find_spec("vllm") is not None, reason="vLLM is installed here")


def launch(module: str, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", module, *arguments]
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("VLLM_")}
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, cwd=ROOT, env={**inherited, **env}
    )


def shown(result: subprocess.CompletedProcess[str]) -> tuple[list[str], dict[str, str]]:
    assert result.returncode == 0, result.stderr
    arguments, environment = json.loads(result.stdout)
    return arguments, environment


def fault(result: subprocess.CompletedProcess[str]) -> str:
    assert result.returncode == 2
    assert "Traceback" not in result.stderr
    return result.stderr.splitlines()[-1]


@pytest.fixture
def stand_in(tmp_path: Path) -> str:
    """A package `vllm` for a GPU that only shows how its server was called."""
    files = {
        "platforms.py": "class current_platform:\n    is_cpu = staticmethod(lambda: False)\n",
        "entrypoints/openai/api_server.py": SHOWS_ITS_ARGUMENTS,
    }
    for name, text in files.items():
        path = tmp_path / "vllm" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "vllm/__init__.py").touch()
    return str(tmp_path)


def test_triton_gets_a_repository_with_the_model_and_its_own_options(tmp_path: Path) -> None:
    program = tmp_path / "tritonserver.py"
    program.write_text(SHOWS_ITS_ARGUMENTS)
    triton = f"--tritonserver={sys.executable} {program}"
    options = ("--http-port=8000", "--http-port", "20001")
    arguments, _ = shown(launch(TRITON, *QA, *options, triton, TMPDIR=str(tmp_path)))
    assert tuple(arguments[1:]) == options
    repository = Path(arguments[0].removeprefix("--model-repository="))
    assert repository.parent == tmp_path
    assert (repository / "qa/1/model.py").is_file()
    assert str(directory("edge")) in (repository / "qa/config.pbtxt").read_text()


def test_a_hub_id_is_left_to_triton(tmp_path: Path) -> None:
    program = tmp_path / "tritonserver.py"
    program.write_text(SHOWS_ITS_ARGUMENTS)
    triton = f"--tritonserver={sys.executable} {program}"
    hub = ("--model_name=qa", "--model_dir=org/model-1.5")
    arguments, _ = shown(launch(TRITON, *hub, triton, TMPDIR=str(tmp_path)))
    config = Path(arguments[0].removeprefix("--model-repository=")) / "qa/config.pbtxt"
    assert '"org/model-1.5"' in config.read_text()


@pytest.mark.parametrize("module", [TRITON, OPENAI])
def test_a_directory_without_a_model_is_one_line(module: str, stand_in: str) -> None:
    result = launch(module, "--model_name=qa", "--model_dir=/no/such/model", PYTHONPATH=stand_in)
    assert "/no/such/model" in fault(result)


def test_without_triton_the_command_that_is_missing_is_named() -> None:
    result = launch(TRITON, *QA, "--tritonserver=no-such-triton")
    assert fault(result) == "error: can't run 'no-such-triton': No such file or directory"


@without_vllm
def test_without_vllm_its_extra_is_named() -> None:
    assert "pip install 'kserve-hem[vllm]'" in fault(launch(OPENAI, *QA))


@without_vllm
def test_vllms_server_gets_the_model_and_what_makes_it_answer_as_the_engine_does(
    stand_in: str,
) -> None:
    options = ("--port=8000", "--port", "20001", "--max-model-len=512")
    environment = {"PYTHONPATH": stand_in, "OMP_NUM_THREADS": "2"}
    arguments, variables = shown(launch(OPENAI, *QA, *options, **environment))
    assert arguments == [
        f"--model={directory('edge')}",
        "--served-model-name=qa",
        "--generation-config=vllm",
        "--disable-uvicorn-access-log",
        *options,
    ]
    assert variables["VLLM_CPU_OMP_THREADS_BIND"] == "nobind"
    assert variables["VLLM_CPU_KVCACHE_SPACE"] == "1"


@without_vllm
def test_what_the_caller_sets_for_vllm_stays(stand_in: str) -> None:
    given = {"VLLM_CPU_KVCACHE_SPACE": "8", "PYTHONPATH": stand_in}
    assert shown(launch(OPENAI, *QA, **given))[1]["VLLM_CPU_KVCACHE_SPACE"] == "8"


@pytest.mark.parametrize(
    ("module", "engine"), [(TRITON, "triton"), (OPENAI, "vllm")], ids=["triton", "openai"]
)
def test_the_image_starts_the_launcher_as_a_user_without_rights(module: str, engine: str) -> None:
    folder = ROOT / "/".join(module.split(".")[:3])
    lines = (folder / "Dockerfile").read_text().splitlines()
    steps = [line.split(maxsplit=1) for line in lines if line and line[0] not in "# "]
    tested = yaml.safe_load((ROOT / "manifests/runtimes/nvidia/images.yaml").read_text())["data"]
    assert ["ARG", f"BASE_IMAGE={tested[engine]}"] in steps
    (user,) = [rest for name, rest in steps if name == "USER"]
    assert user.isdigit() and user != "0"
    (entrypoint,) = [json.loads(rest) for name, rest in steps if name == "ENTRYPOINT"]
    assert entrypoint == ["python3", "-m", module]
    assert "COPY predictors /opt/kserve-hem/predictors" in lines


def test_in_tritons_image_the_launcher_needs_nothing_but_our_files() -> None:
    """-S: no site-packages."""
    code = f"import sys; sys.path[:0] = ['.']; import {TRITON}"
    subprocess.run([sys.executable, "-S", "-c", code], cwd=ROOT, check=True, timeout=60)
