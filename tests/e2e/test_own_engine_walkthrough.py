"""What docs/extending.md says of an engine of one's own is true."""

import json
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from predictors.contract import text_request
from tests.conftest import ROOT, ServerProcess, StartServer
from tests.pages import EXTENDING, section

HEADING = "An engine"
MOST_LINES = 25


@dataclass(frozen=True)
class WalkThrough:
    file: str
    code: str
    options: list[str]


@pytest.fixture(scope="module")
def walkthrough() -> WalkThrough:
    page = section(EXTENDING, HEADING)
    ((file, code),) = page.files.items()
    words = shlex.split(page.commands[0])
    assert words[:4] == ["PYTHONPATH=.", "python", "-m", "predictors"]
    return WalkThrough(file, code, words[4:])


@pytest.fixture(scope="module")
def folder(walkthrough: WalkThrough, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own")
    (folder / walkthrough.file).write_text(walkthrough.code)
    (folder / "book.csv").write_text("Ada,1815\nAlan,1912\n")
    return folder


@pytest.fixture(scope="module")
def server(walkthrough: WalkThrough, folder: Path, start_server: StartServer) -> ServerProcess:
    options = [str(folder / word) if word == "book.csv" else word for word in walkthrough.options]
    return start_server(
        *("predictors", *options, "--cache", "memory"),
        env={"PYTHONPATH": str(folder), "PREDICTOR_TEMPERATURE": "0"},
        ready="/v2/models/phone/ready",
    )


def test_it_is_short(walkthrough: WalkThrough) -> None:
    lines = [line for line in walkthrough.code.splitlines() if line.strip()]
    assert len(lines) <= MOST_LINES


def test_it_answers_and_is_cached(server: ServerProcess) -> None:
    for cached in (False, True):
        response = httpx.post(
            f"{server.url}/v2/models/phone/infer", json=text_request(["Ada", "Alan", "Eve"])
        ).json()
        assert response["outputs"][0]["data"] == ["1815", "1912", "unknown"]
        assert response["parameters"] == {"served_by": "phone", "cached": cached}


def test_the_printed_request_is_answered(server: ServerProcess) -> None:
    curl = section(EXTENDING, HEADING).code("")[1]
    words = shlex.split(curl)
    url = words[1].replace("localhost:8080", server.url)
    response = httpx.post(url, json=json.loads(words[-1])).json()
    assert response["outputs"][0]["data"] == ["1815"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--help"], "--book BOOK"),
        ([], "error: --book is required"),
        (["--book", "nowhere.csv"], "error: --book nowhere.csv: [Errno 2] No such file"),
    ],
)
def test_its_option_is_one_as_any_other(folder: Path, options: list[str], said: str) -> None:
    command = [sys.executable, "-m", "predictors", "--engine", "phone_book:PhoneBook", *options]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, env={"PYTHONPATH": str(folder)}
    )
    assert said in done.stdout + done.stderr


def test_the_line_of_the_table_has_the_form_of_the_others() -> None:
    line = section(EXTENDING, HEADING).commands[-1]
    form = r'"(\w+)": "predictors\.engines\.\1:\w+",'
    table = (ROOT / "predictors/engines/__init__.py").read_text()
    assert re.fullmatch(form, line)
    assert len(re.findall(form, table)) >= 4
