"""`hem init`: other systems' files as specs, and paths as the written spec has to say them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from inferencegraph.cli import main
from inferencegraph.read.kustomize import load
from inferencegraph.spec.reading import load_objects
from tests.conftest import ROOT
from tests.inferencegraph.spec.test_sedna import filled, model, models, without_modes

Init = Callable[..., tuple[int, str, str]]


@pytest.fixture
def init(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Init:
    """init("--from", "x.yaml") in an empty folder: exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as end:
            main(["init", *arguments])
        return (int(end.value.code or 0), *capsys.readouterr())

    return run


def sednas(folder: Path, *contents: dict[str, Any]) -> str:
    path = folder / "sedna.yaml"
    path.write_text(yaml.safe_dump_all(contents))
    return path.name


def test_sednas_service_becomes_a_spec_that_renders_the_same(init: Init, tmp_path: Path) -> None:
    source = sednas(tmp_path, filled(), *models())
    code, said, report = init("--from", source)

    assert code == 0 and said.startswith("wrote spec.yaml\n")
    lines = report.splitlines()
    assert any("is spec.edgeWorker.hardExampleMining.miningMode" in each for each in lines)
    assert all(each.startswith(("note: ", "warning: ")) for each in lines)
    text = (tmp_path / "spec.yaml").read_text()
    assert "#   spec.edgeWorker.template.spec.containers[0].image: is left out: a Sedna" in text
    assert "sk-secret" not in text + report
    (spec,) = load(tmp_path / "spec.yaml")
    assert spec["kind"] == "LLMJointInferenceService"
    direct, through = (
        [each.content for each in load_objects([tmp_path / name])] for name in (source, "spec.yaml")
    )
    assert direct == through


def test_ianvs_test_becomes_a_spec_on_stdout(init: Init) -> None:
    source = ROOT / "tests/data/ianvs/test_queryrouting.yaml"
    code, text, report = init("--from", str(source), "-o", "-")

    assert code == 0 and "warning: " in report and "wrote" not in report
    assert yaml.safe_load(text)["spec"]["cloudWorker"]["model"]["name"]


@pytest.mark.parametrize(
    ("contents", "arguments", "message"),
    [
        ([filled()], (), "spec.edgeWorker.model.name: no Model"),
        (models(), (), "has 0 services of Sedna's or tests of Ianvs's"),
        ([filled(), {**filled(), "metadata": {"name": "b"}}, *models()], (), "has 2 services"),
        ([filled(), *models()], ("--edge", "a/b"), "--from takes all from its file"),
        ([filled(), *models()], ("--threshold", "0.5"), "--from takes all from its file"),
    ],
)
def test_what_is_no_one_service_is_one_error_and_writes_nothing(
    init: Init,
    tmp_path: Path,
    contents: list[dict[str, Any]],
    arguments: tuple[str, ...],
    message: str,
) -> None:
    source = sednas(tmp_path, *contents)
    code, _, said = init("--from", source, *arguments)

    assert code == 2 and message in said and "Traceback" not in said
    assert not (tmp_path / "spec.yaml").exists()


def test_a_file_that_is_there_is_kept(init: Init, tmp_path: Path) -> None:
    source = sednas(tmp_path, filled(), *models())
    (tmp_path / "spec.yaml").write_text("mine")
    assert init("--from", source)[0] == 2
    assert (tmp_path / "spec.yaml").read_text() == "mine"
    assert init("--from", source, "--force")[0] == 0


def test_a_spec_in_another_folder_says_paths_from_there(init: Init, tmp_path: Path) -> None:
    (tmp_path / "models/small").mkdir(parents=True)
    (tmp_path / "specs").mkdir()
    words = ("--edge", "./models/small", "--cloud", "embedded:cloud", "-o", "specs/shop.yaml")
    assert init(*words)[0] == 0
    (spec,) = load(tmp_path / "specs/shop.yaml")
    assert spec["spec"]["edgeWorker"]["model"] == {"file": "../models/small"}
    assert spec["spec"]["cloudWorker"]["model"] == {"file": "embedded:cloud"}
    assert init("--edge", "./models/small", "--cloud", "a/b")[0] == 0
    (here,) = load(tmp_path / "spec.yaml")
    assert here["spec"]["edgeWorker"]["model"] == {"file": "models/small"}


def test_a_path_on_sednas_node_stays(init: Init, tmp_path: Path) -> None:
    little, big = (each["metadata"]["name"] for each in models())
    beside = [model(little, "/m/s"), model(big, "org/big")]
    source = sednas(tmp_path, without_modes(), *beside)
    assert init("--from", source)[0] == 0
    (spec,) = load(tmp_path / "spec.yaml")
    assert spec["spec"]["edgeWorker"]["model"]["file"] == "/m/s"
    assert spec["spec"]["cloudWorker"]["model"]["hub"] == "org/big"


def test_a_strategy_is_written_with_its_mode(init: Init) -> None:
    pair = ("--edge", "embedded:long-edge", "--cloud", "embedded:long-cloud")
    code, said, _ = init("--strategy", "speculative", *pair, "-o", "-")
    assert code == 0
    mining = yaml.safe_load(said)["spec"]["edgeWorker"]["hardExampleMining"]
    assert mining == {"miningMode": "self-design", "strategy": "speculative"}


def test_one_beside_an_algorithm_has_both(init: Init) -> None:
    algorithm = ("--algorithm", "ConfidenceRouter", "--threshold", "0.2")
    code, said, _ = init("--strategy", "refine", *algorithm, "-o", "-")
    assert code == 0
    mining = yaml.safe_load(said)["spec"]["edgeWorker"]["hardExampleMining"]
    assert (mining["strategy"], mining["name"]) == ("refine", "ConfidenceRouter")


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (
            ("--strategy", "speculative"),
            "--strategy speculative needs --cloud: a model",
        ),
        (("--strategy", "refined"), "unknown strategy 'refined'; known: refine, speculative"),
    ],
)
def test_a_strategy_that_can_not_be_is_refused(
    init: Init, words: tuple[str, ...], fault: str
) -> None:
    code, _, said = init(*words, "-o", "-")
    assert code and fault in said
