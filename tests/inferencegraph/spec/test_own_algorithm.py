"""`hardExampleMining.source: FILE.py`: judged without being run, mounted, and run by `hem up`."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.inferencegraph.running_hem import RunningHem, hem
from tests.inferencegraph.spec.documents import (
    Object,
    by_name,
    errors_of,
    read,
    service,
    spec,
    told,
    variables,
)

CODE = '''"""Long queries are hard."""

import numpy as np
from pydantic import Field

from transformers_hem.algorithms.base import Algorithm, AlgorithmParameters, Batch, Scores


class LengthParameters(AlgorithmParameters):
    longest: int = Field(default=400, gt=0)


class LengthRouter(Algorithm):
    stage = "query"
    Parameters = LengthParameters

    def __init__(self, parameters: LengthParameters) -> None:
        self._longest = parameters.longest

    def score(self, batch: Batch) -> Scores:
        return np.array([min(len(text) / self._longest, 1.0) for text in batch.texts])
'''
PARAMETERS = [{"name": "longest", "value": "40"}, {"name": "threshold", "value": "0.6"}]


def own(source: str = "my_router.py", name: str | None = "LengthRouter", **mining: Any) -> Object:
    named = {"name": name} if name else {}
    return spec(edge={"hardExampleMining": {**named, "source": source, **mining}})


def written(folder: Path, code: str = CODE, name: str = "my_router.py") -> Path:
    (folder / name).write_text(code)
    return folder


def test_it_is_mounted_from_a_config_map_and_named(tmp_path: Path) -> None:
    made = read(own(parameters=PARAMETERS), folder=written(tmp_path))

    (name, data) = next(
        (name, each["data"])
        for name, each in by_name(made).items()
        if name.startswith("ConfigMap/")
    )
    pod = service(made, "shop-hem")
    container = pod["containers"][0]
    (volume,) = [each for each in pod["volumes"] if "configMap" in each]
    (mount,) = [each for each in container["volumeMounts"] if each["name"] == volume["name"]]
    assert not errors_of(made)
    assert data == {"my_router.py": CODE}
    assert f"ConfigMap/{volume['configMap']['name']}" == name
    assert variables(container)["PYTHONPATH"] == mount["mountPath"]
    assert variables(container)["HEM_ALGORITHM"] == "my_router:LengthRouter"
    assert variables(container)["MINING_MODE"] == "mining-then-inference"


def test_sites_share_one_config_map_and_another_text_has_another_name(tmp_path: Path) -> None:
    document = own()
    document["spec"]["edgeWorker"]["nodes"] = ["a", "b"]
    before = {n for n in by_name(read(document, folder=written(tmp_path))) if "ConfigMap" in n}
    after = {
        n
        for n in by_name(read(document, folder=written(tmp_path, CODE + "\n")))
        if "ConfigMap" in n
    }

    assert len(before) == len(after) == 1
    assert before != after


def test_rendering_does_not_run_the_file(tmp_path: Path) -> None:
    code = f"{CODE}\nraise SystemExit('it was run')\n"

    assert not errors_of(read(own(), folder=written(tmp_path, code)))


@pytest.mark.parametrize(
    ("code", "mode"),
    [
        ('stage: ClassVar[Stage] = "answer"', "inference-then-mining"),
        ('stage = "query"', "mining-then-inference"),
    ],
)
def test_its_stage_is_read_from_the_class(tmp_path: Path, code: str, mode: str) -> None:
    made = read(own(), folder=written(tmp_path, CODE.replace('stage = "query"', code)))

    name, role = ("shop-edge", "transformer") if "answer" in code else ("shop-hem", "predictor")
    assert variables(service(made, name, role)["containers"][0])["MINING_MODE"] == mode


def test_a_class_between_it_and_algorithm_may_be_in_the_file(tmp_path: Path) -> None:
    code = f"{CODE}\nclass Own(LengthRouter):\n    pass\n"

    assert not errors_of(read(own(name="Own"), folder=written(tmp_path, code)))


def test_a_stage_that_is_computed_needs_the_mode(tmp_path: Path) -> None:
    folder = written(tmp_path, CODE.replace('"query"', '"qu" + "ery"'))
    (said,) = told(read(own(), folder=folder), "error")

    assert "miningMode: is required, as my_router:LengthRouter has no stage" in said
    assert not errors_of(read(own(miningMode="mining-then-inference"), folder=folder))


@pytest.mark.parametrize(
    ("code", "document", "expected"),
    [
        pytest.param(None, own(), "source: my_router.py: No such file", id="no file"),
        pytest.param("def f(:", own(), "source: my_router.py:1: is not Python:", id="syntax"),
        pytest.param(CODE, own(name="LenghtRouter"), "did you mean 'LengthRouter'?", id="misspelt"),
        pytest.param(CODE, own(name=None), "name: is required: the class in", id="no name"),
        pytest.param("x = 1", own(), "it has no class", id="no class"),
        pytest.param(
            "class LengthRouter:\n    stage = 'query'", own(), "is not a subclass of", id="no base"
        ),
        pytest.param(
            "from abc import ABC\nclass LengthRouter(ABC): ...",
            own(),
            "LengthRouter in my_router.py is not a subclass of "
            "transformers_hem.algorithms.base.Algorithm",
            id="another base",
        ),
        pytest.param(
            CODE.replace('"query"', '"questions"'),
            own(),
            "its stage must be 'query' or 'answer', not 'questions'",
            id="unknown stage",
        ),
        pytest.param(
            CODE,
            own(miningMode="inference-then-mining"),
            "my_router:LengthRouter mines the query; leave it out",
            id="a mode that contradicts the stage",
        ),
        pytest.param("x" * 2**20 + "y", own(), "larger than the 1 MiB", id="too large"),
        pytest.param("x = '\x00'", own(), "is not Python", id="null bytes"),
    ],
)
def test_each_fault_is_one_clear_error(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    code: str | None,
    document: Object,
    expected: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    if code is not None:
        written(tmp_path, code)
    made = read(document)

    (said,) = told(made, "error")
    assert expected in said
    assert said.startswith("spec.edgeWorker.hardExampleMining.")
    assert not made.documents


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("random.py", "'random' is the name of another module; rename random.py"),
        ("numpy.py", "'numpy' is the name of another module"),
        ("my-router.py", "'my-router.py' is no module's name"),
        ("router.txt", "'router.txt' is no module's name"),
    ],
)
def test_a_name_that_python_would_take_for_another_module_is_refused(
    tmp_path: Path, file: str, expected: str
) -> None:
    (said,) = told(read(own(source=file), folder=written(tmp_path, CODE, file)), "error")

    assert expected in said


def test_a_file_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "my_router.py").write_bytes(b"\xff")
    (said,) = told(read(own(), folder=tmp_path), "error")

    assert "not UTF-8 text" in said


@pytest.mark.slow
def test_hem_up_routes_by_it(tmp_path: Path) -> None:
    written(tmp_path)
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(own(parameters=PARAMETERS)))

    with RunningHem(["-f", str(tmp_path / "spec.yaml")]) as running:
        asked = {
            question: hem("ask", question, "--url", running.url, "--json").stdout
            for question in ("2 + 3?", "a question of certainly more than forty letters: 2 + 3?")
        }
    short, long = asked.values()
    assert '"shop-edge"' in short
    assert '"shop-cloud"' in long
    assert "my_router:LengthRouter" in short
