"""Kustomizations: built by kubectl or kustomize where there is one, else by a small core."""

import os
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from inferencegraph.check.validate import validate
from inferencegraph.read import core, tool
from inferencegraph.read.documents import MANIFESTS, Document
from inferencegraph.read.kustomize import load
from tests.inferencegraph.read.trees import (
    GRAPH,
    SERVICE,
    component,
    images,
    kustomization,
    refusal,
    write,
)

SHIPPED = sorted(
    file.parent
    for file in MANIFESTS.rglob("kustomization.yaml")
    if "kind: Component" not in file.read_text()
)
INSTALL = "is not read without kubectl; install kubectl 1.21 or later, or kustomize"
KUBECTL = shutil.which("kubectl")
NEEDS_KUBECTL = pytest.mark.skipif(KUBECTL is None, reason="kubectl is not installed")


@pytest.fixture
def no_kubectl(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))


def _program(folder: Path, name: str, script: str) -> None:
    """A program on the PATH that `folder/bin` is."""
    path = folder / "bin" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def _contents(documents: list[Document]) -> list[dict[str, Any]]:
    return [document.content for document in documents]


@NEEDS_KUBECTL
@pytest.mark.parametrize("folder", SHIPPED, ids=lambda path: str(path.relative_to(MANIFESTS)))
def test_the_core_makes_of_what_ships_what_kubectl_makes(folder: Path) -> None:
    command = [str(KUBECTL), "kustomize", str(folder)]
    built = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert _contents(core.build(folder)) == list(yaml.safe_load_all(built))
    assert load(folder) == list(yaml.safe_load_all(built))


@NEEDS_KUBECTL
def test_the_core_makes_of_all_that_it_reads_what_kubectl_makes(tmp_path: Path) -> None:
    renamed = [
        {"name": "kserve-hem-predictor", "newTag": "7"},
        {"name": "other/name", "newName": "reg:5000/a/b", "digest": "sha256:abc"},
        {"name": "busybox", "newTag": "2"},
    ]
    component(tmp_path / "images", images=renamed, labels=[{"pairs": {"owner": "c"}}])
    settings = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {}}
    write(tmp_path / "base/all.yaml", SERVICE, settings)
    kustomization(tmp_path / "base", resources=["all.yaml"], namePrefix="b-")
    write(tmp_path / "top/graph.yaml", GRAPH)
    top = kustomization(
        tmp_path / "top",
        resources=["../base", "graph.yaml"],
        components=["../images"],
        labels=[{"pairs": {"team": "a"}}, {"pairs": {"site": "b"}}],
        images=[{"name": "kserve-hem-predictor", "newName": "p"}],
        namePrefix="a-",
        nameSuffix="-z",
    )
    made = _contents(core.build(top))
    assert made == load(top)
    assert [m["metadata"]["name"] for m in made] == ["a-b-a-z", "a-qa-z", "a-b-qa-edge-z"]


@NEEDS_KUBECTL
@pytest.mark.parametrize(
    ("case", "field", "value"),
    [
        ("path", "dependency", "Hard"),
        ("group", "dependency", "Hard"),
        ("psm", "timeout", 30),
        ("smfile", "timeout", 30),
        ("sminline", "timeout", 30),
        ("annsel", "timeout", None),
    ],
)
def test_the_given_cases_are_built_as_kubectl_builds_them(
    case: str, field: str, value: Any, shared: Path
) -> None:
    (graph,) = load(shared / "cases/12_kustomize" / case)
    spec = graph["spec"]
    found = spec["nodes"]["root"]["steps"][0] if field == "dependency" else spec
    assert found.get(field) == value
    assert [p for p in validate([graph]) if p.severity == "error"] == []


@pytest.mark.parametrize("case", ["path", "group", "psm", "smfile", "sminline", "annsel"])
def test_without_kubectl_the_given_cases_say_what_to_install(
    case: str, shared: Path, no_kubectl: None
) -> None:
    message = refusal(shared / "cases/12_kustomize" / case)
    assert INSTALL in message
    assert "kustomization.yaml: patches" in message


@NEEDS_KUBECTL
def test_what_else_kustomize_knows_is_built(tmp_path: Path) -> None:
    write(tmp_path / "all.yaml", SERVICE, GRAPH)
    (tmp_path / "prefix.yaml").write_text(
        "apiVersion: builtin\nkind: PrefixTransformer\nmetadata: {name: a}\nprefix: x-\n"
        "fieldSpecs: [{path: metadata/name}]\n"
    )
    folder = kustomization(
        tmp_path,
        resources=["all.yaml"],
        namespace="shop",
        commonLabels={"site": "b"},
        commonAnnotations={"docs": "https://example.com/path"},
        configMapGenerator=[{"name": "c", "literals": ["url=https://example.com"]}],
        generatorOptions={"disableNameSuffixHash": True},
        transformers=["prefix.yaml"],
        replacements=[
            {
                "source": {"kind": "InferenceGraph", "fieldPath": "metadata.name"},
                "targets": [
                    {
                        "select": {"kind": "InferenceService"},
                        "fieldPaths": ["metadata.annotations.graph"],
                        "options": {"create": True},
                    }
                ],
            }
        ],
        patches=[
            {
                "target": {"kind": "InferenceService"},
                "patch": '[{"op": "add", "path": "/spec/predictor/minReplicas", "value": 2}]',
            }
        ],
    )
    settings, _, service = load(folder)
    assert settings["data"] == {"url": "https://example.com"}
    assert service["metadata"]["namespace"] == "shop"
    assert service["metadata"]["annotations"]["graph"] == "qa"
    assert service["metadata"]["name"] == "x-qa-edge"
    assert service["spec"]["predictor"]["minReplicas"] == 2


@pytest.mark.parametrize(
    "fields",
    [
        {"patches": [{"path": "p.yaml"}]},
        {"patchesStrategicMerge": ["p.yaml"]},
        {"patchesJson6902": [{"path": "p.yaml"}]},
        {"replacements": []},
        {"namespace": "shop"},
        {"commonLabels": {"a": "b"}},
        {"commonAnnotations": {"a": "b"}},
        {"configMapGenerator": [{"name": "a"}]},
        {"replicas": [{"name": "a", "count": 2}]},
        {"bases": ["."]},
        {"sortOptions": {"order": "fifo"}},
        {"labels": [{"pairs": {"a": "b"}, "includeSelectors": True}]},
        {"images": [{"name": "p", "tagSuffix": "-gpu"}]},
        {"resource": ["edge.yaml"]},
    ],
    ids=str,
)
def test_without_kubectl_anything_else_is_refused_with_the_way_out(
    fields: dict[str, Any], tmp_path: Path, no_kubectl: None
) -> None:
    write(tmp_path / "edge.yaml", SERVICE)
    kustomization(tmp_path, **{"resources": ["edge.yaml"], **fields})
    message = refusal(tmp_path)
    assert INSTALL in message
    assert f"{tmp_path / 'kustomization.yaml'}: {next(iter(fields))}" in message


def test_without_kubectl_a_prefix_leaves_no_reference_dangling(
    tmp_path: Path, no_kubectl: None
) -> None:
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}}
    write(tmp_path / "d.yaml", deployment)
    kustomization(tmp_path, resources=["d.yaml"], namePrefix="a-")
    assert "a Deployment, whose references are renamed too" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"resources": ["../outside.yaml"]}, "lies outside of"),
        ({"resources": ["component"]}, "kind is 'Component', but 'Kustomization' is needed"),
        ({"resources": ["."]}, "which names it; kustomize takes that for a circle"),
        ({"resources": [".."]}, "which names it; kustomize takes that for a circle"),
        ({"components": ["plain"]}, "kind is 'Kustomization', but 'Component' is"),
        ({"apiVersion": "v1"}, "apiVersion is 'v1'; a Kustomization has"),
        ({"images": {"p": "1"}}, "images: must be a list of {name: ...}"),
        ({"images": [{"newTag": "1"}]}, "images: name is missing"),
        ({"labels": {"a": "b"}}, "labels: must be a list of {pairs: ...}"),
        ({"labels": [{"pairs": {"a": 1}}]}, "labels: must map names to strings"),
        ({"namePrefix": 1}, "namePrefix: must be a text, not 1"),
    ],
    ids=str,
)
def test_without_kubectl_what_is_wrong_is_refused_with_file_and_field(
    fields: dict[str, Any], reason: str, tmp_path: Path, no_kubectl: None
) -> None:
    folder = tmp_path / "top"
    write(tmp_path / "outside.yaml", SERVICE)
    kustomization(tmp_path, resources=["outside.yaml"])
    write(folder / "edge.yaml", SERVICE)
    component(folder / "component")
    kustomization(folder / "plain")
    kustomization(folder, **{"resources": ["edge.yaml"], **fields})
    message = refusal(folder)
    assert reason in message
    assert str(folder) in message


@pytest.mark.parametrize(
    ("image", "change", "becomes"),
    [
        ("p", {"newTag": "1"}, "p:1"),
        ("p:1", {"newName": "q"}, "q:1"),
        ("p:1@sha256:a", {"newTag": "2"}, "p:2"),
        ("p:1", {"digest": "sha256:b"}, "p@sha256:b"),
        ("p:1", {"newTag": "2", "digest": "sha256:b"}, "p:2@sha256:b"),
        ("host:5000/p:1", {"newTag": "2"}, "host:5000/p:1"),
        ("p-large:1", {"newTag": "2"}, "p-large:1"),
    ],
)
def test_tags_and_digests_are_replaced_as_kustomize_does(
    image: str, change: dict[str, str], becomes: str, tmp_path: Path
) -> None:
    service = {**SERVICE, "spec": {"predictor": {"containers": [{"image": image}]}}}
    write(tmp_path / "edge.yaml", service)
    kustomization(tmp_path, resources=["edge.yaml"], images=[{"name": "p", **change}])
    for made in (load(tmp_path), _contents(core.build(tmp_path))):
        assert images(made[0]) == [becomes]


def test_a_components_change_comes_before_its_parents_own(tmp_path: Path) -> None:
    tagged = [{"name": "kserve-hem-predictor", "newTag": "7"}]
    component(tmp_path / "images", images=tagged)
    write(tmp_path / "top/edge.yaml", SERVICE)
    top = kustomization(tmp_path / "top", resources=["edge.yaml"], components=["../images"])
    assert images(load(top)[0])[0] == "kserve-hem-predictor:7"
    later = [{"name": "kserve-hem-predictor", "newTag": "8"}]
    kustomization(top, resources=["edge.yaml"], components=["../images"], images=later)
    assert images(load(top / "kustomization.yaml")[0])[0] == "kserve-hem-predictor:8"


def test_two_kustomizations_in_one_folder_are_refused(tmp_path: Path) -> None:
    kustomization(tmp_path, resources=[])
    write(tmp_path / "Kustomization", {})
    assert "more than one kustomization" in refusal(tmp_path)


@NEEDS_KUBECTL
@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"resource": ["a.yaml"]}, 'unknown field "resource"'),
        ({"patches": [{"path": "nowhere.yaml"}]}, "no such file or directory"),
        ({"patches": [{"patch": "["}]}, "unable to parse SM or JSON patch"),
        ({"resources": ["edge.yaml", "edge.yaml"]}, "already registered id"),
    ],
    ids=str,
)
def test_what_kubectl_refuses_is_one_line_in_its_words(
    fields: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    write(tmp_path / "edge.yaml", SERVICE)
    kustomization(tmp_path, **{"resources": ["edge.yaml"], **fields})
    message = refusal(tmp_path)
    assert message.startswith(f"{tmp_path / 'kustomization.yaml'}: kubectl kustomize: ")
    assert reason in message
    assert "command failed" not in message


OLD = """echo '{"clientVersion": {"major": "1", "minor": "19+", "gitVersion": "v1.19.3"}}'"""
NEW = """case "$1" in
version) echo '{"clientVersion": {"major": "1", "minor": "21", "gitVersion": "v1.21.0"}}' ;;
*) echo "apiVersion: v1"; echo "kind: ConfigMap"; echo "metadata: {name: from-$1}" ;;
esac"""
KUSTOMIZE = """case "$1" in
version) echo '{Version:kustomize/v4.5.7 GitCommit:1 BuildDate:2022-08-02T16:35:54Z}' ;;
*) echo "apiVersion: v1"; echo "kind: ConfigMap"; echo "metadata: {name: from-$1}" ;;
esac"""


@pytest.mark.parametrize(
    ("programs", "built_by", "said"),
    [
        ({"kubectl": NEW}, "from-kustomize", ""),
        ({"kubectl": OLD}, "qa-edge", "kubectl 1.19 knows no components of kustomizations"),
        ({"kubectl": OLD, "kustomize": KUSTOMIZE}, "from-build", "kubectl 1.19"),
        ({"kustomize": KUSTOMIZE}, "from-build", ""),
        ({"kustomize": "echo Version: '{KustomizeVersion:2.0.3 GitCommit:x}'"}, "qa-edge", "2.0"),
        ({"kubectl": "exit 1"}, "qa-edge", "kubectl does not say its version"),
        ({}, "qa-edge", ""),
    ],
    ids=["kubectl", "old", "old and kustomize", "kustomize", "old kustomize", "broken", "none"],
)
def test_kubectl_builds_else_kustomize_else_the_core_which_says_so(
    programs: dict[str, str],
    built_by: str,
    said: str,
    tmp_path: Path,
    no_kubectl: None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for name, script in programs.items():
        _program(tmp_path, name, script)
    write(tmp_path / "top/edge.yaml", SERVICE)
    (content,) = load(kustomization(tmp_path / "top", resources=["edge.yaml"]))
    assert content["metadata"]["name"] == built_by
    assert said in caplog.text
    assert bool(said) == bool(caplog.text)


def test_a_tool_that_prints_no_yaml_or_fails_without_a_word_is_one_line(
    tmp_path: Path, no_kubectl: None
) -> None:
    _program(tmp_path, "kubectl", NEW.replace('echo "apiVersion: v1"', "exit 3"))
    write(tmp_path / "top/edge.yaml", SERVICE)
    kustomization(tmp_path / "top", resources=["edge.yaml"])
    assert refusal(tmp_path / "top").endswith("kubectl kustomize: exit status 3")
    _program(tmp_path, "kubectl", NEW.replace('echo "kind: ConfigMap"', 'echo "a: b: c"'))
    assert "mapping values are not allowed here" in refusal(tmp_path / "top")


def test_the_search_for_a_tool_is_made_once() -> None:
    assert tool.find() is tool.find()
    assert (tool.find() is not None) == bool(KUBECTL or shutil.which("kustomize"))
    assert os.environ["PATH"]
