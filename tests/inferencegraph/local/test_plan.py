"""What `hem up` makes of manifests: commands, environments, ports and addresses."""

import sys
from pathlib import Path
from typing import Any

import pytest

from inferencegraph.local.containers import (
    LOCAL_COMMANDS,
    LocalCommand,
    image_name,
    manifest_environment,
    model_directory,
    process_environment,
    with_own_images,
)
from inferencegraph.local.placement import Addresses, host_names
from inferencegraph.local.plan import Component, Plan, own_commands, plan
from inferencegraph.read.documents import MANIFESTS
from inferencegraph.read.kustomize import load
from predictors.errors import ConfigurationError


def service(
    name: str, container: dict[str, Any], transformer: dict[str, Any] | None = None
) -> dict[str, Any]:
    spec: dict[str, Any] = {"predictor": {"containers": [container]}}
    if transformer is not None:
        spec["transformer"] = {"containers": [transformer]}
    return {"kind": "InferenceService", "metadata": {"name": name}, "spec": spec}


def container(*args: str, env: dict[str, str] | None = None, **fields: Any) -> dict[str, Any]:
    pairs = [{"name": name, "value": value} for name, value in (env or {}).items()]
    image = "registry:5000/team/kserve-hem-predictor:0.1"
    return {"name": "kserve-container", "image": image, "args": list(args), "env": pairs, **fields}


def planned(*documents: dict[str, Any], images: tuple[str, ...] = ()) -> Plan:
    return plan(documents, [], [], with_own_images(images), iter(range(20_001, 20_100)))


def component(made: Plan, name: str) -> Component:
    return next(item for item in made.components if item.name == name)


def test_a_custom_predictor_gets_what_its_manifest_says_and_its_ports_last() -> None:
    made = planned(service("a", container("--model_name", "a", "--http_port", "8080")))
    assert component(made, "a").command == (
        *(sys.executable, "-P", "-m", "predictors", "--model_name", "a", "--http_port", "8080"),
        *("--http_port", "20001", "--grpc_port", "20002"),
    )


def test_a_transformer_gets_its_model_name_and_its_predictor_from_kserve() -> None:
    made = planned(service("a", container(), container(image="kserve-hem-transformer")))
    command = component(made, "a-transformer").command
    assert command[:4] == (sys.executable, "-P", "-m", "transformers_hem")
    assert command[4:8] == ("--model_name", "a", "--predictor_host", "127.0.0.1:20001")


def test_a_transformer_keeps_the_model_name_it_was_given() -> None:
    own = container("--model_name=mine", image="kserve-hem-transformer")
    command = component(planned(service("a", container(), own)), "a-transformer").command
    assert "--model_name=mine" in command
    assert "--model_name" not in command


def test_a_service_with_a_transformer_is_asked_through_it() -> None:
    two = container(env={"PROTOCOL": "v2"})
    made = planned(service("a", two, container(image="kserve-hem-transformer")))
    assert made.infer_urls == {"a": "http://127.0.0.1:20003/v2/models/a/infer"}


def test_without_protocol_a_service_is_asked_by_v1_as_kserve_does() -> None:
    made = planned(service("a", container()))
    assert made.infer_urls == {"a": "http://127.0.0.1:20001/v1/models/a:predict"}


def test_the_addresses_of_other_services_become_local_ones() -> None:
    asking = container(
        "--url=http://far-predictor.default.svc.cluster.local:80/v2",
        env={"HEM_CLOUD_URL": "http://far-predictor", "OTHER": "http://elsewhere.example/far"},
    )
    made = component(planned(service("near", asking), service("far", container())), "near")
    assert "--url=http://127.0.0.1:20003/v2" in made.command
    assert made.environment["HEM_CLOUD_URL"] == "http://127.0.0.1:20003"
    assert made.environment["OTHER"] == "http://elsewhere.example/far"


def test_a_graphs_own_urls_become_local_ones_too() -> None:
    step = {"name": "a", "serviceUrl": "http://far-predictor.default.svc.cluster.local/v2/x"}
    nodes = {"root": {"routerType": "Sequence", "steps": [step]}}
    graph = {"kind": "InferenceGraph", "metadata": {"name": "g"}, "spec": {"nodes": nodes}}
    services = [service("far", container()), service("near", container("--url=http://g"))]
    made = plan(services, [graph], [8080], LOCAL_COMMANDS, iter(range(20_001, 20_100)))
    assert made.graphs[0]["spec"]["nodes"]["root"]["steps"][0]["serviceUrl"] == (
        "http://127.0.0.1:20001/v2/x"
    )
    assert "--url=http://127.0.0.1:8080" in component(made, "near").command
    assert step["serviceUrl"].startswith("http://far-predictor")


def test_a_collocated_transformer_takes_the_traffic_and_finds_its_predictor() -> None:
    model = container("--http_port=8085", env={"PROTOCOL": "v2"})
    hem = container(
        "--predictor_host=localhost:8085",
        name="transformer-container",
        image="kserve-hem-predictor",
    )
    pod = {"containers": [model, hem]}
    document = {"kind": "InferenceService", "metadata": {"name": "a"}, "spec": {"predictor": pod}}
    made = planned(document)
    assert made.infer_urls["a"].startswith("http://127.0.0.1:20003/")
    assert "--predictor_host=127.0.0.1:20001" in component(made, "a-transformer").command


def triton(*args: str, **fields: Any) -> dict[str, Any]:
    words = ("--model-repository=/mnt/models", "--http-port=8080", "--grpc-port=9000", *args)
    return container(*words, image="nvcr.io/nvidia/tritonserver:25.10-py3", **fields)


@pytest.mark.parametrize("word", [{}, {"command": ["tritonserver"]}, {"args": ["tritonserver"]}])
def test_tritons_image_is_the_local_binary_with_ports_and_models_of_here(
    tmp_path: Path, word: dict[str, Any]
) -> None:
    given = triton(env={"STORAGE_URI": f"file://{tmp_path}"})
    given |= {**word, "args": [*word.get("args", []), *given["args"]]}
    command = component(planned(service("far", given)), "far").command
    assert command == (
        *(sys.executable, "-P", "-m", "inferencegraph.local.tritonserver"),
        *("--allow-metrics=false", f"--model-repository={tmp_path}"),
        *("--http-port=8080", "--grpc-port=9000"),
        *("--http-address", "127.0.0.1", "--grpc-address", "127.0.0.1"),
        *("--http-port", "20001", "--grpc-port", "20002"),
    )


def test_an_image_that_carries_its_models_finds_them_here() -> None:
    images = {"tritonserver": LocalCommand(("run",), models="/usr/share/digits")}
    made = plan([service("far", triton())], [], [], images, iter(range(20_001, 20_100)))
    assert "--model-repository=/usr/share/digits" in component(made, "far").command


def test_a_port_that_speaks_grpc_is_that_port_here() -> None:
    asking = container("--url=far-predictor.default:9000", "--other=http://far:80/x")
    made = planned(service("near", asking), service("far", triton()))
    command = component(made, "near").command
    assert "--url=127.0.0.1:20004" in command
    assert "--other=http://127.0.0.1:20003/x" in command


def test_a_triton_beside_its_predictor_is_found_on_localhost() -> None:
    pod = {"containers": [container("--url=localhost:9000"), triton(name="triton")]}
    document = {"kind": "InferenceService", "metadata": {"name": "a"}, "spec": {"predictor": pod}}
    made = planned(document)
    assert "--url=127.0.0.1:20004" in component(made, "a").command
    assert component(made, "a-triton").port == 20_003


@pytest.mark.parametrize("host", host_names("far", "site"))
def test_every_dns_name_of_a_service_is_known(host: str) -> None:
    addresses = Addresses(dict.fromkeys(host_names("far", "site"), 7), {})
    assert addresses.localize(f"http://{host}:80/x?y=1") == "http://127.0.0.1:7/x?y=1"


@pytest.mark.parametrize("text", ["far", "--model_name=far", "far/away", "http://far.other/x"])
def test_a_name_that_is_no_address_stays(text: str) -> None:
    assert Addresses({"far": 7}, {}).localize(text) == text


def test_the_settings_of_the_callers_shell_stay_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREDICTOR_TEMPERATURE", "2")
    monkeypatch.setenv("HEM_THRESHOLD", "0")
    environment = component(planned(service("a", container())), "a").environment
    assert "PREDICTOR_TEMPERATURE" not in environment
    assert "HEM_THRESHOLD" not in environment
    assert environment["PATH"]


def test_threads_are_capped_to_a_share_of_the_machine() -> None:
    asking = container(env={"OMP_NUM_THREADS": "512"})
    services = [service(name, asking) for name in ("a", "b")]
    assert int(component(planned(*services), "a").environment["OMP_NUM_THREADS"]) < 512


def test_references_to_variables_are_expanded_as_kubernetes_does() -> None:
    made = component(planned(service("a", container("--x=$(X)-$(NO)", env={"X": "1"}))), "a")
    assert "--x=1-$(NO)" in made.command


def test_a_value_from_a_secret_comes_from_the_callers_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    secret = {"name": "API_KEY", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}
    with pytest.raises(ConfigurationError, match="export API_KEY"):
        manifest_environment({"env": [secret]}, "a")
    monkeypatch.setenv("API_KEY", "k")
    assert manifest_environment({"env": [secret]}, "a") == {"API_KEY": "k"}


def test_storage_is_mounted_where_the_manifest_expects_it(tmp_path: Path) -> None:
    stored = container("--model_dir=/mnt/models", env={"STORAGE_URI": f"file://{tmp_path}"})
    assert f"--model_dir={tmp_path}" in component(planned(service("a", stored)), "a").command
    assert model_directory("hf://org/model", "a") == "org/model"


@pytest.mark.parametrize("uri", ["s3://bucket/model", "file:///no/such/model", "models/a"])
def test_storage_that_is_not_here_is_refused_by_name(uri: str) -> None:
    with pytest.raises(ConfigurationError, match=uri):
        model_directory(uri, "service a")


def test_an_image_without_a_local_command_is_refused_with_the_way_out() -> None:
    foreign = container(image="ghcr.io/team/llama:1")
    with pytest.raises(ConfigurationError, match=r"'ghcr.io/team/llama:1'.*--image llama="):
        planned(service("a", foreign))
    made = planned(service("a", foreign), images=("llama=python serve.py --fast",))
    assert component(made, "a").command[:3] == (sys.executable, "serve.py", "--fast")


def test_a_container_command_replaces_the_entrypoint() -> None:
    own = container("--x", command=["python", "-m", "predictors.special"])
    command = component(planned(service("a", own)), "a").command
    assert command[:4] == (sys.executable, "-m", "predictors.special", "--x")


def test_an_unknown_image_runs_by_its_containers_own_command() -> None:
    own = service("a", container("--x", image="r/team/own:1", command=["python", "serve.py"]))
    command = component(planned(own), "a").command
    assert command[:3] == (sys.executable, "serve.py", "--x")
    assert command[3:] == ("--http_port", "20001", "--grpc_port", "20002")
    (note,) = own_commands([own], LOCAL_COMMANDS)
    assert note.startswith("a: python serve.py runs here, on this machine, in place of the image")
    assert own_commands([service("a", container())], LOCAL_COMMANDS) == []


@pytest.mark.parametrize(
    ("image", "command", "message"),
    [
        ("r/team/own:1", ["no-such-program"], "'no-such-program' is not on this machine; give one"),
        ("vllm/vllm-openai:v1", ["python3", "-m", "vllm"], "no local command for image 'vllm/"),
        ("ollama/ollama:rocm", ["/bin/sh", "-c", "ollama serve"], "--image ollama='COMMAND'"),
    ],
)
def test_a_command_that_is_only_in_its_image_is_refused(
    image: str, command: list[str], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        planned(service("a", container(image=image, command=command)))


def test_what_the_caller_names_for_an_image_stands_in_place_of_its_command_too() -> None:
    engine = service("a", container("--x", image="ollama/ollama", command=["/bin/sh", "-c", "x"]))
    given = ("ollama=python serve.py",)
    assert component(planned(engine, images=given), "a").command[1:3] == ("serve.py", "--x")


def test_a_serving_runtimes_model_is_refused() -> None:
    model = {"predictor": {"model": {"modelFormat": {"name": "huggingface"}}}}
    document = {"kind": "InferenceService", "metadata": {"name": "a"}, "spec": model}
    with pytest.raises(ConfigurationError, match="'a': its predictor has no containers"):
        planned(document)


def test_image_names_lose_registry_tag_and_digest() -> None:
    assert image_name("r:5000/a/b:1") == image_name("b@sha256:0f") == image_name("b") == "b"
    assert all(image_name(name) == name for name in LOCAL_COMMANDS)


def test_readiness_is_the_containers_own_probe() -> None:
    probe = {"httpGet": {"path": "/healthz", "port": 8080}}
    probed = service("a", container(readinessProbe=probe))
    assert component(planned(probed), "a").ready_path == "/healthz"
    assert component(planned(service("b", container())), "b").ready_path == "/v2/models/b/ready"


@pytest.mark.parametrize("mode", ["mining-then-inference", "inference-then-mining"])
def test_the_shipped_example_can_run_here(mode: str) -> None:
    documents = load(MANIFESTS / "answer-generation" / mode)
    graphs = [document for document in documents if document["kind"] == "InferenceGraph"]
    made = plan(documents, graphs, [8080], LOCAL_COMMANDS, iter(range(20_001, 20_100)))
    uplink, cloud = component(made, "qa-uplink"), component(made, "qa-cloud")
    assert any(cloud.url in word for word in uplink.command)
    assert {"qa-edge", "qa-uplink"} <= set(made.infer_urls)


def test_the_format_of_logs_alone_of_our_variables_reaches_every_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HEM_LOG_FORMAT", "json")
    monkeypatch.setenv("HEM_THRESHOLD", "0.9")
    environment = process_environment({"PROTOCOL": "v2"}, 1)
    assert environment["HEM_LOG_FORMAT"] == "json"
    assert "HEM_THRESHOLD" not in environment
    assert process_environment({"HEM_LOG_FORMAT": "text"}, 1)["HEM_LOG_FORMAT"] == "text"
