"""Who wins: --set, the manifest, the shell; and whom a variable of the shell reaches."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from inferencegraph.local.containers import with_own_images
from inferencegraph.local.overrides import overridden
from inferencegraph.local.plan import Component, plan
from inferencegraph.spec.examples import example
from predictors.errors import ConfigurationError
from transformers_hem.versions.folder import Versions
from transformers_hem.versions.record import Origin

QUERY, ANSWER = "mining-then-inference", "inference-then-mining"


def changed(
    *settings: str,
    router: str | None = None,
    shell: dict[str, str] | None = None,
    mode: str = QUERY,
    documents: Sequence[dict[str, Any]] | None = None,
    images: Sequence[str] = (),
) -> tuple[dict[str, Component], list[str]]:
    """The components by name, and the notes."""
    table = with_own_images(images)
    given = documents or list(example(mode).values())
    made, notes = overridden(given, table, settings, router, shell or {})
    components = plan(made, [], [], table, iter(range(20_001, 20_100))).components
    return {item.name: item for item in components}, notes


def service(name: str, *args: str, image: str = "kserve-hem-predictor", **env: str) -> Any:
    pairs = [{"name": key, "value": value} for key, value in env.items()]
    container = {"name": "kserve-container", "image": image, "args": list(args), "env": pairs}
    return {
        "kind": "InferenceService",
        "metadata": {"name": name},
        "spec": {"predictor": {"containers": [container]}},
    }


def test_an_option_replaces_the_manifests() -> None:
    components, _ = changed("qa-uplink.url=https://cloud.example/x=y")
    urls = [word for word in components["qa-uplink"].command if word.startswith("--url")]
    assert urls == ["--url=https://cloud.example/x=y"]


@pytest.mark.parametrize("args", [("--url=http://a",), ("--url", "http://a"), ()])
def test_an_option_replaces_it_in_either_spelling(args: tuple[str, ...]) -> None:
    up = service("up", "--engine=kserve", *args, "--upstream_model=m")
    components, _ = changed("up.url=http://b", documents=[up])
    command = components["up"].command
    assert "http://a" not in " ".join(command)
    assert "--url=http://b" in command
    assert "--upstream_model=m" in command


@pytest.mark.parametrize("name", ["temperature", "PREDICTOR_TEMPERATURE"])
def test_an_option_and_its_variable_are_the_same(name: str) -> None:
    components, _ = changed(f"qa-edge.{name}=0.7")
    # Said as an option, which wins over the variable that the manifest sets.
    assert "--temperature=0.7" in components["qa-edge"].command


@pytest.mark.parametrize("name", ["threshold", "HEM_THRESHOLD"])
@pytest.mark.parametrize(
    ("mode", "service_name", "component"),
    [
        (QUERY, "qa-hem", "qa-hem"),
        (ANSWER, "qa-edge", "qa-edge-transformer"),
        (ANSWER, "qa-edge-transformer", "qa-edge-transformer"),
    ],
)
def test_a_setting_of_mining_reaches_who_mines(
    name: str, mode: str, service_name: str, component: str
) -> None:
    components, _ = changed(f"{service_name}.{name}=0.3", mode=mode)
    assert components[component].environment["HEM_THRESHOLD"] == "0.3"
    others = [item for key, item in components.items() if key != component]
    assert not any("HEM_THRESHOLD" in item.environment for item in others)


def test_a_cluster_address_in_a_setting_is_read_as_in_a_manifest() -> None:
    components, _ = changed("qa-uplink.url=http://qa-edge-predictor")
    assert f"--url={components['qa-edge'].url}" in components["qa-uplink"].command


def test_a_foreign_variable_and_a_foreign_option_reach_their_container() -> None:
    images = ("mine=python serve.py",)
    components, _ = changed(
        "a.LOG_LEVEL=debug",
        "a.max-model-len=9",
        documents=[service("a", "--max-model-len=5", image="mine")],
        images=images,
    )
    assert components["a"].environment["LOG_LEVEL"] == "debug"
    assert "--max-model-len=9" in components["a"].command
    assert "--max-model-len=5" not in components["a"].command


def test_another_engine_brings_its_own_options() -> None:
    components, _ = changed("qa-edge.url=http://b/v1", "qa-edge.engine=openai_api")
    command = components["qa-edge"].command
    assert {"--engine=openai_api", "--url=http://b/v1"} <= set(command)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("qa-uplink", "is not SERVICE.NAME=VALUE"),
        ("qa-uplink.url", "is not SERVICE.NAME=VALUE"),
        ("url=x", "is not SERVICE.NAME=VALUE"),
        (".url=x", "is not SERVICE.NAME=VALUE"),
        ("qa-uplink.=x", "is not SERVICE.NAME=VALUE"),
        ("qa-uplink.--url=x", "is not SERVICE.NAME=VALUE"),
        ("qa-up.url=x", "unknown service; known: .*did you mean 'qa-uplink'"),
        ("qa-uplink.ulr=x", "no such setting; did you mean 'url'"),
        ("qa-hem.HEM_TRESHOLD=1", "no such setting; did you mean 'threshold'"),
        ("qa-hem.PREDICTOR_URL=1", "no such setting"),
        ("qa-edge.http_port=1", "chooses the ports"),
    ],
)
def test_a_wrong_setting_is_refused_with_the_way_out(setting: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        changed(setting)


def test_an_option_of_kserves_own_is_taken() -> None:
    components, _ = changed("qa-edge.max_threads=2")
    assert "--max_threads=2" in components["qa-edge"].command


def test_a_router_brings_its_algorithm_and_threshold() -> None:
    before, _ = changed(mode=ANSWER)
    assert before["qa-edge-transformer"].environment["HEM_ALGORITHM"] == "ConfidenceRouter"
    assert "HEM_THRESHOLD" in before["qa-edge-transformer"].environment
    after, _ = changed(router="embedded:combined", mode=ANSWER)
    given = after["qa-edge-transformer"].environment
    assert given["HEM_ROUTER"] == "embedded:combined"
    assert given["HEM_ALGORITHM"] == "CombinedRouter"
    assert "HEM_THRESHOLD" not in given


def test_of_a_folder_of_versions_each_brings_its_own_algorithm(tmp_path: Path) -> None:
    added = Origin(how="added")
    Versions.at(tmp_path).promote("embedded:linear", added, "the first", None, how="added")
    given = changed(router=str(tmp_path))[0]["qa-hem"].environment
    assert given["HEM_ROUTER"] == str(tmp_path)
    assert "HEM_ALGORITHM" not in given


def test_a_threshold_of_the_callers_stays_with_the_router() -> None:
    components, _ = changed("qa-hem.threshold=0.2", router="embedded:general")
    assert components["qa-hem"].environment["HEM_THRESHOLD"] == "0.2"


@pytest.mark.parametrize(
    ("router", "mode", "message"),
    [
        ("/no/such", QUERY, "no router in /no/such"),
        ("embedded:lin", QUERY, "did you mean 'embedded:linear'"),
        ("s3://bucket/router", QUERY, "must be mounted first"),
        ("embedded:linear", ANSWER, "LinearRouter is for mining-then-inference, but"),
    ],
)
def test_a_router_that_does_not_fit_is_refused(router: str, mode: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        changed(router=router, mode=mode)


def test_a_router_without_mining_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="no service here mines"):
        changed(router="embedded:linear", documents=[service("a", "--engine=recorded")])


def test_a_variable_of_the_shell_reaches_who_takes_it() -> None:
    shell = {"PREDICTOR_RETRIES": "0", "HEM_THRESHOLD": "0.7", "PREDICTOR_TOP_P": "0.5"}
    components, notes = changed(shell=shell)
    assert components["qa-uplink"].environment["PREDICTOR_RETRIES"] == "0"
    assert components["qa-hem"].environment["HEM_THRESHOLD"] == "0.7"
    assert "HEM_THRESHOLD" not in components["qa-uplink"].environment
    assert "PREDICTOR_RETRIES" not in components["qa-edge"].environment  # it calls nobody
    assert components["qa-cloud"].environment["PREDICTOR_TOP_P"] == "0.5"
    assert notes == []


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("PREDICTOR_TEMPERATURE", "0.5", r"qa-edge \(0\).*--set qa-edge.temperature=0.5"),
        ("PREDICTOR_URL", "http://x", r"qa-uplink \(http://qa-cloud-predictor\).*qa-uplink.url="),
        ("PREDICTOR_ENGINE", "vllm", r"contradicts the manifest of qa-edge"),
        ("HEM_ROUTER", "my-router", "--router my-router"),
        ("HEM_ALGORITHM", "KernelRouter", "--set qa-hem.algorithm=KernelRouter"),
        ("MINING_MODE", ANSWER, "--set qa-hem.mining_mode"),
        ("HEM_TRESHOLD", "0.5", "did you mean HEM_THRESHOLD"),
        ("PREDICTOR_MAX_TOKEN", "5", "did you mean PREDICTOR_MAX_TOKENS"),
    ],
)
def test_a_variable_that_contradicts_is_refused_by_name(
    variable: str, value: str, message: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"^{variable}.*{message}"):
        changed(shell={variable: value})


def test_a_secret_is_not_printed() -> None:
    up = service("up", "--engine=openai_api", PREDICTOR_API_KEY="sk-theirs")
    with pytest.raises(ConfigurationError) as refused:
        changed(documents=[up], shell={"PREDICTOR_API_KEY": "sk-mine"})
    assert "sk-" not in str(refused.value)
    with pytest.raises(ConfigurationError) as refused:
        changed("up.url://user:pass@host")
    assert "pass" not in str(refused.value)


@pytest.mark.parametrize(
    "shell",
    [
        {"PREDICTOR_TEMPERATURE": "0.0"},  # the same number
        {"PREDICTOR_TEMPERATURE": ""},  # as if unset
        {"HEM_ROUTER": "embedded:linear"},
        {"MINING_MODE": QUERY},
    ],
)
def test_a_variable_that_says_the_same_is_no_contradiction(shell: dict[str, str]) -> None:
    changed(shell=shell)


def test_a_setting_wins_over_the_shell() -> None:
    components, _ = changed("qa-hem.router=embedded:best", shell={"HEM_ROUTER": "mine"})
    assert components["qa-hem"].environment["HEM_ROUTER"] == "embedded:best"


def test_a_variable_that_nobody_takes_is_noted() -> None:
    _, notes = changed(shell={"HEM_SOAK_SECONDS": "3", "PATH": "/bin"})
    assert notes == ["HEM_SOAK_SECONDS of your shell is no setting of a service here; none gets it"]


def test_a_secrets_value_still_comes_from_the_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    up = service("up", "--engine=openai_api")
    secret = {"secretKeyRef": {"name": "s", "key": "k"}}
    env = up["spec"]["predictor"]["containers"][0]["env"]
    env.append({"name": "PREDICTOR_API_KEY", "valueFrom": secret})
    monkeypatch.setenv("PREDICTOR_API_KEY", "sk-mine")
    components, _ = changed(documents=[up], shell={"PREDICTOR_API_KEY": "sk-mine"})
    assert components["up"].environment["PREDICTOR_API_KEY"] == "sk-mine"


def test_the_callers_documents_stay_as_they_are() -> None:
    documents = list(example(QUERY).values())
    before = repr(documents)
    changed("qa-uplink.url=http://x", router="embedded:general", documents=documents)
    assert repr(documents) == before
