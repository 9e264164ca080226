"""Sedna's answer generation, read where the document has it: filled in, it renders to the golden
file, and everything is what KServe and Kubernetes take."""

import re
from pathlib import Path
from typing import Any, Final

import kubernetes_validate
import pytest
import yaml

from inferencegraph.check.reconciled.site import reconciled
from inferencegraph.check.validate import validate
from inferencegraph.read.documents import read
from inferencegraph.spec.output import to_text
from inferencegraph.spec.reading import Expanded, expanded
from tests.conftest import ROOT
from tests.inferencegraph.build.crds import FILES, violations
from tests.inferencegraph.spec.documents import by_name, service, variables

GOLDEN: Final = ROOT / "tests/data/specs/sedna-answer-generation.yaml"
KUBERNETES: Final = "1.34"
# The nodes' names, and what the API is asked for, which the document leaves to its readers.
FILLED_IN: Final = {
    "$EDGE_NODE": "edge-node-1",
    "$CLOUD_NODE": "cloud-node-1",
    '                value: "url"\n': '                value: "url"\n'
    "              - {name: MODEL_NAME, value: gpt-4o-mini}\n"
    "              - {name: API_KEY, valueFrom: {secretKeyRef: {name: openai, key: token}}}\n",
}
# As Sedna's API has them: the document names them only.
URLS: Final = {
    "answer-generation-inference-little-model": "pvc://models/qwen2-1.5b-instruct",
    "answer-generation-inference-big-model": "https://api.openai.com/v1",
}


def _models() -> list[dict[str, Any]]:
    return [
        {
            "apiVersion": "sedna.io/v1alpha1",
            "kind": "Model",
            "metadata": {"name": name, "namespace": "default"},
            "spec": {"url": url},
        }
        for name, url in URLS.items()
    ]


@pytest.fixture
def example(shared: Path) -> str:
    (document,) = (shared / "requirements").glob("001*.txt")
    blocks = re.findall(r"```yaml\n(.*?)```", document.read_text(), re.DOTALL)
    (text,) = [block for block in blocks if "kind: JointInferenceService" in block]
    return str(text)


@pytest.fixture
def made(example: str, tmp_path: Path) -> Expanded:
    for placeholder, value in FILLED_IN.items():
        assert placeholder in example
        example = example.replace(placeholder, value)
    path = tmp_path / "sedna.yaml"
    path.write_text("---\n".join([example, *map(yaml.safe_dump, _models())]))
    return expanded(read(path))


def test_filled_in_it_renders_to_the_golden_file(made: Expanded) -> None:
    assert not made.errors
    assert to_text(made.documents) == GOLDEN.read_text(), (
        "render it again, and look at the difference"
    )


def test_kserve_and_kubernetes_take_it_and_what_kserve_makes_of_it(
    made: Expanded, shared: Path
) -> None:
    objects = [document.content for document in made.documents]
    found = validate(objects, made.documents, complete=True)
    assert [str(problem) for problem in found if problem.severity == "error"] == []
    for content in objects:
        if content["kind"] in FILES:
            assert violations(shared / "crds", content) == []
        else:
            kubernetes_validate.validate(content, KUBERNETES, strict=True)
    later = reconciled(objects)
    assert {each["kind"] for each in later} >= {"Deployment", "Service"}
    for content in later:
        kubernetes_validate.validate(content, KUBERNETES, strict=True)


def test_it_mines_by_the_documents_router_in_an_image_that_can(made: Expanded) -> None:
    name = "answer-generation-inference-example"
    assert set(by_name(made)) == {
        f"InferenceService/{name}-edge",
        f"InferenceService/{name}-hem",
        f"InferenceService/{name}-uplink",
        f"InferenceGraph/{name}",
    }
    (hem,) = service(made, f"{name}-hem")["containers"]
    said = variables(hem)
    assert (said["HEM_ALGORITHM"], said["HEM_THRESHOLD"]) == ("BERTRouter", "0.5")
    assert said["HEM_PARAMETERS"] == '{"model": "routellm/bert"}'
    assert said["MINING_MODE"] == "mining-then-inference"
    assert hem["image"] == "kserve-hem-predictor" and hem["command"][-1] == "transformers_hem"
    (edge,) = service(made, f"{name}-edge")["containers"]
    assert variables(edge)["STORAGE_URI"] == "pvc://models/qwen2-1.5b-instruct"
    (uplink,) = service(made, f"{name}-uplink")["containers"]
    assert {"--url=https://api.openai.com/v1", "--upstream_model=gpt-4o-mini"} <= set(
        uplink["args"]
    )
    (key,) = [each for each in uplink["env"] if each["name"] == "PREDICTOR_API_KEY"]
    assert key["valueFrom"]["secretKeyRef"]["name"] == "openai"
