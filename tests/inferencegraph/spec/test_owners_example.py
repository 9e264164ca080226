"""The document's own example: what it lacks, one error each; filled in it renders."""

import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from inferencegraph.build.annotated import annotated
from inferencegraph.check.validate import validate
from inferencegraph.read.documents import Document, read
from inferencegraph.spec.output import to_text
from inferencegraph.spec.reading import Expanded, expanded
from tests.inferencegraph.build.crds import FILES, violations

GOLDEN = Path(__file__).resolve().parents[2] / "data/specs/owners-example.yaml"
KUBERNETES = "1.34"
FILLED_IN = {
    "tritonConfig:\n      ...": "tritonConfig:\n      transport: grpc",
    'name: "hard-example-mining-algorithm"': 'name: "Random"',
    '- name: "min-magnitude"': '- name: "random_ratio"',
    '        - name: "batch-size"\n          value: "32"\n': "",
    'name: "edge-small-model"': 'name: "edge-small-model"\n      storageUri: pvc://models/small',
    'name: "cloud-large-model"': 'name: "cloud-large-model"\n      storageUri: pvc://models/large',
}


@pytest.fixture
def example(shared: Path) -> str:
    (document,) = (shared / "requirements").glob("000*.txt")
    blocks = re.findall(r"```yaml\n(.*?)```", document.read_text(), re.DOTALL)
    (text,) = [block for block in blocks if "kind: LLMJointInferenceService" in block]
    return str(text)


def _expanded(text: str, folder: Path) -> Expanded:
    path = folder / "spec.yaml"
    path.write_text(text)
    return expanded(read(path))


def _filled_in(text: str) -> str:
    for placeholder, value in FILLED_IN.items():
        assert placeholder in text
        text = text.replace(placeholder, value)
    return text


def test_each_placeholder_is_one_error_with_its_line_and_its_mend(
    example: str, tmp_path: Path
) -> None:
    found = _expanded(example, tmp_path)
    assert found.documents == []
    assert [(problem.line, problem.field) for problem in found.problems] == [
        (8, "spec.inferenceConfig.tritonConfig"),
        (14, "spec.edgeWorker.model"),
        (31, "spec.cloudWorker.model"),
        (17, "spec.edgeWorker.hardExampleMining.name"),
    ]
    for problem, mend in zip(
        found.problems,
        ["leave the field out", "storageUri, hub", "storageUri, hub", "known: BERTRouter"],
        strict=True,
    ):
        assert mend in problem.message


def test_filled_in_it_renders_what_kserve_and_kubernetes_take(
    example: str, tmp_path: Path, shared: Path
) -> None:
    found = _expanded(_filled_in(example), tmp_path)
    assert found.problems == []
    objects = [document.content for document in found.documents]
    assert [problem for problem in validate(objects, complete=True)] == []
    for content in objects:
        if content["kind"] in FILES:
            assert violations(shared / "crds", content) == []
        else:
            kubernetes_validate.validate(content, KUBERNETES, strict=True)
    assert to_text(found.documents) == GOLDEN.read_text(), (
        "render it again, and look at the difference"
    )


def test_both_nodes_share_the_cloud_and_nothing_else(example: str, tmp_path: Path) -> None:
    objects = [d.content for d in _expanded(_filled_in(example), tmp_path).documents]
    names: list[str] = [content["metadata"]["name"] for content in objects]
    assert len(names) == len(set(names))
    assert sum("cloud" in name for name in names) == 1
    for node in ("edge-node-1", "edge-node-2"):
        own = [content for content in objects if node in content["metadata"]["name"]]
        assert [content["kind"] for content in own] == [*["InferenceService"] * 3, "InferenceGraph"]
        for content in own:
            assert _selectors(content) == {node}


def _selectors(content: dict[str, Any]) -> set[str]:
    parts = [content["spec"]] if content["kind"] == "InferenceGraph" else content["spec"].values()
    return {part["nodeSelector"]["kubernetes.io/hostname"] for part in parts}


def test_rendered_comments_change_nothing(example: str, tmp_path: Path) -> None:
    for document in _expanded(_filled_in(example), tmp_path).documents:
        assert isinstance(document, Document)
        assert yaml.safe_load(annotated(document.content, document.origins)) == document.content
