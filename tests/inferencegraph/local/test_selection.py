"""Manifests that have nothing to run end in one line with the way out."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from inferencegraph.cli import main
from inferencegraph.local.selection import jobs_hint, jobs_left_out
from inferencegraph.read.documents import MANIFESTS
from inferencegraph.read.kustomize import load
from inferencegraph.spec.examples import example

Refused = Callable[..., str]

GRAPH = example("mining-then-inference")["graph.yaml"]
NODES = {"root": {"routerType": "Sequence", "steps": [{"serviceUrl": "http://127.0.0.1:9"}]}}


def obj(kind: str, version: str = "v1", **fields: object) -> dict[str, object]:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": "x"}, **fields}


SEDNA = "sedna.io/v1alpha1"
KSERVE = "serving.kserve.io/v1alpha1"
ELSEWHERE = obj("InferenceGraph", KSERVE, spec={"nodes": NODES})
FILES = {
    "a ConfigMap": (obj("ConfigMap"), "no InferenceService in it (found: 1 ConfigMap)"),
    "a Namespace": (obj("Namespace"), "no InferenceService in it (found: 1 Namespace)"),
    "a Deployment": (obj("Deployment", "apps/v1"), "found: 1 Deployment"),
    "a runtime": (obj("ServingRuntime", KSERVE), "these are for a cluster: kubectl apply"),
    "Sedna's joint inference": (
        obj("JointInferenceService", SEDNA),
        "JointInferenceService/x: spec: is required",
    ),
    "Sedna's model": (
        obj("Model", SEDNA),
        "Model 'x' is Sedna's; of its kinds JointInferenceService is run",
    ),
    "a graph alone": (GRAPH, "but there is no InferenceService here; name the folder"),
    "a graph of URLs": (ELSEWHERE, "`hem router --graph FILE` runs it"),
    "a list": (
        {"apiVersion": "v1", "kind": "List", "items": [obj("ConfigMap")]},
        "found: 1 ConfigMap",
    ),
    "LLMInferenceService": (obj("LLMInferenceService", KSERVE), "these are for a cluster"),
    "an object without metadata": ({"apiVersion": SEDNA, "kind": "X"}, "X '?' is Sedna's"),
}
TEXTS = {
    "nothing": ("", "no Kubernetes objects in it"),
    "a comment": ("# later\n", "no Kubernetes objects in it"),
    "separators": ("---\n---\n", "no Kubernetes objects in it"),
    "an empty list": ("apiVersion: v1\nkind: List\nitems: []\n", "no Kubernetes objects in it"),
    "Ianvs's benchmark": ("benchmarkingjob:\n  name: b\n", "not a Kubernetes object"),
    "text": ("hello\n", "not a Kubernetes object"),
    "broken YAML": ("a: [\n", "line"),
}


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Refused:
    """refused(path, ...): the one line that `hem up` ends with."""

    def run(*paths: Path) -> str:
        with pytest.raises(SystemExit) as end:
            main(["up", "--port", "0", *(word for path in paths for word in ("-f", str(path)))])
        output = capsys.readouterr()
        assert (end.value.code, output.out) == (2, "")
        assert output.err.count("\n") == 1, output.err
        assert output.err.startswith("hem: error: ")
        return output.err

    return run


@pytest.mark.parametrize("name", FILES)
def test_a_file_without_a_service(tmp_path: Path, refused: Refused, name: str) -> None:
    content, message = FILES[name]
    path = tmp_path / "x.yaml"
    path.write_text(yaml.safe_dump(content))
    line = refused(path)
    assert message in line
    assert str(path) in line


@pytest.mark.parametrize("name", TEXTS)
def test_a_file_without_an_object(tmp_path: Path, refused: Refused, name: str) -> None:
    text, message = TEXTS[name]
    path = tmp_path / "x.yaml"
    path.write_text(text)
    assert message in refused(path)


def test_folders_without_yaml_and_paths_to_nothing(tmp_path: Path, refused: Refused) -> None:
    assert "no Kubernetes objects in it" in refused(tmp_path)
    (tmp_path / "notes.txt").write_text("x")
    assert "no Kubernetes objects in it" in refused(tmp_path)
    assert "no such file or directory" in refused(tmp_path / "none.yaml")


@pytest.mark.parametrize("folder", ["runtimes", "runtimes/amd"])
def test_the_projects_own_runtimes(refused: Refused, folder: str) -> None:
    assert "these are for a cluster" in refused(MANIFESTS / folder)


def test_the_given_case(shared: Path, refused: Refused) -> None:
    case = shared / "cases/09_no_service.yaml"
    if not case.exists():
        pytest.skip("../shared/cases is absent")
    assert "no InferenceService in it (found: 1 ConfigMap)" in refused(case)


def test_several_files_are_all_named(tmp_path: Path, refused: Refused) -> None:
    paths = [tmp_path / "a.yaml", tmp_path / "b.yaml"]
    for name, path in zip("ab", paths, strict=True):
        path.write_text(yaml.safe_dump({**obj("ConfigMap"), "metadata": {"name": name}}))
    assert f"{paths[0]}, {paths[1]}: nothing to run: no InferenceService" in refused(*paths)


def test_who_names_a_folder_above_is_told_which_are_below(tmp_path: Path, refused: Refused) -> None:
    for name in ("a/site", "b"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "kustomization.yaml").write_text("resources: [edge.yaml]\n")
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "edge.yaml").write_text("apiVersion: v1\nkind: Secret\n")
    (tmp_path / "values").mkdir()
    (tmp_path / "values" / "values.yaml").write_text("replicas: 3\n")
    below = ", ".join(str(tmp_path / name) for name in ("a/site", "b", "plain"))
    assert refused(tmp_path).endswith(f"below have some, name one of them: {below}\n")


def test_what_a_retraining_needs_beside_is_told_once() -> None:
    (hint,) = jobs_hint(list(jobs_left_out(load(MANIFESTS / "lifelong"))))
    assert "--router" in hint and "HEM_FEEDBACK_STORE" in hint
    assert not list(jobs_hint(["Job backup does not run here; it is: tar -c /data"]))


def test_jobs_are_told_with_what_a_person_can_run() -> None:
    notes = [re.sub("-[0-9a-f]{8} ", " ", x) for x in jobs_left_out(load(MANIFESTS / "lifelong"))]
    assert sorted(notes) == [
        "CronJob qa-check does not run here; it is: hem retrain --check",
        "CronJob qa-retrain does not run here; it is: hem retrain --max-quality-loss=0.05 "
        "--confidence=0.9",
        "Job qa-first-version does not run here; it is: hem retrain --add=embedded:linear --first",
    ]
