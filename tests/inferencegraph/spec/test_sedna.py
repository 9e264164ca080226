"""Sedna's JointInferenceService with its Models: each field is in the report, and it runs."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from inferencegraph.read.documents import objects
from inferencegraph.spec.expanding import convert
from inferencegraph.spec.report import covering, leaves
from predictors.errors import ConfigurationError
from tests.conftest import ROOT
from tests.inferencegraph.running_hem import RunningHem, hem
from tests.inferencegraph.spec.documents import (
    Object,
    by_name,
    errors_of,
    read,
    service,
    told,
    variables,
)

DATA = ROOT / "tests/data/sedna"
LITTLE, BIG = (f"answer-generation-inference-{size}-model" for size in ("little", "big"))
EDGE, CLOUD = "spec.edgeWorker", "spec.cloudWorker"
CONTAINER = "template.spec.containers[0]"


def example() -> Object:
    """The proposal's answer generation, as it stands there."""
    text = (DATA / "answer_generation.yaml").read_text()
    loaded: Object = yaml.safe_load(text)
    return loaded


def models() -> list[Object]:
    """Those of Sedna's own page of that example."""
    return list(yaml.safe_load_all((DATA / "models.yaml").read_text()))


def worker(content: Object, side: str) -> Object:
    found: Object = content["spec"][side]
    return found


def container(content: Object, side: str) -> Object:
    found: Object = worker(content, side)["template"]["spec"]["containers"][0]
    return found


def set_variable(content: Object, side: str, name: str, value: str | None) -> None:
    entries = container(content, side).setdefault("env", [])
    entries[:] = [each for each in entries if each["name"] != name]
    if value is not None:
        entries.append({"name": name, "value": value})


def filled() -> Object:
    """With the nodes' names, the hub for the edge, and the API's model and key."""
    content = example()
    worker(content, "edgeWorker")["template"]["spec"]["nodeName"] = "edge-1"
    worker(content, "cloudWorker")["template"]["spec"]["nodeName"] = "cloud-1"
    set_variable(content, "edgeWorker", "MODEL_LOAD_MODE", "hf")
    set_variable(content, "cloudWorker", "MODEL_NAME", "deepseek-chat")
    set_variable(content, "cloudWorker", "API_KEY", "sk-secret")
    return content


def without_modes() -> Object:
    content = filled()
    for side in ("edgeWorker", "cloudWorker"):
        set_variable(content, side, "MODEL_LOAD_MODE", None)
    return content


def model(name: str, url: str, **fields: Any) -> Object:
    return {
        "apiVersion": "sedna.io/v1alpha1",
        "kind": "Model",
        "metadata": {"name": name},
        "spec": {"url": url, **fields},
    }


def with_hpa() -> Object:
    content = filled()
    metric = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 60}}
    worker(content, "cloudWorker")["hpa"] = {
        "minReplicas": 1,
        "maxReplicas": 3,
        "metrics": [{"type": "Resource", "resource": metric}],
        "behavior": {"scaleDown": {"stabilizationWindowSeconds": 60}},
    }
    return content


def of_a_cluster() -> Object:
    content = filled()
    content["metadata"] |= {
        "uid": "1",
        "resourceVersion": "7",
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"},
        "labels": {"team": "nlp"},
    }
    content["status"] = {"active": 2, "conditions": [{"type": "Running"}]}
    return content


def misspelt() -> Object:
    content = filled()
    worker(content, "edgeWorker")["hardExampleMinning"] = {"name": "IBT", "parameters": []}
    container(content, "edgeWorker")["imagee"] = "x"
    return content


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(example(), id="as it stands"),
        pytest.param(filled(), id="filled in"),
        pytest.param(without_modes(), id="without modes"),
        pytest.param(with_hpa(), id="with an autoscaler"),
        pytest.param(of_a_cluster(), id="from a cluster"),
        pytest.param(misspelt(), id="misspelt"),
    ],
)
@pytest.mark.parametrize("mode", [None, "file", "url", "hf", "https", "ftp"])
def test_each_leaf_is_in_exactly_one_entry(content: Object, mode: str | None) -> None:
    content = copy.deepcopy(content)
    if mode:
        set_variable(content, "edgeWorker", "MODEL_LOAD_MODE", mode)
    _, report = convert([content, *models()])

    documents = {f"{each['kind']}/{each['metadata']['name']}": each for each in models()}
    documents[f"JointInferenceService/{content['metadata']['name']}"] = content
    for name, document in documents.items():
        for leaf in leaves(document):
            entries = covering(report, name, leaf)
            assert len(entries) == 1, f"{name} {leaf}: {entries}"
            assert entries[0].target or entries[0].word


def test_filled_in_it_is_rendered_and_everything_is_valid() -> None:
    made = read(filled(), *models())

    assert not errors_of(made)
    assert set(by_name(made)) == {
        "InferenceService/answer-generation-inference-example-edge",
        "InferenceService/answer-generation-inference-example-hem",
        "InferenceService/answer-generation-inference-example-uplink",
        "InferenceGraph/answer-generation-inference-example",
    }
    edge = service(made, "answer-generation-inference-example-edge")
    mining = service(made, "answer-generation-inference-example-hem")["containers"][0]
    uplink = service(made, "answer-generation-inference-example-uplink")["containers"][0]
    assert "--model_dir=Qwen/Qwen2.5-0.5B-Instruct" in edge["containers"][0]["args"]
    assert edge["dnsPolicy"] == "ClusterFirstWithHostNet"
    assert edge["nodeSelector"]["kubernetes.io/hostname"] == "edge-1"
    assert {"name": "outputdir", "mountPath": "/data/"} in edge["containers"][0]["volumeMounts"]
    assert edge["containers"][0]["resources"]["requests"] == {"cpu": "100m", "memory": "64M"}
    assert variables(mining)["HEM_ALGORITHM"] == "BERTRouter"
    assert variables(mining)["HEM_THRESHOLD"] == "0.5"
    assert variables(mining)["MINING_MODE"] == "mining-then-inference"
    assert "--url=https://api.deepseek.com/v1" in uplink["args"]
    assert "--upstream_model=deepseek-chat" in uplink["args"]


def test_a_key_that_stands_in_the_file_stands_in_no_object_and_no_message() -> None:
    made = read(filled(), *models())

    assert "sk-secret" not in yaml.safe_dump([each.content for each in made.documents])
    assert not any("sk-secret" in str(problem) for problem in made.problems)
    assert any("create secret generic" in said for said in told(made, "warning"))


def test_what_has_no_counterpart_is_said_with_its_reason() -> None:
    warnings = "\n".join(told(read(filled(), *models()), "warning"))

    for variable in (
        "input_text",
        "all_examples_inference_output",
        "hard_example_cloud_inference_output",
        "hard_example_edge_inference_output",
    ):
        assert f"is left out: {variable}: a site answers requests and reads no files" in warnings
    for side in (EDGE, CLOUD):
        assert f"{side}.{CONTAINER}.image: is left out: a Sedna worker doesn't speak" in warnings


def test_as_it_stands_each_placeholder_is_one_error_with_its_mend() -> None:
    made = read(example(), *models())

    errors = told(made, "error")
    assert len([said for said in errors if "$EDGE_NODE" in said]) == 1
    assert any("write the value, which kubectl get nodes lists" in said for said in errors)
    assert not made.documents


@pytest.mark.parametrize(
    ("mode", "url", "form", "source"),
    [
        ("hf", "/Qwen/Qwen2.5-0.5B-Instruct", "hf", {"hub": "Qwen/Qwen2.5-0.5B-Instruct"}),
        ("hf", "gpt2", "", {"hub": "gpt2"}),
        ("url", "org/model", "", {"hub": "org/model"}),
        ("url", "https://api.example.com/v1", "", {"url": "https://api.example.com/v1"}),
        ("url", "/api.example.com/v1", "https", {"url": "https://api.example.com/v1"}),
        ("https", "/api.example.com", "", {"url": "https://api.example.com/v1"}),
        ("http", "/llm:8000/v1", "", {"url": "http://llm:8000/v1"}),
        ("file", "/models/little", "", {"file": "/models/little"}),
        (
            "file",
            "https://example.com/model.tar.gz",
            "",
            {"storageUri": "https://example.com/model.tar.gz"},
        ),
        (None, "s3://bucket/model", "", {"storageUri": "s3://bucket/model"}),
        (None, "pvc://claim/model", "", {"storageUri": "pvc://claim/model"}),
        (
            None,
            "https://example.com/model.onnx",
            "onnx",
            {"storageUri": "https://example.com/model.onnx"},
        ),
        (None, "https://api.example.com/v1", "", {"url": "https://api.example.com/v1"}),
        (None, "/models/little", "", {"file": "/models/little"}),
        (None, "Qwen/Qwen2.5-0.5B-Instruct", "", {"hub": "Qwen/Qwen2.5-0.5B-Instruct"}),
        (None, "embedded:edge", "", {"file": "embedded:edge"}),
    ],
)
def test_the_source_is_the_models_url_by_the_workers_load_mode(
    mode: str | None, url: str, form: str, source: dict[str, str]
) -> None:
    content = filled()
    set_variable(content, "edgeWorker", "MODEL_LOAD_MODE", mode)
    set_variable(content, "edgeWorker", "MODEL_NAME", "m")
    spec, report = convert([content, model(LITTLE, url, format=form), models()[1]])

    found = spec["spec"]["edgeWorker"]["model"]
    assert {name: found[name] for name in found if name not in ("name", "secret")} == source
    assert not [entry for entry in report if entry.severity == "error"]


def test_a_path_on_the_node_comes_with_the_advice_of_a_claim() -> None:
    content = without_modes()
    made = read(content, model(LITTLE, "/models/little"), models()[1])

    assert any("spec.url" in s and "pvc://CLAIM/PATH" in s for s in told(made, "warning"))


@pytest.mark.parametrize(
    ("beside", "expected"),
    [
        ([models()[1]], f"no Model '{LITTLE}' beside it; known: {BIG}"),
        ([model(LITTLE, "ftp://x"), models()[1]], "'ftp://x' is no path, no hub id"),
        ([model(LITTLE, ""), models()[1]], "spec.url: is required"),
        ([model(LITTLE, "/m", format="pb"), models()[1]], "'pb': no engine here loads it"),
        ([model(LITTLE, "/m", fromat="x"), models()[1]], "unknown field of Sedna's Model"),
    ],
)
def test_a_model_that_cannot_be_served_is_an_error(beside: list[Object], expected: str) -> None:
    made = read(without_modes(), *beside)

    assert any(expected in said for said in told(made, "error"))
    assert not made.documents


def mining_of(content: Object) -> Object:
    found: Object = worker(content, "edgeWorker")["hardExampleMining"]
    return found


def changed(change: Any) -> Object:
    content = filled()
    change(content)
    return content


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(
            changed(lambda c: set_variable(c, "edgeWorker", "MINING_MODE", "both")),
            "unknown MINING_MODE 'both'; known: inference-then-mining",
            id="unknown mining mode",
        ),
        pytest.param(
            changed(lambda c: set_variable(c, "edgeWorker", "MINING_MODE", "self-design")),
            "self-design is code of yours there: write it as a strategy of a spec",
            id="a mode that is code",
        ),
        pytest.param(
            changed(lambda c: set_variable(c, "edgeWorker", "MODEL_LOAD_MODE", "hff")),
            "unknown MODEL_LOAD_MODE 'hff'; known: file, hf, http, https, url; did you mean 'hf'?",
            id="unknown load mode",
        ),
        pytest.param(
            changed(lambda c: set_variable(c, "cloudWorker", "MODEL_NAME", None)),
            "env.MODEL_NAME: is missing",
            id="an API without its model",
        ),
        pytest.param(
            changed(
                lambda c: worker(c, "edgeWorker")["hardExampleMining"].update(name="BertRuter")
            ),
            "did you mean 'BertRouter'?",
            id="unknown algorithm",
        ),
        pytest.param(
            changed(
                lambda c: set_variable(c, "edgeWorker", "MINING_MODE", "inference-then-mining")
            ),
            "BERTRouter mines the query; leave it out",
            id="a mode that the algorithm contradicts",
        ),
        pytest.param(
            changed(lambda c: c["spec"].pop("cloudWorker")),
            "cloudWorker: is required",
            id="one side",
        ),
        pytest.param(
            changed(lambda c: container(c, "edgeWorker").update(imagee="x")),
            "unknown field 'imagee'",
            id="misspelt in the template",
        ),
        pytest.param(
            changed(lambda c: worker(c, "edgeWorker").update(workerSpec={"scriptDir": "/code"})),
            "Sedna's JointInferenceService has no such field",
            id="a field of older versions",
        ),
    ],
)
def test_what_cannot_be_meant_is_an_error_and_nothing_is_rendered(
    content: Object, expected: str
) -> None:
    made = read(content, *models())

    assert any(expected in said for said in told(made, "error"))
    assert not made.documents


def test_without_a_mode_an_algorithm_of_answers_mines_after_the_edge_as_in_sedna() -> None:
    content = filled()
    set_variable(content, "edgeWorker", "MINING_MODE", None)
    worker(content, "edgeWorker")["hardExampleMining"] = {"name": "ConfidenceRouter"}
    spec, _ = convert([content, *models()])

    assert spec["spec"]["edgeWorker"]["hardExampleMining"]["miningMode"] == "inference-then-mining"


def test_without_a_mode_an_algorithm_of_queries_mines_before_it_and_that_is_said() -> None:
    content = filled()
    set_variable(content, "edgeWorker", "MINING_MODE", None)
    made = read(content, *models())

    assert not errors_of(made)
    assert any("needs the query alone" in said for said in told(made, "warning"))


def test_the_autoscaler_is_carried_over() -> None:
    spec, _ = convert([with_hpa(), *models()])

    expected = {"minReplicas": 1, "maxReplicas": 3, "metric": "cpu", "target": 60}
    assert spec["spec"]["cloudWorker"]["autoscaling"] == expected


def test_a_key_in_a_secret_stays_there() -> None:
    content = filled()
    reference = {"secretKeyRef": {"name": "mine", "key": "token"}}
    set_variable(content, "cloudWorker", "API_KEY", None)
    container(content, "cloudWorker")["env"].append({"name": "API_KEY", "valueFrom": reference})
    spec, _ = convert([content, *models()])

    assert spec["spec"]["cloudWorker"]["model"]["secret"] == {"name": "mine", "key": "token"}


def test_models_resolve_the_names_of_a_spec_of_ours_in_lists_too() -> None:
    spec = {
        "metadata": {"name": "shop"},
        "spec": {
            "edgeWorker": {"model": {"name": "small"}},
            "cloudWorker": {"model": {"name": "large"}},
        },
    }
    large = {
        "apiVersion": "kserve-hem.io/v1alpha1",
        "kind": "Model",
        "metadata": {"name": "large"},
        "spec": {"hub": "org/large"},
    }
    made = read(
        {
            "apiVersion": "sedna.io/v1alpha2",
            "kind": "LLMJointInferenceServiceList",
            "items": [spec],
        },
        {"apiVersion": "v1", "kind": "List", "items": [model("small", "org/small"), large]},
    )

    assert not errors_of(made)
    assert "--model_dir=org/small" in service(made, "shop-edge")["containers"][0]["args"]
    assert "--model_dir=org/large" in service(made, "shop-cloud")["containers"][0]["args"]


def test_a_missing_model_of_a_spec_of_ours_is_an_error_with_a_suggestion() -> None:
    spec = {
        "apiVersion": "kserve-hem.io/v1alpha1",
        "kind": "LLMJointInferenceService",
        "metadata": {"name": "shop"},
        "spec": {"edgeWorker": {"model": {"name": "smal"}}},
    }
    made = read(spec, model("small", "org/small"))

    (said,) = told(made, "error")
    assert said.startswith("spec.edgeWorker.model.name: no Model 'smal' beside the spec")
    assert "did you mean 'small'?" in said
    assert any("no spec uses it" in warning for warning in told(made, "warning"))


def test_a_model_of_another_namespace_is_not_meant() -> None:
    spec = filled()
    spec["metadata"]["namespace"] = "shop"

    assert any("no Model" in said for said in told(read(spec, *models()), "error"))


def test_without_such_a_file_there_is_nothing_to_convert() -> None:
    with pytest.raises(ConfigurationError, match="there is no JointInferenceService"):
        convert(models())


def test_the_shell_commands_print_the_report_and_the_objects(tmp_path: Path) -> None:
    path = tmp_path / "sedna.yaml"
    path.write_text(yaml.safe_dump_all([filled(), *models()]))
    rendered = hem("render", "-f", str(path))
    validated = hem("validate", "-f", str(path))

    assert rendered.returncode == validated.returncode == 0
    assert len(objects(rendered.stdout, path)) == 4
    assert "warning: " in rendered.stderr
    assert "input_text: a site answers requests" in rendered.stderr
    assert "is spec.edgeWorker.hardExampleMining.miningMode of the spec" in validated.stdout


@pytest.mark.slow
def test_hem_up_runs_it_where_the_models_can_be(tmp_path: Path) -> None:
    content = without_modes()
    mining = {"name": "Random", "parameters": [{"key": "random_ratio", "value": "1"}]}
    worker(content, "edgeWorker")["hardExampleMining"] = mining
    beside = [model(LITTLE, "embedded:edge"), model(BIG, "embedded:cloud")]
    (tmp_path / "sedna.yaml").write_text(yaml.safe_dump_all([content, *beside]))

    with RunningHem(["-f", str(tmp_path / "sedna.yaml")]) as running:
        answer = running.ask("2 + 3?").json()
    assert answer["parameters"]["served_by"] == "answer-generation-inference-example-cloud"
