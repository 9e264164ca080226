"""A router whose encoder needs torch gets an image with it, and memory for its weights."""

from pathlib import Path
from typing import Any

import pytest

from inferencegraph.local.containers import LOCAL_COMMANDS
from inferencegraph.local.own_settings import kind_of
from tests.inferencegraph.spec.documents import Object, errors_of, read, service, spec

LIGHT, WITH_TORCH = "kserve-hem-transformer", "kserve-hem-predictor"
ROUTELLM = [{"name": "model", "value": "routellm/bert"}]
OF_A_STORE = "s3://routers/mine"


def mining(**fields: Any) -> Object:
    return read_one(spec({"hardExampleMining": fields}))


def read_one(content: Object, folder: Path = Path()) -> Object:
    """HEM's container."""
    made = read(content, folder=folder)
    assert not errors_of(made)
    (container,) = service(made, "shop-hem")["containers"]
    found: Object = container
    return found


@pytest.mark.parametrize(
    ("fields", "image", "memory"),
    [
        ({"name": "LinearRouter", "router": "embedded:linear"}, LIGHT, "512Mi"),
        ({"name": "KernelRouter", "router": "embedded:best"}, LIGHT, "512Mi"),
        ({"name": "KernelRouter", "router": OF_A_STORE}, WITH_TORCH, "2Gi"),
        ({"name": "BERTRouter", "parameters": ROUTELLM}, WITH_TORCH, "2Gi"),
        ({"name": "BertRouter", "parameters": ROUTELLM}, WITH_TORCH, "2Gi"),
        ({"name": "LLMRouter", "router": "pvc://routers/mine"}, WITH_TORCH, "2Gi"),
        (
            {
                "name": "KNNRouter",
                "router": OF_A_STORE,
                "parameters": [{"name": "backend", "value": "onnxruntime"}],
            },
            LIGHT,
            "512Mi",
        ),
        (
            {
                "name": "KernelRouter",
                "router": "embedded:best",
                "parameters": [{"name": "backend", "value": "torch"}],
            },
            WITH_TORCH,
            "2Gi",
        ),
    ],
    ids=str,
)
def test_the_image_and_the_memory_follow_from_what_runs_the_router(
    fields: Object, image: str, memory: str
) -> None:
    container = mining(**fields)
    assert container["image"] == image
    assert container["resources"]["limits"]["memory"] == memory
    assert ("command" in container) == (image == WITH_TORCH)


@pytest.mark.parametrize("exported", [True, False])
def test_a_model_of_this_machine_is_looked_at(exported: bool, tmp_path: Path) -> None:
    model = tmp_path / "bert"
    model.mkdir()
    if exported:
        (model / "model.onnx").touch()
    container = mining(name="BERTRouter", parameters=[{"name": "model", "value": str(model)}])
    assert container["image"] == (LIGHT if exported else WITH_TORCH)


def test_it_has_time_to_fetch_its_model_and_the_resources_that_the_spec_says() -> None:
    container = mining(
        name="BERTRouter",
        parameters=ROUTELLM,
        resource={"limits": {"memory": "3Gi"}},
    )
    assert container["resources"]["limits"] == {"cpu": "1", "memory": "3Gi"}
    assert container["startupProbe"]["failureThreshold"] == 60


def test_it_is_hem_in_the_registry_that_the_spec_names_and_here() -> None:
    content = spec(
        {"hardExampleMining": {"name": "BERTRouter", "parameters": ROUTELLM}},
        images={"registry": "registry.example.com/team", "tag": "1.2.3"},
    )
    container = read_one(content)
    assert container["image"] == "registry.example.com/team/kserve-hem-predictor:1.2.3"
    assert kind_of(container, LOCAL_COMMANDS[WITH_TORCH].entrypoint) == "hem"
