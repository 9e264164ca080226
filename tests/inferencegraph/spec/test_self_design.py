"""`miningMode: self-design`: what a strategy makes of a site, and what contradicts it."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from inferencegraph.spec.output import to_text
from tests.inferencegraph.spec.documents import (
    Object,
    by_name,
    engine_file,
    errors_of,
    read,
    service,
    spec,
    told,
    variables,
)

CODE = """
from transformers_hem.strategies.base import Strategy, Turn


class Short(Strategy):
    stage = "answer"

    def asks(self, turn: Turn) -> str | None:
        return turn.query


class Joint(Strategy):
    stage = "query"
    at_edge = True

    def asks(self, turn: Turn) -> str:
        return turn.query


class Late(Short):
    at_edge = True
"""
VLLM = {"name": "big", "url": "http://vllm.models.svc/v1", "secret": {"name": "key"}}


def designed(strategy: Any = "refine", cloud: Object | None = None, **mining: Any) -> Object:
    chosen = {"miningMode": "self-design", "strategy": strategy, **mining}
    return spec(edge={"hardExampleMining": chosen}, cloud=cloud)


def at_the_edge(**fields: Any) -> Object:
    """As its strategy is speculative, with these of the whole spec."""
    document = designed("speculative")
    document["spec"].update(fields)
    return document


def names(document: Object) -> list[str]:
    return sorted(by_name(read(document)))


def arguments(document: Object, name: str) -> list[str]:
    found: list[str] = service(read(document), name)["containers"][0]["args"]
    return found


def hem(document: Object, **options: Any) -> dict[str, Any]:
    made = read(document, **options)
    assert not errors_of(made)
    return variables(service(made, "shop-edge", "transformer")["containers"][0])


def test_refine_is_the_edges_transformer_with_an_uplink_behind_it() -> None:
    assert names(designed()) == [
        "InferenceGraph/shop",
        "InferenceService/shop-cloud",
        "InferenceService/shop-edge",
        "InferenceService/shop-uplink",
    ]
    found = hem(designed())
    assert (found["MINING_MODE"], found["HEM_STRATEGY"]) == ("self-design", "refine")
    assert found["HEM_CLOUD_URL"] == "http://shop-uplink-predictor"
    assert not {"HEM_ALGORITHM", "HEM_STRATEGY_PARAMETERS", "HEM_EDGE_URL"} & found.keys()


def test_its_parameters_and_an_algorithm_beside_it() -> None:
    prompt = "Of {query}: {draft}"
    strategy = {"name": "refine", "parameters": [{"name": "prompt", "value": prompt}]}
    found = hem(designed(strategy, name="ConfidenceRouter", threshold=0.25))
    assert json.loads(found["HEM_STRATEGY_PARAMETERS"]) == {"prompt": prompt}
    assert (found["HEM_ALGORITHM"], found["HEM_THRESHOLD"]) == ("ConfidenceRouter", "0.25")


def test_speculative_asks_the_cloud_from_the_edges_own_engine() -> None:
    """What an uplink would have: the address, the time limits, the places."""
    document = at_the_edge(timeouts={"cloud": 30}, uplink={"maxConcurrency": 7})
    assert names(document) == [
        "InferenceGraph/shop",
        "InferenceService/shop-cloud",
        "InferenceService/shop-edge",
    ]
    words = arguments(document, "shop-edge")
    own = {"--engine=speculative", "--model_dir=embedded:edge", "--on_far_failure=finish"}
    assert own < {*words}
    assert "--url=http://shop-cloud-predictor" in words
    assert not [word for word in words if word.startswith("--verifier")]
    assert "--verify_slots=16" in arguments(document, "shop-cloud")
    own = variables(service(read(document), "shop-edge")["containers"][0])
    assert (own["PREDICTOR_TIMEOUT"], own["PREDICTOR_CONNECT_TIMEOUT"]) == ("30", "2")
    assert own["PREDICTOR_MAX_CONCURRENCY"] == "7"
    assert hem(document)["HEM_EDGE_URL"] == "http://shop-edge-predictor"
    assert "HEM_CLOUD_URL" not in hem(document)
    nodes = by_name(read(document))["InferenceGraph/shop"]["spec"]["nodes"]
    assert [step["serviceName"] for step in nodes["root"]["steps"]] == ["shop-edge"]


def test_several_sites_share_one_cloud() -> None:
    document = at_the_edge()
    document["spec"]["edgeWorker"]["nodes"] = ["a", "b"]
    assert [name for name in names(document) if "Service" in name] == [
        "InferenceService/shop-a-edge",
        "InferenceService/shop-b-edge",
        "InferenceService/shop-cloud",
    ]
    for site in ("a", "b"):
        assert "--url=http://shop-cloud-predictor" in arguments(document, f"shop-{site}-edge")


def test_a_vllm_server_at_a_url_checks_with_its_key() -> None:
    document = designed("speculative", cloud={"model": VLLM})
    words = arguments(document, "shop-edge")
    assert {"--verifier=vllm", f"--url={VLLM['url']}", "--upstream_model=big"} < {*words}
    (key,) = [
        each
        for each in service(read(document), "shop-edge")["containers"][0]["env"]
        if each["name"] == "PREDICTOR_API_KEY"
    ]
    assert key["valueFrom"]["secretKeyRef"]["name"] == "key"
    assert not errors_of(read(document))


@pytest.mark.parametrize("penalty", [1.0, 1.1])
def test_a_vllm_server_that_would_get_no_drafts_is_warned_of(penalty: float) -> None:
    document = designed("speculative", cloud={"model": VLLM})
    del document["spec"]["cloudWorker"]["sampling"]
    document["spec"]["edgeWorker"]["sampling"] = {"temperature": 0, "repetitionPenalty": penalty}
    assert not told(read(document), "error")
    warned = [each for each in told(read(document), "warning") if "greedy" in each]
    assert len(warned) == (penalty != 1)
    assert not told(read(designed("speculative")), "warning")


def test_blocks_of_both_engines_are_files_that_win_over_the_defaults() -> None:
    document = designed("speculative")
    block = {"speculativeConfig": {"draftTokens": 5, "onBreak": "error"}}
    document["spec"]["edgeWorker"]["inferenceConfig"] = block
    slots = {"huggingfaceConfig": {"verifySlots": 40}}
    document["spec"]["cloudWorker"]["inferenceConfig"] = slots
    made = read(document)
    assert not errors_of(made)
    assert engine_file(made, "shop-edge-engine") == {"draft_tokens": 5, "on_break": "error"}
    assert engine_file(made, "shop-cloud-engine") == {"verify_slots": 40}
    for name in ("shop-edge", "shop-cloud"):
        words = arguments(document, name)
        assert not [w for w in words if w.startswith(("--on_", "--verify_slots"))]


@pytest.mark.parametrize("setting", ["onFarFailure", "onBreak"])
def test_what_the_small_model_may_do_has_an_older_name(setting: str) -> None:
    document = designed("speculative")
    block = {"speculativeConfig": {setting: "error"}}
    document["spec"]["edgeWorker"]["inferenceConfig"] = block
    assert not errors_of(read(document))
    assert not [word for word in arguments(document, "shop-edge") if word.startswith("--on_")]


@pytest.mark.parametrize("drafter", ["model", "prompt-lookup"])
@pytest.mark.parametrize("guards", [[], ["PrivacyGuard"]])
def test_that_nobody_answers_at_the_edge_is_warned_of_where_something_stays_there(
    drafter: str, guards: list[str]
) -> None:
    document = designed("speculative", guards=[{"name": name} for name in guards])
    block = {"speculativeConfig": {"drafter": drafter}}
    document["spec"]["edgeWorker"]["inferenceConfig"] = block
    made = read(document)
    assert not errors_of(made)
    warned = [each for each in told(made, "warning") if "no model that could answer" in each]
    assert len(warned) == (drafter == "prompt-lookup" and bool(guards))


@pytest.mark.parametrize("side", ["edgeWorker", "cloudWorker"])
def test_sampling_said_once_holds_for_both(side: str) -> None:
    document = designed("speculative")
    del document["spec"][side]["sampling"]
    for name in ("shop-edge", "shop-cloud"):
        own = variables(service(read(document), name)["containers"][0])
        assert own["PREDICTOR_MAX_TOKENS"] == "64"


@pytest.mark.parametrize("strategy", ["refine", "speculative"])
def test_a_sidecar_finds_the_model_in_its_own_pod(strategy: str) -> None:
    made = read(designed(strategy, placement="sidecar"))
    assert not errors_of(made)
    beside = {each["name"]: each for each in service(made, "shop-edge")["containers"]}
    found = variables(beside["transformer-container"])
    at = "http://localhost:8085" if strategy == "speculative" else None
    assert found.get("HEM_EDGE_URL") == at


def test_network_policies_let_the_edge_ask_the_cloud_and_no_uplink() -> None:
    made = read(at_the_edge(networkPolicies={}))
    assert not errors_of(made)
    policies = {
        name.partition("/")[2]: each["spec"]
        for name, each in by_name(made).items()
        if name.startswith("NetworkPolicy/")
    }
    assert sorted(policies) == [
        "shop",
        "shop-cloud-predictor",
        "shop-edge-predictor",
        "shop-edge-transformer",
    ]
    cloud = {"podSelector": {"matchLabels": {"app": "isvc.shop-cloud-predictor"}}}
    assert {"to": [cloud], "ports": [{"protocol": "TCP", "port": 8080}]} in policies[
        "shop-edge-predictor"
    ]["egress"]
    (rule,) = policies["shop-cloud-predictor"]["ingress"]
    (peer,) = rule["from"]
    assert peer["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "edge"


def test_network_policies_let_the_edge_out_to_an_api() -> None:
    document = designed(
        "speculative", cloud={"model": {"name": "m", "url": "https://a.example/v1"}}
    )
    document["spec"]["networkPolicies"] = {}
    made = read(document)
    egress = by_name(made)["NetworkPolicy/shop-edge-predictor"]["spec"]["egress"]
    assert {"ports": [{"protocol": "TCP", "port": 443}]} in egress


@pytest.mark.parametrize(
    ("strategy", "has_uplink", "path"),
    [("Short", True, "mine:Short"), ("Joint", False, "mine:Joint")],
)
def test_a_strategy_of_ones_own_is_mounted_and_named(
    tmp_path: Path, strategy: str, has_uplink: bool, path: str
) -> None:
    (tmp_path / "mine.py").write_text(CODE)
    document = designed({"name": strategy, "source": "mine.py"})
    found = hem(document, folder=tmp_path)
    assert (found["HEM_STRATEGY"], found["PYTHONPATH"]) == (path, "/etc/hem/algorithm")
    made = by_name(read(document, folder=tmp_path))
    assert ("InferenceService/shop-uplink" in made) == has_uplink
    (data,) = [each["data"] for name, each in made.items() if name.startswith("ConfigMap/")]
    assert data == {"mine.py": CODE}


def test_one_of_an_installed_package_is_taken_by_its_path() -> None:
    assert hem(designed("package.module:Mine"))["HEM_STRATEGY"] == "package.module:Mine"


def test_lines_say_the_field_that_they_come_from() -> None:
    document = designed("speculative", cloud={"model": VLLM})
    document["spec"]["timeouts"] = {"cloud": 30}
    text = to_text(read(document).documents)
    mining = "spec.edgeWorker.hardExampleMining"
    for line in (
        f"- name: MINING_MODE  # {mining}.miningMode",
        f"- name: HEM_STRATEGY  # {mining}.strategy",
        f"- --url={VLLM['url']}  # spec.cloudWorker.model.url",
        "- --upstream_model=big  # spec.cloudWorker.model.name",
        "- name: PREDICTOR_API_KEY  # spec.cloudWorker.model.secret",
        "- name: PREDICTOR_TIMEOUT  # spec.timeouts.cloud",
    ):
        assert line in text


MINING = "spec.edgeWorker.hardExampleMining"


@pytest.mark.parametrize(
    ("document", "fault"),
    [
        (
            spec(edge={"hardExampleMining": {"miningMode": "self-design"}}),
            f"{MINING}: has miningMode self-design, which needs a strategy",
        ),
        (
            spec(edge={"hardExampleMining": {"strategy": "refine"}}),
            f"{MINING}: has a strategy, which needs miningMode: self-design",
        ),
        (designed("refined"), f"{MINING}.strategy.name: unknown strategy 'refined'; known: refine"),
        (
            designed({"name": "refine", "parameters": [{"name": "prompt", "value": "{query}"}]}),
            f"{MINING}.strategy.parameters: refine: parameter 'prompt' can't be '{{query}}'",
        ),
        (
            designed({"name": "refine", "parameters": [{"name": "words", "value": "a"}]}),
            f"{MINING}.strategy.parameters: refine has no parameter 'words'",
        ),
        (designed(threshold=0.5), f"{MINING}.threshold: is an algorithm's, and there is none"),
        (
            designed("speculative", name="ConfidenceRouter", threshold=0.5),
            f"{MINING}.name: ConfidenceRouter mines the answer, and the strategy speculative",
        ),
        (
            designed("speculative", cloud={"inferenceConfig": {"engine": "ollama"}}),
            "spec.cloudWorker.inferenceConfig.engine: 'ollama' checks no drafts",
        ),
        (
            designed(
                "speculative",
                cloud={
                    "model": {"name": "m", "url": "http://t:8000"},
                    "inferenceConfig": {"engine": "triton"},
                },
            ),
            "spec.cloudWorker.inferenceConfig.engine: 'triton' checks no drafts",
        ),
        (
            designed("speculative", cloud={"sampling": {"temperature": 1.0}}),
            "spec.edgeWorker.sampling: is not the cloudWorker's",
        ),
        (
            spec(edge={"inferenceConfig": {"engine": "speculative"}}),
            "spec.edgeWorker.inferenceConfig.engine: 'speculative' asks the cloud itself",
        ),
        (
            spec(cloud={"inferenceConfig": {"engine": "speculative"}}),
            "spec.cloudWorker.inferenceConfig.engine: 'speculative' asks the cloud itself",
        ),
    ],
)
def test_what_contradicts_itself_is_an_error_that_names_the_field(
    document: Object, fault: str
) -> None:
    assert [each for each in told(read(document), "error") if each.startswith(fault)]


def test_an_edge_of_another_engine_can_not_ask_itself() -> None:
    document = designed("speculative")
    document["spec"]["edgeWorker"]["inferenceConfig"] = {"engine": "huggingface"}
    (fault,) = told(read(document), "error")
    assert "'huggingface' asks no cloud itself; leave it out" in fault


def test_a_strategy_needs_both_sides() -> None:
    document = designed()
    del document["spec"]["cloudWorker"]
    (fault,) = told(read(document), "error")
    assert "there is no cloudWorker" in fault


def test_a_class_that_answers_too_late_to_be_at_the_edge_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(CODE)
    document = designed({"name": "Late", "source": "mine.py"})
    (fault,) = told(read(document, folder=tmp_path), "error")
    assert "with at_edge its stage must be 'query'" in fault


def test_an_algorithm_and_a_strategy_of_ones_own_share_a_file(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(CODE)
    strategy = {"name": "Short", "source": "mine.py"}
    document = designed(strategy, name="Hard", source="other.py")
    (fault,) = told(read(document, folder=tmp_path), "error")
    assert fault.startswith(f"{MINING}.strategy.source: 'mine.py' is another file")


def test_a_classifier_has_no_words_to_ask_in() -> None:
    document = designed()
    document["spec"]["edgeWorker"]["model"] = {"file": "digits:edge"}
    document["spec"]["cloudWorker"]["model"] = {"file": "digits:cloud"}
    faults = told(read(document), "error")
    assert [each for each in faults if "asks the cloud in words" in each]


def test_the_mode_of_a_pods_template_needs_its_strategy_too() -> None:
    document = spec()
    env = [{"name": "MINING_MODE", "value": "self-design"}]
    template = {"spec": {"containers": [{"name": "x", "env": env}]}}
    document["spec"]["edgeWorker"]["template"] = yaml.safe_load(yaml.safe_dump(template))
    (fault,) = told(read(document), "error")
    assert "needs a strategy" in fault
