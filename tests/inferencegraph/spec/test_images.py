"""`images` of a spec: named one by one, read from a ConfigMap, and written as one."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT
from tests.inferencegraph.build.crds import refused
from tests.inferencegraph.spec.documents import (
    Object,
    by_name,
    errors_of,
    read,
    service,
    spec,
    told,
)

GPU: Object = {"resource": {"limits": {"gpus": 1}}, "model": {"hub": "org/model"}}
NAMED = {"images": {"configMap": "inference-engine-config"}}
RUNTIMES = ROOT / "manifests" / "runtimes" / "nvidia" / "images.yaml"


def _config_map(**data: Any) -> Object:
    metadata = {"name": "inference-engine-config"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def _side(engine: str, **fields: Any) -> Object:
    return {**GPU, "inferenceConfig": {"engine": engine}, **fields}


def _images(*documents: Object, name: str = "shop-cloud") -> list[str]:
    found = read(*documents)
    assert errors_of(found) == []
    return [each["image"] for each in service(found, name)["containers"]]


def test_the_owners_config_map_gives_engines_their_images(shared: Path) -> None:
    (document,) = (shared / "requirements").glob("000*.txt")
    blocks = re.findall(r"```yaml\n(.*?)```", document.read_text(), re.DOTALL)
    (text,) = [block for block in blocks if "kind: ConfigMap" in block]
    config_map = yaml.safe_load(text)
    for engine, image in config_map["data"].items():
        side = _side(engine)
        if engine == "triton":
            del side["resource"]
        assert image in _images(config_map, spec(cloud=side, **NAMED))


@pytest.mark.parametrize(
    ("engine", "key"),
    [
        ("huggingface", "huggingface"),
        ("vllm", "vllm"),
        ("vllm-server", "vllm"),
        ("vllm-server", "vllm-server"),
        ("sglang", "sglang"),
        ("ollama", "ollama-gpu"),
    ],
)
def test_it_is_read_beside_the_spec_by_the_engines_name(engine: str, key: str) -> None:
    beside = _config_map(**{key: "registry.example.com/mine:1"})
    assert "registry.example.com/mine:1" in _images(beside, spec(cloud=_side(engine), **NAMED))


def test_a_name_in_the_spec_wins_over_it() -> None:
    images = {"images": {"configMap": "inference-engine-config", "names": {"sglang": "own:2"}}}
    document = spec(cloud=_side("sglang"), **images)
    assert "own:2" in _images(_config_map(sglang="theirs:1"), document)


def test_a_name_alone_works_too_and_other_engines_keep_theirs() -> None:
    document = spec(cloud=_side("sglang"), images={"names": {"sglang": "own:2"}})
    assert _images(document) == ["kserve-hem-predictor", "own:2"]
    assert _images(document, name="shop-edge") == ["kserve-hem-predictor"]


def test_images_of_ours_are_named_there_too() -> None:
    beside = _config_map(
        **{"kserve-hem-transformer": "mine/hem:1", "predictor": "mine/predictor:1"}
    )
    document = spec(**NAMED)
    assert _images(beside, document, name="shop-hem") == ["mine/hem:1"]
    assert _images(beside, document, name="shop-edge") == ["mine/predictor:1"]


def test_the_runtimes_config_map_does_not_put_other_servers_in_place_of_ours() -> None:
    config_map = yaml.safe_load(RUNTIMES.read_text())
    found = read(config_map, spec(cloud=_side("vllm"), **NAMED))
    assert errors_of(found) == []
    (container,) = service(found, "shop-cloud")["containers"]
    assert container["image"] == "kserve-hem-predictor-vllm"
    told_of = told(found, "warning")
    assert any("vllm/vllm-openai" in text and "made FROM ours" in text for text in told_of)
    assert config_map["data"]["vllm"] in _images(
        config_map, spec(cloud=_side("vllm-server"), **NAMED)
    )


def test_the_images_in_use_are_written_and_read_again(shared: Path) -> None:
    images = {
        "registry": "registry.example.com",
        "tag": "1.2",
        "names": {"sglang": "own:2"},
        "configMap": {"name": "used", "create": True},
    }
    document = spec(cloud=_side("sglang"), images=images)
    found = read(document)
    assert errors_of(found) == []
    made = by_name(found)["ConfigMap/used"]
    assert refused(shared / "crds", made) == []
    assert made["data"] == {
        "huggingface": "registry.example.com/kserve-hem-predictor:1.2",
        "kserve-hem-predictor": "registry.example.com/kserve-hem-predictor:1.2",
        "kserve-hem-transformer": "registry.example.com/kserve-hem-transformer:1.2",
        "sglang": "own:2",
    }
    again = read(made, spec(cloud=_side("sglang"), images={"configMap": "used"}))
    services = [name for name in by_name(found) if name.startswith("InferenceService/")]
    assert {name: by_name(again)[name] for name in services} == {
        name: by_name(found)[name] for name in services
    }


@pytest.mark.parametrize(
    ("beside", "images", "field", "message"),
    [
        ([], {"configMap": "a"}, "configMap", "no ConfigMap 'a' beside the spec"),
        (
            [_config_map(a="b")],
            {"configMap": "inference-engine-confg"},
            "configMap",
            "did you mean",
        ),
        (
            [_config_map(vllm=1)],
            {"configMap": "inference-engine-config"},
            "configMap",
            "needs data of engine: image",
        ),
        (
            [_config_map(a="b")],
            {"configMap": {"name": "inference-engine-config", "create": True}},
            "configMap",
            "leave create out",
        ),
        ([], {"names": {"sglnag": "a"}}, "names.sglnag", "did you mean 'sglang'"),
        ([], {"configMap": "A b"}, "configMap.name", "match pattern"),
    ],
)
def test_what_can_not_be_read_is_one_error(
    beside: list[Object], images: Object, field: str, message: str
) -> None:
    found = read(*beside, spec(images=images))
    (fault,) = told(found, "error")
    assert fault.startswith(f"spec.images.{field}: ") and message in fault
    assert len(found.documents) == len(beside)


def test_a_config_map_of_another_namespace_is_not_beside_it() -> None:
    beside = _config_map(vllm="a")
    beside["metadata"]["namespace"] = "others"
    document = spec(**NAMED)
    document["metadata"]["namespace"] = "own"
    (fault,) = told(read(beside, document), "error")
    assert "no ConfigMap" in fault
