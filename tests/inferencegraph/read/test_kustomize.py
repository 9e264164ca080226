"""Manifests from files, folders and kustomizations, as kubectl would take or refuse them."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from inferencegraph.build.examples import FOLDER
from inferencegraph.build.sites import MINING_MODES
from inferencegraph.read.documents import MANIFESTS
from inferencegraph.read.kustomize import load
from predictors.errors import ConfigurationError

GRAPH = {
    "apiVersion": "serving.kserve.io/v1alpha1",
    "kind": "InferenceGraph",
    "metadata": {"name": "qa"},
    "spec": {"nodes": {"root": {"routerType": "Sequence"}}},
}
SERVICE = {
    "apiVersion": "serving.kserve.io/v1beta1",
    "kind": "InferenceService",
    "metadata": {"name": "qa-edge"},
    "spec": {
        "predictor": {
            "initContainers": [{"image": "busybox:1"}],
            "containers": [{"image": "kserve-hem-predictor"}, {"image": "other/name:2"}],
        }
    },
}


def _write(path: Path, *contents: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump_all(contents))
    return path


def _kustomization(folder: Path, **fields: Any) -> Path:
    _write(folder / "kustomization.yaml", fields)
    return folder


def _component(folder: Path, **fields: Any) -> Path:
    version = "kustomize.config.k8s.io/v1alpha1"
    return _kustomization(folder, apiVersion=version, kind="Component", **fields)


def _images(content: dict[str, Any]) -> list[str]:
    return [container["image"] for container in content["spec"]["predictor"]["containers"]]


def test_a_file_gives_its_documents_in_order(tmp_path: Path) -> None:
    assert load(_write(tmp_path / "all.yaml", GRAPH, None, SERVICE)) == [GRAPH, SERVICE]


def test_a_plain_folder_gives_its_yaml_files_by_name(tmp_path: Path) -> None:
    _write(tmp_path / "b.yaml", GRAPH)
    _write(tmp_path / "a.yml", SERVICE)
    (tmp_path / "notes.txt").write_text("not yaml: [")
    assert load(tmp_path) == [SERVICE, GRAPH]


def test_a_list_counts_as_its_items(tmp_path: Path) -> None:
    both = {"apiVersion": "v1", "kind": "List", "items": [GRAPH, SERVICE]}
    assert load(_write(tmp_path / "all.yaml", both)) == [GRAPH, SERVICE]


def test_a_kustomization_gives_files_and_folders_in_its_order(tmp_path: Path) -> None:
    _write(tmp_path / "top/graph.yaml", GRAPH)
    _write(tmp_path / "base/edge.yaml", SERVICE)
    _kustomization(tmp_path / "base", resources=["edge.yaml"])
    top = _kustomization(tmp_path / "top", resources=["graph.yaml", "../base"])
    assert load(top) == [GRAPH, SERVICE]
    assert load(top / "kustomization.yaml") == [GRAPH, SERVICE]


def test_images_are_renamed_by_name_wherever_containers_are(tmp_path: Path) -> None:
    _write(tmp_path / "edge.yaml", SERVICE)
    images = [
        {"name": "kserve-hem-predictor", "newName": "reg:5000/team/predictor", "newTag": "0.2.0"},
        {"name": "other/name", "digest": "sha256:abc"},
        {"name": "busybox", "newTag": "2"},
    ]
    (content,) = load(_kustomization(tmp_path, resources=["edge.yaml"], images=images))
    assert _images(content) == ["reg:5000/team/predictor:0.2.0", "other/name@sha256:abc"]
    assert content["spec"]["predictor"]["initContainers"][0]["image"] == "busybox:2"


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
    _write(tmp_path / "edge.yaml", service)
    images = [{"name": "p", **change}]
    (content,) = load(_kustomization(tmp_path, resources=["edge.yaml"], images=images))
    assert _images(content) == [becomes]


def test_a_component_changes_what_its_parent_has_so_far(tmp_path: Path) -> None:
    _component(tmp_path / "images", images=[{"name": "kserve-hem-predictor", "newTag": "7"}])
    _write(tmp_path / "top/edge.yaml", SERVICE)
    top = _kustomization(tmp_path / "top", resources=["edge.yaml"], components=["../images"])
    (content,) = load(top)
    assert _images(content)[0] == "kserve-hem-predictor:7"


def test_a_parents_own_images_come_after_its_components(tmp_path: Path) -> None:
    _component(tmp_path / "images", images=[{"name": "kserve-hem-predictor", "newTag": "7"}])
    _write(tmp_path / "top/edge.yaml", SERVICE)
    top = _kustomization(
        tmp_path / "top",
        resources=["edge.yaml"],
        components=["../images"],
        images=[{"name": "kserve-hem-predictor", "newTag": "8"}],
    )
    assert _images(load(top)[0])[0] == "kserve-hem-predictor:8"


def test_namespace_labels_and_annotations_reach_every_object(tmp_path: Path) -> None:
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
    _write(tmp_path / "all.yaml", GRAPH, namespace)
    folder = _kustomization(
        tmp_path,
        resources=["all.yaml"],
        namespace="shop",
        labels=[{"pairs": {"team": "a"}}],
        commonLabels={"site": "b"},
        commonAnnotations={"owner": "c"},
    )
    graph, space = load(folder)
    assert graph["metadata"] == {
        "name": "qa",
        "namespace": "shop",
        "labels": {"team": "a", "site": "b"},
        "annotations": {"owner": "c"},
    }
    assert "namespace" not in space["metadata"]


def _patch(text: str, **target: str) -> dict[str, Any]:
    return {"target": {"kind": "InferenceService", **target}, "patch": text}


def _replacement(into: str = "metadata.labels", **source: str) -> dict[str, Any]:
    """From the service's name into a field of the same service."""
    return {
        "source": {"kind": "InferenceService", "fieldPath": "metadata.name", **source},
        "targets": [{"select": {"kind": "InferenceService"}, "fieldPaths": [into]}],
    }


def _refusal(path: Path) -> str:
    with pytest.raises(ConfigurationError) as refused:
        load(path)
    assert "\n" not in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"namePrefix": "a-"}, "namePrefix is not implemented here: kustomize would not rename"),
        ({"vars": []}, "vars is not implemented here: known: apiVersion, commonAnnotations"),
        ({"patches": {}}, "patches: must be a list of {target: ..., patch: ...}"),
        ({"patches": [{"path": "p.yaml"}]}, "patches: path is not implemented here"),
        ({"patches": [{"patch": "kind: X", "target": {"kind": "X"}}]}, "strategic merge patches"),
        ({"patches": [_patch("[}")]}, "patches: while parsing"),
        ({"patches": [_patch("[1]")]}, "1 is not a JSON 6902 operation"),
        ({"patches": [_patch("[{op: add, path: /a/b, value: 1}]")]}, "InferenceService 'qa-edge':"),
        ({"patches": [_patch("[{op: remove, path: /a}]")]}, "InferenceService 'qa-edge':"),
        ({"patches": [_patch("[{op: up, path: /a}]")]}, "InferenceService 'qa-edge':"),
        ({"patches": [_patch("[{op: remove, path: /metadata/name}]")]}, "what an object is called"),
        ({"patches": [{"patch": "[{op: remove, path: /a}]"}]}, "target: must name a kind, a name"),
        ({"patches": [_patch("[{op: remove, path: /a}]", group="x")]}, "group is not implemented"),
        ({"patches": [_patch("[{op: remove, path: /a}]", name="(")]}, "'(' is not a pattern"),
        (
            {"patches": [_patch("[{op: remove, path: /a}]", labelSelector="a in (b)")]},
            "labelSelector 'a in (b)' is not implemented here",
        ),
        ({"replacements": [{"path": "r.yaml"}]}, "replacements: path is not implemented here"),
        ({"replacements": [_replacement(kind="Secret")]}, "selects 0 objects, not one"),
        ({"replacements": [_replacement(name="qa-.*")]}, "'qa-.*' is not a name; versions of"),
        ({"replacements": [_replacement(fieldPath="spec")]}, "is not a single value"),
        ({"replacements": [_replacement(fieldPath="a")]}, "'qa-edge' has no field a"),
        (
            {"replacements": [_replacement(into="spec.nowhere")]},
            "InferenceService 'qa-edge' has no field spec.nowhere",
        ),
        ({"replacements": [{"source": {"kind": "X"}, "targets": []}]}, "selects 0 objects"),
        ({"resource": ["a.yaml"]}, "resource is not implemented here: did you mean 'resources'?"),
        ({"bases": ["../base"]}, "bases is not implemented here: name the folders under resources"),
        ({"resources": "edge.yaml"}, "resources must be a list of paths, not 'edge.yaml'"),
        ({"resources": ["nowhere.yaml"]}, "resources: nowhere.yaml: no such file or directory"),
        ({"resources": ["https://example.com/a.yaml"]}, "is remote; copy it here"),
        ({"resources": ["../outside.yaml"]}, "lies outside of"),
        ({"resources": ["plain"]}, "plain: has no kustomization.yaml"),
        ({"resources": ["component"]}, "kind is 'Component', but 'Kustomization' is needed"),
        ({"resources": ["."]}, "includes itself"),
        ({"resources": [".."]}, "which names it; kustomize takes that for a circle"),
        ({"components": ["plain-kustomization"]}, "kind is 'Kustomization', but 'Component' is"),
        ({"components": ["nowhere"]}, "nowhere: no such folder"),
        ({"apiVersion": "v1"}, "apiVersion is 'v1'; a Kustomization has"),
        ({"images": {"p": "1"}}, "images: must be a list of {name: ...}"),
        ({"images": [{"newTag": "1"}]}, "images: name is missing"),
        ({"images": [{"name": "p", "tag": "1"}]}, "images: tag is not implemented here; fields:"),
        ({"labels": {"a": "b"}}, "labels: must be a list of {pairs: ...}"),
        ({"labels": [{"pairs": {"a": 1}}]}, "labels: must map names to strings"),
        ({"labels": [{"fields": []}]}, "labels: fields is not implemented here"),
        ({"namespace": 1}, "namespace: must be a name, not 1"),
    ],
    ids=lambda value: str(value)[:50] if isinstance(value, dict) else "",
)
def test_what_it_does_not_do_is_refused_with_file_and_field(
    fields: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    folder = tmp_path / "top"
    _write(tmp_path / "outside.yaml", SERVICE)
    _kustomization(tmp_path, resources=["outside.yaml"])
    _write(folder / "edge.yaml", SERVICE)
    _write(folder / "plain/edge.yaml", SERVICE)
    _component(folder / "component")
    _kustomization(folder / "plain-kustomization")
    _kustomization(folder, **{"resources": ["edge.yaml"], **fields})
    message = _refusal(folder)
    assert reason in message
    assert str(folder) in message


def test_selectors_are_not_silently_left_unlabelled(tmp_path: Path) -> None:
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}}
    _write(tmp_path / "d.yaml", deployment)
    _kustomization(tmp_path, resources=["d.yaml"], commonLabels={"a": "b"})
    assert "selectors of Deployment 'd' is not implemented here" in _refusal(tmp_path)


def test_the_same_object_twice_is_refused(tmp_path: Path) -> None:
    _write(tmp_path / "a.yaml", GRAPH)
    _write(tmp_path / "b.yaml", SERVICE, GRAPH)
    a, b = tmp_path / "a.yaml", tmp_path / "b.yaml"
    assert _refusal(tmp_path) == f"{b}: InferenceGraph 'qa' is already in {a}; keep one"


def test_two_kustomizations_in_one_folder_are_refused(tmp_path: Path) -> None:
    _kustomization(tmp_path, resources=[])
    _write(tmp_path / "Kustomization", {})
    assert "more than one kustomization" in _refusal(tmp_path)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: 1\n  b: 2\n", "line 2: mapping values are not allowed here"),
        ("kind: A\nspec:\n  x: 1\n  x: 2\n", "line 4: the key 'x' is written twice"),
        ("kind: [\n", "line 2: expected the node content"),
        ("just words\n", "not a Kubernetes object: apiVersion or kind is missing (found: str)"),
        ("kind: Pod\n", "apiVersion or kind is missing (found: kind)"),
        ("a: \x07\n", "special characters are not allowed"),
        ("- &a [*a]\n", "not a Kubernetes object"),
        ("a: !!python/object:os.system {}\n", "line 1: could not determine a constructor"),
        ("? [a]\n: b\n", "line 1: found unhashable key"),
        ("[" * 3000, "nested too deeply"),
        ("", "no Kubernetes objects in it"),
    ],
    ids=lambda text: repr(text)[:30],
)
def test_broken_yaml_is_one_line_with_file_and_line(text: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    message = _refusal(path)
    assert reason in message
    assert message.startswith(str(path))


def test_a_date_stays_the_string_that_kubectl_sees(tmp_path: Path) -> None:
    dated = {**GRAPH, "metadata": {"name": "qa", "labels": {"since": "2026-01-31"}}}
    path = tmp_path / "graph.yaml"
    path.write_text(yaml.safe_dump(dated).replace("'", ""))
    assert load(path) == [dated]


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_bytes(b"kind: \xff\xfe")
    assert "not UTF-8 text" in _refusal(path)


def test_a_path_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert _refusal(tmp_path / "x") == f"{tmp_path / 'x'}: no such file or directory"


def _by_name(contents: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(contents, key=lambda content: (content["kind"], content["metadata"]["name"]))


def _kubectl(folder: Path) -> list[dict[str, Any]]:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed: nothing to compare with")
    command = [kubectl, "kustomize", str(folder)]
    built = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return list(yaml.safe_load_all(built))


@pytest.mark.parametrize("mode", MINING_MODES)
def test_kubectl_makes_the_same_of_the_shipped_manifests(mode: str) -> None:
    folder = MANIFESTS / FOLDER / mode
    assert _by_name(load(folder)) == _by_name(_kubectl(folder))


def test_kubectl_makes_the_same_of_every_field_that_is_implemented(tmp_path: Path) -> None:
    images = [
        {"name": "kserve-hem-predictor", "newTag": "7"},
        {"name": "other/name", "newName": "reg:5000/a/b", "digest": "sha256:abc"},
        {"name": "busybox", "newTag": "2"},
    ]
    _component(tmp_path / "images", images=images, commonAnnotations={"owner": "c"})
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
    _write(tmp_path / "base/all.yaml", SERVICE, namespace)
    _kustomization(tmp_path / "base", resources=["all.yaml"], commonLabels={"site": "b"})
    _write(tmp_path / "top/graph.yaml", GRAPH)
    top = _kustomization(
        tmp_path / "top",
        resources=["../base", "graph.yaml"],
        components=["../images"],
        namespace="shop",
        labels=[{"pairs": {"team": "a"}}],
        images=[{"name": "kserve-hem-predictor", "newName": "p"}],
    )
    assert _by_name(load(top)) == _by_name(_kubectl(top))


def test_patches_and_replacements_do_what_kubectl_does(tmp_path: Path) -> None:
    names = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "names"},
        "data": {"image": "reg/first:1", "with.dots": "reg/second:2", "count": "3"},
    }
    labelled = {**SERVICE, "metadata": {"name": "qa-cloud", "labels": {"size": "big", "a": "b"}}}
    _write(tmp_path / "top/all.yaml", SERVICE, labelled, names, GRAPH)
    _component(
        tmp_path / "names",
        replacements=[
            {
                "source": {"kind": "ConfigMap", "name": "names", "fieldPath": "data.image"},
                "targets": [
                    {
                        "select": {"kind": "InferenceService"},
                        "fieldPaths": [
                            "spec.predictor.containers.0.image",
                            "spec.predictor.initContainers.[image=busybox:1].image",
                        ],
                    }
                ],
            },
            {
                "source": {"kind": "ConfigMap", "fieldPath": "data.with\\.dots"},
                "targets": [
                    {
                        "select": {"name": "qa-cloud"},
                        "fieldPaths": ["spec.predictor.containers.*.image"],
                    }
                ],
            },
        ],
    )
    top = _kustomization(
        tmp_path / "top",
        resources=["all.yaml"],
        components=["../names"],
        images=[{"name": "reg/patched", "newTag": "9"}],
        patches=[
            {
                "target": {"kind": "InferenceService", "labelSelector": "size=big,a"},
                "patch": "- op: move\n  from: /metadata/labels/size\n  path: /metadata/labels/s~1t",
            },
            {
                "target": {"kind": "Inference.*", "name": "qa-edge"},
                "patch": '[{"op": "add", "path": "/spec/predictor/containers/-", '
                '"value": {"image": "reg/patched"}}]',
            },
            {
                "target": {"kind": "Nothing"},
                "patch": '[{"op": "remove", "path": "/spec"}]',
            },
        ],
    )
    edge, cloud, *_ = load(top)
    assert _images(edge) == ["reg/first:1", "other/name:2", "reg/patched:9"]
    assert _images(cloud) == ["reg/second:2", "reg/second:2"]
    assert cloud["metadata"]["labels"] == {"s/t": "big", "a": "b"}
    assert _by_name(load(top)) == _by_name(_kubectl(top))
