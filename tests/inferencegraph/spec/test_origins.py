"""Comments that say which field of the spec a line comes from: with another value it is another."""

import copy
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from inferencegraph.read.documents import Document, parse
from inferencegraph.spec.output import to_text
from tests.conftest import ROOT
from tests.inferencegraph.spec.documents import Object, read

SPECS = sorted((ROOT / "manifests" / "specs").rglob("*.yaml"))
COMMENT = re.compile(r"^(?P<line>.*\S)  # (?P<field>spec\.\S+)$")
AMOUNTS = {"limits": {"cpu": "3", "memory": "5Gi"}}


def _whole(edge: Object, cloud: Object, **fields: Any) -> Object:
    return {
        "apiVersion": "kserve-hem.io/v1alpha1",
        "kind": "LLMJointInferenceService",
        "metadata": {"name": "shop"},
        "spec": {"edgeWorker": edge, "cloudWorker": cloud, **fields},
    }


WRITTEN: dict[str, Object] = {
    "query": _whole(
        {
            "nodes": ["till-1"],
            "model": {"storageUri": "pvc://models/small"},
            "resource": AMOUNTS,
            "startSeconds": 50,
            "serviceAccount": "models",
            "sampling": {"maxTokens": 9, "stop": ["a"]},
            "inferenceConfig": {"engine": "huggingface", "huggingfaceConfig": {"dtype": "float32"}},
            "hardExampleMining": {
                "name": "LinearRouter",
                "router": "embedded:linear",
                "threshold": 0.25,
                "batchPolicy": "all",
                "configMap": "files-of-hem",
                "resource": AMOUNTS,
            },
        },
        {
            "model": {"name": "gpt", "url": "https://api.example.com/v1", "secret": {"name": "k"}},
            "sampling": {"temperature": 0.5},
        },
        gateway={
            "sticky": "session",
            "retries": 2,
            "keysSecret": "callers",
            "settings": {"hedge_percentile": 90},
        },
        timeouts={"cloud": 9, "cloudConnect": 1, "serviceClient": 150, "edge": 33},
        uplink={"maxConcurrency": 2, "maxQueue": 0},
        images={
            "registry": "registry.example.com",
            "tag": "1.2",
            "pullSecret": "pull",
            "names": {"kserve-hem-transformer": "mine/hem:1"},
        },
        expose={
            "kind": "httpRoute",
            "host": "{site}.example.com",
            "parentRefs": [{"name": "public"}],
        },
    ),
    "answer": _whole(
        {
            "model": {"hub": "org/small"},
            "hardExampleMining": {
                "name": "ConfidenceRouter",
                "parameters": [{"name": "threshold", "value": "0.5"}],
                "guards": [{"name": "ResourceSensitiveRouter"}],
            },
        },
        {
            "model": {"hub": "org/large"},
            "resource": {"limits": {"cpu": "4", "memory": "16Gi", "gpus": 1}},
            "autoscaling": {"maxReplicas": 3, "metric": "memory", "target": 70},
            "nodeSelector": {"kind": "gpu"},
            "tolerations": [{"key": "gpu", "operator": "Exists"}],
            "inferenceConfig": {
                "engine": "vllm",
                "vllmConfig": {"maxModelLen": 512, "extraArgs": ["--swap_space=2"]},
            },
        },
        timeouts={"edge": 33},
        expose={"kind": "ingress", "host": "shop.example.com", "ingressClassName": "nginx"},
    ),
    "servers": _whole(
        {
            "model": {"storageUri": "pvc://models/small/model.gguf"},
            "inferenceConfig": {"engine": "llama-cpp", "llamaCppConfig": {"ctxSize": 512}},
        },
        {
            "replicas": 2,
            "model": {"storageUri": "pvc://models/large"},
            "resource": {"limits": {"gpus": 1}},
            "inferenceConfig": {"engine": "sglang", "sglangConfig": {"contextLength": 4096}},
        },
        images={"names": {"sglang": "own:2"}},
    ),
    "learning": _whole(
        {
            "model": {"file": "embedded:edge"},
            "hardExampleMining": {"name": "LinearRouter", "router": "embedded:linear"},
        },
        {"model": {"file": "embedded:cloud"}},
        feedback={
            "store": {"secret": {"name": "feedback"}},
            "text": True,
            "days": 30.0,
            "rows": 1000,
            "perMinute": 600,
            "sync": "full",
            "shadow": 0.02,
            "shadowEdge": 0.3,
            "scorer": "exact_match",
        },
        retrain={
            "schedule": "30 2 * * *",
            "check": "*/10 * * * *",
            "promise": {"maxQualityLoss": 0.04, "confidence": 0.8},
            "versions": {"size": "2Gi", "storageClass": "nfs"},
            "volumes": [{"mountPath": "/mnt/labels", "claim": "labels"}],
            "data": ["/mnt/labels/labels.jsonl"],
            "own": True,
            "limit": 9000,
            "significance": 0.2,
            "keep": 5,
            "resource": AMOUNTS,
        },
    ),
}
EXAMPLES = {
    **WRITTEN,
    **{str(path.relative_to(ROOT / "manifests")): parse(path)[0] for path in SPECS},
}
# Comments that these specs have to have: all kinds of fields are among them.
EXPECTED = {
    "query": {
        "edgeWorker.nodes",
        "edgeWorker.model.storageUri",
        "edgeWorker.resource",
        "edgeWorker.startSeconds",
        "edgeWorker.serviceAccount",
        "edgeWorker.sampling.maxTokens",
        "edgeWorker.sampling.stop",
        "edgeWorker.inferenceConfig.engine",
        "edgeWorker.inferenceConfig.huggingfaceConfig",
        "edgeWorker.hardExampleMining.name",
        "edgeWorker.hardExampleMining.router",
        "edgeWorker.hardExampleMining.threshold",
        "edgeWorker.hardExampleMining.batchPolicy",
        "edgeWorker.hardExampleMining.configMap",
        "edgeWorker.hardExampleMining.resource",
        "cloudWorker.model.name",
        "cloudWorker.model.url",
        "cloudWorker.model.secret",
        "cloudWorker.sampling.temperature",
        "gateway.sticky",
        "gateway.retries",
        "gateway.keysSecret",
        "gateway.settings.hedge_percentile",
        "timeouts.cloud",
        "timeouts.cloudConnect",
        "timeouts.serviceClient",
        "uplink.maxConcurrency",
        "uplink.maxQueue",
        "images.registry",
        "images.pullSecret",
        "images.names.kserve-hem-transformer",
        "expose.host",
        "expose.parentRefs",
    },
    "answer": {
        "edgeWorker.model.hub",
        "edgeWorker.hardExampleMining.name",
        "edgeWorker.hardExampleMining.parameters",
        "edgeWorker.hardExampleMining.guards",
        "cloudWorker.model.hub",
        "cloudWorker.resource",
        "cloudWorker.autoscaling.maxReplicas",
        "cloudWorker.autoscaling.metric",
        "cloudWorker.autoscaling.target",
        "cloudWorker.nodeSelector",
        "cloudWorker.tolerations",
        "cloudWorker.inferenceConfig.engine",
        "cloudWorker.inferenceConfig.vllmConfig",
        "cloudWorker.inferenceConfig.vllmConfig.extraArgs",
        "timeouts.edge",
        "expose.host",
        "expose.ingressClassName",
    },
    "servers": {
        "edgeWorker.model.storageUri",
        "edgeWorker.inferenceConfig.engine",
        "edgeWorker.inferenceConfig.llamaCppConfig.ctxSize",
        "cloudWorker.replicas",
        "cloudWorker.model.storageUri",
        "cloudWorker.inferenceConfig.sglangConfig",
        "cloudWorker.inferenceConfig.engine",
        "images.names.sglang",
    },
    "learning": {
        "edgeWorker.model.file",
        "edgeWorker.hardExampleMining.router",
        "cloudWorker.model.file",
        "feedback.store",
        "feedback.text",
        "feedback.days",
        "feedback.rows",
        "feedback.perMinute",
        "feedback.sync",
        "feedback.shadow",
        "feedback.shadowEdge",
        "feedback.scorer",
        "retrain.schedule",
        "retrain.check",
        "retrain.promise.maxQualityLoss",
        "retrain.promise.confidence",
        "retrain.versions.size",
        "retrain.versions.storageClass",
        "retrain.data",
        "retrain.own",
        "retrain.limit",
        "retrain.significance",
        "retrain.keep",
        "retrain.resource",
    },
}


def _documents(content: Object) -> list[Document] | None:
    found = read(content)
    return None if found.errors else found.documents


def _comments(text: str) -> Iterator[tuple[str, str]]:
    """Each line with a field, with the lines that belong to it, and that field."""
    lines = text.splitlines()
    for index, line in enumerate(lines):
        if match := COMMENT.match(line):
            indent = len(line) - len(line.lstrip())
            block = [match["line"]]
            for each in lines[index + 1 :]:
                inside = len(each) - len(each.lstrip()) > indent
                if not inside and not (
                    match["line"].endswith(":") and each.lstrip().startswith("- ")
                ):
                    break
                block.append(each)
            yield _bare("\n".join(block)), match["field"]


def _bare(text: str) -> str:
    """Without comments."""
    lines = [re.sub(r"  # spec\.\S+$", "", line) for line in text.splitlines()]
    return "\n".join(line for line in lines if not line.lstrip().startswith("#"))


def _others(content: Object, field: str) -> Iterator[Object]:
    """The spec with other values in that field, and without it."""
    names = field.split(".")
    if field.endswith(("hardExampleMining.name", "hardExampleMining.miningMode")):
        for mining in ({"name": "EdgeOnly"}, {"name": "ConfidenceRouter", "threshold": 0.5}):
            made = copy.deepcopy(content)
            made["spec"]["edgeWorker"]["hardExampleMining"] = mining
            yield made
        return
    changes = [_more, _first, _less, None]
    if field.endswith(".resource"):
        limits = {"cpu": "7", "memory": "9Gi"}
        changes = [
            lambda _, gpus=gpus: {"limits": {**limits, **({"gpus": gpus} if gpus else {})}}
            for gpus in (0, 1, 4, 8)
        ]
    if field.endswith(".strategy"):
        changes = [lambda _: "package.module:Mine"]
    if field.endswith(".engine"):
        changes = [lambda _, name=name: name for name in ("vllm", "huggingface", "sglang")]
    for change in changes:
        made = copy.deepcopy(content)
        part: Any = made
        for name in names[:-1]:
            part = part[name if name in part else _snake(name)]
        last = names[-1] if names[-1] in part else _snake(names[-1])
        if change is None:
            del part[last]
        else:
            part[last] = change(part[last])
        yield made


def _text_of(documents: list[Document], name: str) -> str:
    found = [each for each in documents if each.content["metadata"]["name"] == name]
    return _bare(to_text(found)) + "\n"


def _snake(name: str) -> str:
    return re.sub(r"[A-Z]", lambda match: f"_{match[0].lower()}", name)


def _more(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("://", "://x") if "://" in value else f"{value}x"
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, dict):
        own = {"value"} & value.keys() or value.keys()  # a parameter keeps its name
        return {name: _more(each) if name in own else each for name, each in value.items()}
    return [_more(each) for each in value]


def _first(value: Any) -> Any:
    return [_more(value[0]), *value[1:]] if isinstance(value, list) else value


def _less(value: Any) -> Any:
    if isinstance(value, int | float):
        return value / 2 if isinstance(value, float) else value - 1
    return {"cpu": "7"} if isinstance(value, dict) else value[:-1]


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_line_is_another_one_where_its_field_is(name: str) -> None:
    content = EXAMPLES[name]
    documents = _documents(content)
    assert documents is not None
    found = {
        (index, block, field)
        for index, document in enumerate(documents)
        for block, field in _comments(to_text([document]))
    }
    assert found
    for index, block, field in sorted(found):
        after = [made for other in _others(content, field) if (made := _documents(other))]
        assert after, f"no other value of {field} renders"
        named = documents[index].content["metadata"]["name"]
        texts = [_text_of(each, named) for each in after]
        assert any(f"{block}\n" not in text for text in texts), (
            f"{field} changes nothing in: {block}"
        )


@pytest.mark.parametrize("name", EXPECTED)
def test_all_kinds_of_fields_are_told(name: str) -> None:
    documents = _documents(EXAMPLES[name])
    assert documents is not None
    told = {field for _, field in _comments(to_text(documents))}
    assert told == {f"spec.{field}" for field in EXPECTED[name]}


@pytest.mark.parametrize("name", EXAMPLES)
def test_they_change_nothing_and_are_always_the_same(name: str) -> None:
    documents = _documents(EXAMPLES[name])
    assert documents is not None
    text = to_text(documents)
    assert list(yaml.safe_load_all(text)) == [each.content for each in documents]
    again = _documents(copy.deepcopy(EXAMPLES[name]))
    assert again is not None and to_text(again) == text


def test_an_object_of_ones_own_has_none() -> None:
    own = [Document(Path("own.yaml"), {"apiVersion": "v1", "kind": "Secret"})]
    assert "#" not in to_text(own)
