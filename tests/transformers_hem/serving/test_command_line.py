"""python -m transformers_hem: what it says, and how it refuses to start."""

import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT, StartServer

SIDES = {f"HEM_{side}_URL": "http://127.0.0.1:9" for side in ("EDGE", "CLOUD")}


def start(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "transformers_hem", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
        check=False,
    )


def test_help_has_an_example_and_every_setting() -> None:
    shown = start("--help", HEM_THRESHOLD="bad")
    assert shown.returncode == 0
    for part in (
        "HEM_ALGORITHM=",
        "MINING_MODE",
        "HEM_BATCH_POLICY",
        "LinearRouter",
        "--http_port",
    ):
        assert part in shown.stdout


@pytest.mark.parametrize(
    ("arguments", "environment", "fault"),
    [
        ((), {"HEM_THRESHOLD": "2"}, "HEM_THRESHOLD '2'"),
        ((), {"HEM_ALGORITHM": "ConfidenceRouter"}, "--predictor_host is required"),
        (("--predictor_host", "localhost:1"), {}, "LinearRouter mines the query"),
        (
            ("--predictor_host", "localhost:1", "--predictor_protocol", "grpc-v2"),
            {"HEM_ALGORITHM": "ConfidenceRouter"},
            "HEM asks its predictor by REST",
        ),
        ((), {"HEM_STICKY": "yes"}, "HEM_STICKY 'yes'"),
        ((), {"HEM_UI": "yes"}, "HEM_UI 'yes'"),
        ((), {"HEM_STICKY_HEADER": "a b"}, "HEM_STICKY_HEADER 'a b'"),
        ((), {**SIDES, "HEM_PRICES_FILE": "/none"}, "HEM_PRICES_FILE /none can't be read"),
        ((), {**SIDES, "HEM_CORS_ORIGINS": "a.com"}, "HEM_CORS_ORIGINS 'a.com' is not an origin"),
    ],
)
def test_a_bad_start_is_one_line_and_status_2(
    start_server: StartServer,
    arguments: tuple[str, ...],
    environment: dict[str, str],
    fault: str,
) -> None:
    server = start_server("transformers_hem", *arguments, env=environment)
    assert server.process.wait(60) == 2
    said = server.log.read_text()
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    assert fault in said


def test_mining_a_query_needs_neither_torch_nor_scikit_learn() -> None:
    code = (
        "import sys; from transformers_hem.serving.settings import build_decider, read_environment;"
        "build_decider(read_environment());"
        "print({'torch', 'sklearn', 'scipy', 'kserve'} & set(sys.modules))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert shown.stdout == "set()\n", shown.stderr
