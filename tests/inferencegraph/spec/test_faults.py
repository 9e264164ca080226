"""Bad specs: one clear error each, with the field, and nothing is rendered."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from inferencegraph.read.documents import read
from inferencegraph.spec.reading import expanded
from predictors.errors import ConfigurationError

EDGE: dict[str, Any] = {"model": {"file": "embedded:edge"}}
CLOUD: dict[str, Any] = {"model": {"file": "embedded:cloud"}}


def _mining(**fields: Any) -> dict[str, Any]:
    edge = {**EDGE, "hardExampleMining": fields}
    return {"edgeWorker": edge, "cloudWorker": CLOUD}


def _edge(**fields: Any) -> dict[str, Any]:
    return {"edgeWorker": {**EDGE, **fields}, "cloudWorker": CLOUD}


BAD: list[tuple[dict[str, Any], str, str]] = [
    ({}, "spec", "needs edgeWorker, cloudWorker, or both"),
    (_edge(modle={}), "spec.edgeWorker.modle", "did you mean 'model'?"),
    (_edge(nodes=["a", "a"]), "spec.edgeWorker", "names the node 'a' twice"),
    (_edge(nodes=["a.b", "a-b"]), "spec.edgeWorker.nodes[1]", "a name of its own"),
    (_edge(nodes=["x" * 31, "b"]), "spec.edgeWorker.nodes[0]", "at most 30"),
    (_edge(resource={"limits": {"cpu": "2x"}}), "spec.edgeWorker.resource", "not a quantity"),
    (_edge(replicas=0), "spec.edgeWorker.replicas", "greater than or equal to 1"),
    (
        _edge(replicas=2, autoscaling={"maxReplicas": 3}),
        "spec.edgeWorker",
        "has replicas and autoscaling",
    ),
    (
        _edge(autoscaling={"minReplicas": 3, "maxReplicas": 2}),
        "spec.edgeWorker.autoscaling",
        "above maxReplicas 2",
    ),
    (_edge(model={"hub": "a/b", "file": "c"}), "spec.edgeWorker.model", "has one source"),
    (_edge(model={"name": "a"}), "spec.edgeWorker.model", "is only a name"),
    (_edge(model={"storageUri": "ftp://a"}), "spec.edgeWorker.model.storageUri", "begin with"),
    (
        _edge(model={"hub": "a/b", "secret": {"name": "s"}}),
        "spec.edgeWorker.model",
        "no url of an API",
    ),
    (_edge(claim={"size": "1Gi"}), "spec.edgeWorker.claim", "names no claim"),
    (_edge(inferenceConfig={"engine": "vlm"}), "spec.edgeWorker.inferenceConfig.engine", "'vllm'"),
    (
        _edge(model={"url": "http://a", "name": "b"}, inferenceConfig={"engine": "vllm"}),
        "spec.edgeWorker.inferenceConfig.engine",
        "the model is at a url",
    ),
    (
        _edge(model={"hub": "a/b", "command": ["python"]}),
        "spec.edgeWorker.model",
        "has a command, but no image",
    ),
    (
        _edge(model={"image": "a", "command": ["python"]}),
        "spec.edgeWorker.model.command",
        "is for deploymentMode sdk",
    ),
    (
        {
            "deploymentMode": "sdk",
            **_edge(
                model={"image": "a", "command": ["python"]}, inferenceConfig={"engine": "sedna"}
            ),
            "cloudWorker": {"model": {"image": "b"}},
        },
        "spec.edgeWorker.inferenceConfig.engine",
        "model.command starts a server of your own",
    ),
    (_mining(name="Hard"), "spec.edgeWorker.hardExampleMining.name", "unknown algorithm"),
    (
        _mining(name="LinearRouter", router="embedded:linear", miningMode="inference-then-mining"),
        "spec.edgeWorker.hardExampleMining.miningMode",
        "mines the query",
    ),
    (
        _mining(name="Random", parameters=[{"name": "ratio", "value": "1"}]),
        "spec.edgeWorker.hardExampleMining.parameters",
        "no parameter 'ratio'",
    ),
    (
        _mining(name="Random", parameters=[{"name": "a", "key": "b"}]),
        "spec.edgeWorker.hardExampleMining.parameters[0]",
        "either name or key",
    ),
    (
        _mining(name="Random", threshold=0.1, promise={"edgeRatio": 0.5}),
        "spec.edgeWorker.hardExampleMining",
        "the promise sets the threshold",
    ),
    (
        _mining(router="embedded:linear", promise={"maxQualityLoss": 0.01}),
        "spec.edgeWorker.hardExampleMining.promise",
        "hem calibrate --router embedded:linear",
    ),
    (
        _mining(name="ConfidenceRouter", guards=[{"name": "Privat"}]),
        "spec.edgeWorker.hardExampleMining.guards[0]",
        "unknown guard 'Privat'",
    ),
    (
        _mining(name="Random", placement="sidecar"),
        "spec.edgeWorker.hardExampleMining",
        "a sidecar mines the answers",
    ),
    (
        {"edgeWorker": {**EDGE, "hardExampleMining": {"name": "Random"}}},
        "spec.edgeWorker.hardExampleMining",
        "there is no cloudWorker",
    ),
    (
        {"edgeWorker": {"model": {"file": "digits:edge"}}, "cloudWorker": CLOUD},
        "spec.edgeWorker.hardExampleMining",
        "is required for a classifier",
    ),
    (
        {**_edge(), "deploymentMode": "sdk"},
        "spec.edgeWorker.model.image",
        "is required in deploymentMode sdk",
    ),
    ({**_edge(), "timeouts": {"cloud": 200}}, "spec.timeouts", "timeouts need"),
    ({"edgeWorker": EDGE, "uplink": {"maxQueue": 1}}, "spec.uplink", "no uplink is rendered"),
    ({"cloudWorker": CLOUD, "uplink": {"maxQueue": 1}}, "spec.uplink", "no uplink is rendered"),
    ({**_edge(), "uplink": {"maxQueue": -1}}, "spec.uplink.maxQueue", "greater than or equal"),
    ({**_edge(), "gateway": {"stiky": "user"}}, "spec.gateway.stiky", "did you mean 'sticky'?"),
]


def _problems(spec: dict[str, Any], name: str, folder: Path) -> list[tuple[str, str]]:
    path = folder / "spec.yaml"
    document = {
        "apiVersion": "kserve-hem.io/v1alpha1",
        "kind": "LLMJointInferenceService",
        "metadata": {"name": name},
        "spec": spec,
    }
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    found = expanded(read(path))
    assert found.documents == []
    assert all(problem.line for problem in found.problems)
    return [(problem.field, problem.message) for problem in found.problems]


@pytest.mark.parametrize(("spec", "field", "message"), BAD, ids=[f"{b[1]}-{b[2]}" for b in BAD])
def test_a_bad_spec_is_an_error_at_its_field(
    spec: dict[str, Any], field: str, message: str, tmp_path: Path
) -> None:
    found = _problems(spec, "shop", tmp_path)
    assert found[0][0] == field
    assert message in found[0][1]


@pytest.mark.parametrize(
    ("name", "message"), [("Shop", "pattern"), ("x" * 42, "at most 41"), ("1shop", "pattern")]
)
def test_a_name_that_kserve_could_not_use_is_an_error(
    name: str, message: str, tmp_path: Path
) -> None:
    ((field, says),) = _problems(_edge(), name, tmp_path)
    assert field == "metadata.name"
    assert message in says


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\tkind: x\n", "line 1"),
        (b"kind: \xff\n", "not UTF-8"),
        (b"a: &x [1]\nb: *y\n", "undefined alias 'y'"),
        (b"kind: A\nkind: B\n", "written twice"),
    ],
)
def test_a_file_that_is_no_yaml_is_one_line_with_the_place(
    content: bytes, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "spec.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=message) as refused:
        read(path)
    assert str(refused.value).startswith(str(path)) and "\n" not in str(refused.value)
