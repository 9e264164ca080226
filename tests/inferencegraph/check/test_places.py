"""Paths that only the machine has on which the manifest was written."""

import copy
from pathlib import Path
from typing import Any

import pytest

from inferencegraph.build.mining import ANSWER_STAGE
from inferencegraph.check.validate import refuse, validate
from inferencegraph.spec.examples import example

CLAIM = {"name": "models", "persistentVolumeClaim": {"claimName": "models"}}


def _service(*words: str, **environment: str) -> dict[str, Any]:
    service = copy.deepcopy(example(ANSWER_STAGE)["cloud.yaml"])
    (container,) = service["spec"]["predictor"]["containers"]
    container["args"] = ["--model_name=qa-cloud", *words]
    container["env"] += [{"name": name, "value": value} for name, value in environment.items()]
    return service


def _found(service: dict[str, Any]) -> list[str]:
    problems = validate([service])
    assert {problem.severity for problem in problems} <= {"warning"}
    return [f"{problem.field}: {problem.message}" for problem in problems]


@pytest.mark.parametrize("word", ["--model_dir={}", "--model_dir=file://{}"])
def test_a_folder_that_is_here_is_flagged(word: str, tmp_path: Path) -> None:
    (found,) = _found(_service(word.format(tmp_path)))
    assert found.startswith("spec.predictor.containers[0].args: --model_dir=")
    assert "is a path of this machine, which no pod has" in found
    assert "STORAGE_URI to pvc://CLAIM/PATH" in found


@pytest.mark.parametrize(
    "words",
    [
        ("--model_dir=/home/me/models/qwen",),
        ("--model_dir=/Users/me/models/qwen",),
        ("--model_dir=~/models/qwen",),
        ("--model_dir=./qwen",),
        ("--model_dir", "../qwen"),
        ("--cache_import=./answers.jsonl",),
    ],
    ids=str,
)
def test_what_can_only_have_been_meant_for_here_is_flagged(words: tuple[str, ...]) -> None:
    assert len(_found(_service(*words))) == 1


def test_a_folder_below_where_one_stands_is_flagged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "qwen").mkdir()
    assert len(_found(_service("--model_dir=qwen"))) == 1
    assert _found(_service("--model_dir=Qwen/Qwen2.5-7B-Instruct")) == []


@pytest.mark.parametrize("name", ["PREDICTOR_MODEL_DIR", "HEM_ROUTER", "STORAGE_URI"])
def test_variables_are_looked_at_too(name: str, tmp_path: Path) -> None:
    (found,) = _found(_service(**{name: str(tmp_path)}))
    assert found.startswith(f"spec.predictor.containers[0].env: {name}={tmp_path}")


@pytest.mark.parametrize(
    "service",
    [
        _service("--model_dir=embedded:cloud"),
        _service("--model_dir=/mnt/models", STORAGE_URI="pvc://models/qwen"),
        _service("--model_dir=/opt/models/in-the-image"),
        _service(STORAGE_URI="hf://Qwen/Qwen2.5-7B-Instruct"),
        _service(HEM_ROUTER="embedded:linear"),
    ],
    ids=lambda service: str(service["spec"]["predictor"]["containers"][0]["args"]),
)
def test_what_a_pod_has_is_fine(service: dict[str, Any]) -> None:
    assert _found(service) == []


def test_a_volume_brings_what_is_in_it_but_an_empty_one_nothing(tmp_path: Path) -> None:
    service = _service(f"--model_dir={tmp_path}/qwen")
    (tmp_path / "qwen").mkdir()
    predictor = service["spec"]["predictor"]
    predictor["volumes"] = [CLAIM]
    predictor["containers"][0]["volumeMounts"] = [{"name": "models", "mountPath": str(tmp_path)}]
    assert _found(service) == []
    predictor["volumes"] = [{"name": "models", "emptyDir": {}}]
    assert len(_found(service)) == 1


def test_a_model_of_a_runtime_is_looked_at_too(tmp_path: Path) -> None:
    service = _service()
    service["spec"]["predictor"] = {
        "model": {"modelFormat": {"name": "huggingface"}, "storageUri": f"file://{tmp_path}"}
    }
    (found,) = _found(service)
    assert found.startswith("spec.predictor.model.storageUri: file://")


def test_hem_up_runs_them_as_they_are_here(tmp_path: Path) -> None:
    refuse([_service(f"--model_dir={tmp_path}")])
