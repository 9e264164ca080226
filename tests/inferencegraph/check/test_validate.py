"""Offline checks. Each file in data/manifests/bad begins with the problems that it shows."""

import copy
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings, strategies as st

from inferencegraph.build.mining import MINING_MODES
from inferencegraph.check.kserve_types import GROUP, UNCHECKED, VERSIONS
from inferencegraph.check.problem import Finding, Others, warning
from inferencegraph.check.validate import CHECKS, refuse, validate
from inferencegraph.read.documents import read
from inferencegraph.read.kustomize import load, load_documents
from inferencegraph.spec.examples import example
from predictors.errors import ConfigurationError
from tests.inferencegraph.running_hem import hem

BAD = Path(__file__).resolve().parents[2] / "data/manifests/bad"
GOOD = [manifest for mode in MINING_MODES for manifest in example(mode).values()]


def _promised(path: Path) -> list[str]:
    lines = path.read_text().splitlines()
    return [line.removeprefix("# ") for line in lines if line.startswith("# ")]


@pytest.mark.parametrize("path", sorted(BAD.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_bad_manifest_is_told_what_is_wrong_and_the_way_out(path: Path) -> None:
    promised = _promised(path)
    problems = validate([document.content for document in read(path)])
    assert [f"{problem.severity} {problem}" for problem in problems] == promised
    assert promised


def test_a_problem_names_the_file_it_is_in() -> None:
    documents = load_documents(BAD / "node_unused.yaml")
    (problem,) = validate([d.content for d in documents], documents)
    where = f"{BAD / 'node_unused.yaml'}:{problem.line}"
    assert str(problem).startswith(f"{where}: InferenceGraph/qa: spec.nodes.")


def test_a_service_that_is_not_there_is_an_error_where_nothing_else_exists() -> None:
    (problem,) = validate(load(BAD / "service_absent.yaml"), complete=True)
    assert problem.severity == "error"
    assert "unknown InferenceService 'qa-edge'" in problem.message


def test_what_is_about_to_run_is_refused_with_every_error_and_no_warning() -> None:
    path = BAD / "node_dangling.yaml"
    with pytest.raises(ConfigurationError) as refused:
        refuse(load(path), load_documents(path))
    assert str(refused.value).startswith(str(BAD / "node_dangling.yaml"))
    assert "unknown node 'anwser'; did you mean 'answer'?" in str(refused.value)
    assert "no step leads here" not in str(refused.value)


def test_warnings_alone_are_not_refused() -> None:
    refuse(load(BAD / "node_unused.yaml"))


def test_kserves_other_kinds_are_noted_and_refuse_nothing(shared: Path) -> None:
    path = shared / "cases/10_kserve_kinds.yaml"
    problems = validate(load(path))
    assert {problem.severity for problem in problems} == {"note"}
    assert len(problems) == 4
    refuse(load(path))
    ended = hem("validate", "-f", str(path))
    assert ended.returncode == 0
    assert ended.stdout.endswith("4 objects, 0 errors, 0 warnings, 4 notes\n")


@pytest.mark.parametrize(
    ("version", "kind"),
    [
        ("v1alpha1", "LLMInferenceService"),  # of v1alpha2 the fields are known
        ("v1alpha2", "LLMInferenceServiceConfig"),
        ("v1alpha1", "LocalModelCache"),
        ("v1alpha1", "LocalModelNamespaceCache"),
        ("v1alpha1", "LocalModelNode"),
        ("v1alpha1", "LocalModelNodeGroup"),
        ("v1alpha1", "ClusterStorageContainer"),
        ("v1alpha1", "TrainedModel"),
        ("v1alpha1", "Predictor"),
    ],
)
def test_a_kind_of_kserves_that_is_not_checked_is_a_note(version: str, kind: str) -> None:
    content = {"apiVersion": f"serving.kserve.io/{version}", "kind": kind}
    (problem,) = validate([{**content, "metadata": {"name": "a"}, "spec": {"any": ["thing"]}}])
    assert str(problem) == (
        f"{kind}/a: kind: serving.kserve.io/{version} {kind} is not one that is checked here"
    )
    assert problem.severity == "note"


def test_the_kinds_are_those_of_kserves_own_definitions(shared: Path) -> None:
    kinds = set()
    for path in (shared / "crds").glob("*.yaml"):
        for content in yaml.load_all(path.read_text(), Loader=yaml.CSafeLoader):
            if content["spec"]["group"] == GROUP:
                kinds.add(content["spec"]["names"]["kind"])
    assert kinds <= {*VERSIONS, *UNCHECKED}


def test_a_misspelt_kind_of_kserves_is_still_an_error() -> None:
    content = {"apiVersion": f"{GROUP}/v1alpha1", "kind": "LocalModelCashe"}
    (problem,) = validate([{**content, "metadata": {"name": "a"}}])
    assert problem.severity == "error"
    assert "did you mean 'LocalModelCache'?" in problem.message


def test_a_check_of_ones_own_is_a_function_in_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    def check_team(content: Mapping[str, Any], others: Others) -> Iterator[Finding]:
        if "team" not in (content["metadata"].get("labels") or {}):
            yield warning("metadata.labels.team", f"is missing beside {sorted(others.services)}")

    monkeypatch.setitem(CHECKS, "InferenceGraph", (*CHECKS["InferenceGraph"], check_team))
    (problem,) = validate(list(example(MINING_MODES[0]).values()), complete=True)
    services = ["qa-cloud", "qa-edge", "qa-hem", "qa-uplink"]
    assert str(problem) == f"InferenceGraph/qa: metadata.labels.team: is missing beside {services}"


def test_checking_takes_no_time_that_a_person_would_notice() -> None:
    begin = time.process_time()
    validate(load(BAD / "node_dangling.yaml"))
    assert time.process_time() - begin < 0.7


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=4,
)


def _places(node: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) in a manifest."""
    keys: Any = node if isinstance(node, dict) else range(len(node))
    found = [(node, key) for key in keys]
    inner = [node[key] for key in keys if isinstance(node[key], dict | list)]
    return found + [place for part in inner for place in _places(part)]


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_whatever_stands_in_a_manifest_the_checks_come_to_an_end(data: st.DataObject) -> None:
    documents = copy.deepcopy(GOOD[:5])
    holder, key = data.draw(st.sampled_from(_places(documents)))
    holder[key] = data.draw(_json)
    for problem in validate(documents):
        assert problem.message
        assert problem.field
