"""Ianvs's test algorithm of query routing: each field is in the report, and it is rendered."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from inferencegraph.read.documents import objects
from inferencegraph.spec.expanding import convert
from inferencegraph.spec.report import Report, covering, leaves
from tests.conftest import ROOT
from tests.inferencegraph.running_hem import RunningHem
from tests.inferencegraph.spec.documents import (
    Object,
    engine_file,
    errors_of,
    read,
    service,
    told,
    variables,
)

FILE = ROOT / "tests/data/ianvs/test_queryrouting.yaml"
NAME = "Algorithm/spec"


def example() -> Object:
    loaded: Object = yaml.safe_load(FILE.read_text())
    return loaded


def module(content: Object, kind: str) -> Object:
    found: Object = next(m for m in content["algorithm"]["modules"] if m["type"] == kind)
    return found


def with_values(kind: str, **values: list[Any] | None) -> Object:
    """The example with other hyperparameters of a module; None takes one out."""
    content = example()
    own = module(content, kind)
    kept = [each for each in own["hyperparameters"] if not each.keys() & values.keys()]
    given = [{name: {"values": value}} for name, value in values.items() if value is not None]
    own["hyperparameters"] = kept + given
    return content


def with_router(name: str, **values: Any) -> Object:
    content = example()
    own = module(content, "hard_example_mining")
    own["name"] = name
    own["hyperparameters"] = [{key: {"values": [value]}} for key, value in values.items()]
    return content


def converted(content: Object) -> tuple[Object, Report]:
    (document,) = objects(yaml.safe_dump(content), Path("spec.yaml"))
    return convert([document.content])


SEVERAL = with_values("edgemodel", temperature=[0, 0.5])
SPECULATIVE = with_values("edgemodel", backend=["EagleSpecDec"], draft_model=["a/b"])
MISSPELT = with_values("edgemodel", max_tokens=None, max_token=[512])
API = with_values("edgemodel", backend=["api"], api_base_url=["http://llm:8000/v1"])


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(example(), id="the example"),
        pytest.param(SEVERAL, id="a grid"),
        pytest.param(SPECULATIVE, id="speculative"),
        pytest.param(MISSPELT, id="misspelt"),
        pytest.param(API, id="an API at the edge"),
        pytest.param(with_router("Nobody"), id="an unknown router"),
        pytest.param({"algorithm": {"paradigm_type": "singletasklearning", "x": 1}}, id="other"),
    ],
)
def test_each_leaf_is_in_exactly_one_entry(content: Object) -> None:
    _, report = converted(content)

    for leaf in leaves(content):
        entries = covering(report, NAME, leaf)
        assert len(entries) == 1, f"{leaf}: {entries}"


def test_every_parameter_of_the_query_routing_document_has_its_field() -> None:
    spec, report = converted(example())

    edge, cloud = spec["spec"]["edgeWorker"], spec["spec"]["cloudWorker"]
    assert not [entry for entry in report if entry.severity == "error"]
    assert edge["model"] == {"hub": "Qwen/Qwen2-1.5B-Instruct"}
    assert edge["sampling"] == {
        "temperature": 1e-7,
        "topP": 0.9,
        "maxTokens": 1024,
        "repetitionPenalty": 1,
    }
    assert edge["inferenceConfig"]["engine"] == "vllm"
    assert edge["inferenceConfig"]["vllmConfig"] == {
        "tensor_parallel_size": 2,
        "gpu_memory_utilization": 0.9,
    }
    assert edge["resource"] == {"limits": {"gpus": 2}}
    assert edge["hardExampleMining"]["name"] == "BERTRouter"
    assert edge["hardExampleMining"]["miningMode"] == "mining-then-inference"
    assert cloud["model"] == {
        "name": "gpt-4o-mini",
        "url": "https://api.openai.com/v1",
        "secret": {"name": "kserve-hem-cloud-key", "key": "key"},
    }
    assert cloud["sampling"]["maxTokens"] == 1024


def test_it_is_rendered_and_everything_is_valid() -> None:
    made = read(example())

    assert not errors_of(made)
    edge = service(made, "spec-edge")["containers"][0]
    mining = service(made, "spec-hem")["containers"][0]
    assert "--engine=vllm" in edge["args"]
    assert engine_file(made, "spec-edge-engine") == {
        "tensor_parallel_size": 2,
        "gpu_memory_utilization": 0.9,
    }
    assert edge["resources"]["limits"]["nvidia.com/gpu"] == "2"
    assert variables(mining)["HEM_ALGORITHM"] == "BERTRouter"


def test_the_file_gives_the_site_its_name() -> None:
    (document,) = objects(FILE.read_text(), FILE)

    assert document.content["metadata"]["name"] == "test-queryrouting"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (SEVERAL, "temperature: has 0, 0.5: a site is one of them, so choose one value"),
        (SPECULATIVE, "unknown backend 'EagleSpecDec'; known: api, huggingface, vllm"),
        (with_router("Nobody"), "unknown algorithm 'Nobody'"),
        (with_router("OracleRouter"), "labels"),
        (with_values("cloudmodel", api_provider=["grok"]), "did you mean 'groq'?"),
        (with_values("edgemodel", model=[]), "needs `values` with one value"),
    ],
)
def test_what_cannot_be_a_site_is_an_error(content: Object, expected: str) -> None:
    made = read(content)

    assert any(expected in said for said in told(made, "error"))
    assert not made.documents


@pytest.mark.parametrize("kind", ["edgemodel", "cloudmodel", "hard_example_mining"])
def test_each_module_is_needed_once(kind: str) -> None:
    missing, twice = example(), example()
    missing["algorithm"]["modules"].remove(module(missing, kind))
    twice["algorithm"]["modules"].append(copy.deepcopy(module(twice, kind)))

    assert any(
        said == f"algorithm.modules.{kind}: is missing" for said in told(read(missing), "error")
    )
    assert any(f"is a second {kind}" in said for said in told(read(twice), "error"))


@pytest.mark.parametrize("kind", ["edgemodel", "cloudmodel", "hard_example_mining"])
def test_a_class_that_is_not_the_examples_is_reported(kind: str) -> None:
    content = example()
    module(content, kind)["url"] = "./mine/own.py"

    warnings = told(read(content), "warning")
    assert any("'./mine/own.py' is no class of the example" in said for said in warnings)


def test_a_parameter_that_the_class_does_not_read_is_named_with_the_right_one() -> None:
    warnings = told(read(MISSPELT), "warning")

    assert any("did you mean 'max_tokens'?" in said for said in warnings)


def test_the_threshold_of_bertrouter_means_something_else_and_that_is_said() -> None:
    assert any("Choose it anew: hem calibrate" in said for said in told(read(example()), "warning"))


def test_vllms_parameters_are_left_out_with_another_backend() -> None:
    spec, _ = converted(with_values("edgemodel", backend=["huggingface"]))

    assert "vllmConfig" not in spec["spec"]["edgeWorker"]["inferenceConfig"]
    assert "resource" not in spec["spec"]["edgeWorker"]


def test_an_api_at_the_edge_is_a_url() -> None:
    spec, _ = converted(API)

    model = spec["spec"]["edgeWorker"]["model"]
    assert model["url"] == "http://llm:8000/v1"
    assert model["name"] == "Qwen/Qwen2-1.5B-Instruct"


def test_the_documents_defaults_hold() -> None:
    content = example()
    for kind in ("edgemodel", "cloudmodel"):
        module(content, kind)["hyperparameters"] = []
    spec, _ = converted(content)

    assert spec["spec"]["edgeWorker"]["model"] == {"hub": "Qwen/Qwen2-1.5B-Instruct"}
    assert spec["spec"]["edgeWorker"]["inferenceConfig"] == {"engine": "huggingface"}
    assert spec["spec"]["cloudWorker"]["model"]["name"] == "gpt-4o-mini"


@pytest.mark.slow
def test_hem_up_runs_it_where_the_models_can_be(tmp_path: Path) -> None:
    content = with_router("EdgeOnly")
    module(content, "edgemodel")["hyperparameters"] = [
        {"model": {"values": ["embedded:edge"]}},
        {"temperature": {"values": [0]}},
        {"repetition_penalty": {"values": [1]}},
    ]
    (tmp_path / "test_queryrouting.yaml").write_text(yaml.safe_dump(content))

    with RunningHem(["-f", str(tmp_path / "test_queryrouting.yaml")]) as running:
        answer = running.ask("2 + 3?").json()
    assert answer["parameters"]["served_by"] == "test-queryrouting-edge"
