"""Which graph a file holds."""

import json
from pathlib import Path

import pytest

from inferencegraph.router.spec import load_graph
from predictors.errors import ConfigurationError

SPEC = {"nodes": {"root": {"routerType": "Sequence", "steps": [{"serviceUrl": "http://e/"}]}}}
SERVICE = "apiVersion: serving.kserve.io/v1beta1\nkind: InferenceService\nmetadata: {name: edge}\n"


def graph(name: str) -> str:
    whole = {"apiVersion": "serving.kserve.io/v1alpha1", "kind": "InferenceGraph", "spec": SPEC}
    return json.dumps({**whole, "metadata": {"name": name}}) + "\n"


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "graph.yaml"
    path.write_text(text)
    return path


def test_a_file_may_hold_the_bare_spec(tmp_path: Path) -> None:
    assert load_graph(written(tmp_path, json.dumps(SPEC))) == SPEC


def test_the_only_graph_among_other_objects_is_meant(tmp_path: Path) -> None:
    path = written(tmp_path, SERVICE + "---\n" + graph("qa"))
    assert load_graph(path)["spec"] == SPEC


def test_a_name_chooses_among_several(tmp_path: Path) -> None:
    path = written(tmp_path, graph("one") + "---\n" + graph("two"))
    assert load_graph(path, "two")["metadata"] == {"name": "two"}


@pytest.mark.parametrize(
    ("text", "name", "reason"),
    [
        (
            graph("a") + "---\n" + graph("b"),
            None,
            "choose one by name; InferenceGraphs in it: a, b",
        ),
        (graph("a"), "b", "none is called 'b'; InferenceGraphs in it: a"),
        (SERVICE, None, "has no InferenceGraph"),
        ("", None, "has no InferenceGraph"),
        ("just text", None, "not a Kubernetes object"),
        ("nodes: {", None, "line 1: expected the node content"),
    ],
)
def test_a_file_without_the_graph_is_refused(
    tmp_path: Path, text: str, name: str | None, reason: str
) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigurationError) as refusal:
        load_graph(path, name)
    assert str(refusal.value).startswith(str(path))
    assert reason in str(refusal.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"graph\.yaml: No such file"):
        load_graph(tmp_path / "graph.yaml")
