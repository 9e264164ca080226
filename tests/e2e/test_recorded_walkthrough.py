"""What docs/engines/cache.md says of recorded answers is true: its own commands, run."""

import json
import shlex
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.conftest import ROOT, StartServer
from tests.pages import section

PAGE = section(ROOT / "docs" / "engines" / "cache.md", "Recorded answers")
WRITE, FROM_THE_FILE, FILE_FIRST, ASK = PAGE.code("")


@pytest.mark.parametrize("command", [FROM_THE_FILE, FILE_FIRST], ids=["only", "first"])
def test_recorded_answers_are_served_as_printed(
    command: str, start_server: StartServer, tmp_path: Path
) -> None:
    subprocess.run(["bash", "-c", WRITE], cwd=tmp_path, check=True)
    python, _, module, *options = shlex.split(command.replace("\\\n", ""))
    assert (python, module) == ("python", "predictors")
    options = [str(tmp_path / o) if o == "answers.jsonl" else o for o in options]
    server = start_server(module, *options, ready="/v2/models/cloud/ready")
    body = shlex.split(ASK)[-1]
    headers = {"content-type": "application/json"}
    url = f"{server.url}/v2/models/cloud/infer"
    answer = httpx.post(url, content=body, headers=headers).json()
    assert "outputs" in answer, answer
    outputs = {output["name"]: output["data"] for output in answer["outputs"]}
    recorded = json.loads((tmp_path / "answers.jsonl").read_text())
    assert outputs["text_output"] == ["2"]
    assert outputs["mean_logprob"] == [pytest.approx(recorded["mean_logprob"])]
    assert answer["parameters"]["cached"] is True
