"""The algorithm of one's own that docs/extending.md prints does what the page says."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import ROOT, ServerProcess, StartServer
from tests.e2e.hem_in_a_graph import start, text, through_the_graph
from tests.e2e.scripted_model import ScriptedModel
from tests.pages import EXTENDING, section

MOST_LINES = 20


@dataclass(frozen=True)
class WalkThrough:
    file: str
    code: str
    environment: dict[str, str]


@pytest.fixture(scope="module")
def walkthrough() -> WalkThrough:
    page = section(EXTENDING, "An algorithm")
    ((file, code),) = page.files.items()
    words = shlex.split(page.commands[0])
    settings = dict(word.split("=", 1) for word in words if re.match(r"[A-Z_]+=", word))
    assert words[len(settings) :] == ["python", "-m", "transformers_hem", "--model_name", "qa-hem"]
    return WalkThrough(file, code, settings)


@pytest.fixture(scope="module")
def models() -> Iterator[tuple[ScriptedModel, ScriptedModel]]:
    with ScriptedModel("edge") as edge, ScriptedModel("cloud") as cloud:
        yield edge, cloud


@pytest.fixture(scope="module")
def hem(
    walkthrough: WalkThrough,
    models: tuple[ScriptedModel, ScriptedModel],
    start_server: StartServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> ServerProcess:
    folder: Path = tmp_path_factory.mktemp("own")
    (folder / walkthrough.file).write_text(walkthrough.code)
    assert walkthrough.environment["PYTHONPATH"] == "."
    environment = {**walkthrough.environment, "PYTHONPATH": str(folder)}
    server = start(start_server, "query", environment, models[0])
    server.wait_ready("/v2/health/ready")
    return server


def test_it_is_short(walkthrough: WalkThrough) -> None:
    lines = [line for line in walkthrough.code.splitlines() if line.strip()]
    assert len(lines) <= MOST_LINES


async def test_it_routes_through_a_graph(
    hem: ServerProcess, models: tuple[ScriptedModel, ScriptedModel]
) -> None:
    for query, side in {"short": "edge", "a query of more than twenty letters": "cloud"}.items():
        answered = await through_the_graph("query", hem, *models, text(query))
        parameters = answered["parameters"]
        assert parameters["served_by"] == side
        assert parameters["hem_algorithm"] == "my_router:LengthRouter"
        assert parameters["hem_score"] == pytest.approx(min(len(query) / 40, 1))


def test_the_line_of_the_table_has_the_form_of_the_others() -> None:
    line = section(EXTENDING, "An algorithm").commands[-1]
    form = r'"(\w+)": "transformers_hem\.algorithms\.\w+:\1",'
    table = (ROOT / "transformers_hem/algorithms/__init__.py").read_text()
    assert re.fullmatch(form, line)
    assert len(re.findall(form, table)) >= 4
