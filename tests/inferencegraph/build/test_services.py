"""What the InferenceServices of a site say to KServe and to our processes."""

from typing import Any

import pytest

from inferencegraph.build.mining import ANSWER_STAGE, QUERY_STAGE, Mining
from inferencegraph.build.pods import (
    EdgeNode,
    Images,
    Resources,
)
from inferencegraph.build.services import (
    cloud_service,
    edge_service,
    hem_service,
    site_manifests,
    uplink_service,
)
from inferencegraph.build.sites import CloudAddress, Model, Site, Timeouts, predictor_url
from predictors.contract import Sampling
from predictors.errors import ConfigurationError

SITE = Site("qa-shop", node=EdgeNode("shop-7"))
MODEL = Model(Resources("1500m", "2Gi"), directory="embedded:edge")
CLOUD = CloudAddress(predictor_url("qa-cloud"), "qa-cloud", Sampling(temperature=0.0))


def _container(service: dict[str, Any], role: str = "predictor") -> dict[str, Any]:
    (container,) = service["spec"][role]["containers"]
    return container


def _environment(container: dict[str, Any]) -> dict[str, str]:
    return {entry["name"]: entry["value"] for entry in container["env"]}


@pytest.mark.parametrize("mode", [QUERY_STAGE, ANSWER_STAGE])
def test_every_container_speaks_v2_under_its_services_name(mode: str) -> None:
    mining = Mining(mode, "EdgeOnly")
    services = site_manifests(SITE, MODEL, mining, CLOUD)[:-1]
    for service in services:
        name = service["metadata"]["name"]
        for role in service["spec"]:
            container = _container(service, role)
            assert f"--model_name={name}" in container["args"]
            assert _environment(container)["PROTOCOL"] == "v2"
            ready = container["readinessProbe"]["httpGet"]["path"]
            assert ready == f"/v2/models/{name}/ready"
            assert container["livenessProbe"]["httpGet"]["path"] == "/v2/health/live"
            context = container["securityContext"]
            assert context["runAsNonRoot"] is True
            assert context["allowPrivilegeEscalation"] is False
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert context["seccompProfile"] == {"type": "RuntimeDefault"}
            assert "containerConcurrency" not in service["spec"][role]


@pytest.mark.parametrize("mode", [QUERY_STAGE, ANSWER_STAGE])
def test_everything_of_a_site_is_pinned_to_its_node(mode: str) -> None:
    *services, graph = site_manifests(SITE, MODEL, Mining(mode, "EdgeOnly"), CLOUD)
    pods = [component for service in services for component in service["spec"].values()]
    for pod in [*pods, graph["spec"]]:
        assert pod["nodeSelector"]["kubernetes.io/hostname"] == "shop-7"


def test_the_query_stage_has_a_service_for_mining_and_the_answer_stage_a_transformer() -> None:
    names = {}
    for mode in (QUERY_STAGE, ANSWER_STAGE):
        manifests = site_manifests(SITE, MODEL, Mining(mode, "EdgeOnly"), CLOUD)
        names[mode] = [(m["metadata"]["name"], sorted(m["spec"])) for m in manifests[:-1]]
    assert names[QUERY_STAGE] == [
        ("qa-shop-edge", ["predictor"]),
        ("qa-shop-hem", ["predictor"]),
        ("qa-shop-uplink", ["predictor"]),
    ]
    assert names[ANSWER_STAGE] == [
        ("qa-shop-edge", ["predictor", "transformer"]),
        ("qa-shop-uplink", ["predictor"]),
    ]


def test_the_cloud_goes_wherever_there_is_room() -> None:
    cloud = cloud_service("qa-cloud", MODEL, Images())
    assert "nodeSelector" not in cloud["spec"]["predictor"]


def test_hem_gets_its_algorithm_router_and_threshold() -> None:
    mining = Mining(
        QUERY_STAGE,
        "LinearRouter",
        router="embedded:linear",
        threshold=0.35,
        parameters={"length": 3},
    )
    environment = _environment(_container(hem_service(SITE, mining)))
    assert environment == {
        "PROTOCOL": "v2",
        "MINING_MODE": "mining-then-inference",
        "HEM_ALGORITHM": "LinearRouter",
        "HEM_ROUTER": "embedded:linear",
        "HEM_THRESHOLD": "0.35",
        "HEM_PARAMETERS": '{"length": 3}',
        "HEM_API_KEYS_FILE": "/etc/hem/keys/keys",
        "HEM_EDGE_URL": "http://qa-shop-edge-predictor",
        "HEM_CLOUD_URL": "http://qa-shop-uplink-predictor",
    }


def test_without_a_threshold_the_routers_own_holds() -> None:
    environment = _environment(_container(hem_service(SITE, Mining(QUERY_STAGE, "LinearRouter"))))
    assert "HEM_THRESHOLD" not in environment


def test_an_uplink_gives_up_before_the_graph_does_and_samples_as_the_cloud() -> None:
    site = Site("qa", timeouts=Timeouts(cloud_connect=1.5, cloud=30))
    container = _container(uplink_service(site, CLOUD))
    assert container["args"] == [
        "--model_name=qa-uplink",
        "--engine=kserve",
        "--url=http://qa-cloud-predictor",
        "--upstream_model=qa-cloud",
    ]
    environment = _environment(container)
    assert environment["PREDICTOR_CONNECT_TIMEOUT"] == "1.5"
    assert environment["PREDICTOR_TIMEOUT"] == "30"
    assert environment["PREDICTOR_TEMPERATURE"] == "0"


def test_sampling_that_is_the_contracts_own_is_not_repeated() -> None:
    sampling = Sampling(max_tokens=64, temperature=0.0, stop=("\n", "Q:"), seed=7)
    model = Model(MODEL.resources, directory="embedded:edge", sampling=sampling)
    environment = _environment(_container(edge_service(SITE, model)))
    assert environment == {
        "PROTOCOL": "v2",
        "PREDICTOR_MAX_TOKENS": "64",
        "PREDICTOR_TEMPERATURE": "0",
        "PREDICTOR_STOP": '["\\n", "Q:"]',
        "PREDICTOR_SEED": "7",
        "OMP_NUM_THREADS": "1",
    }


def test_a_model_from_storage_is_mounted_where_kserve_puts_it() -> None:
    model = Model(
        MODEL.resources, storage_uri="pvc://models/qwen", engine="vllm", arguments=("--x=1",)
    )
    container = _container(edge_service(SITE, model))
    assert _environment(container)["STORAGE_URI"] == "pvc://models/qwen"
    assert container["args"][1:] == ["--engine=vllm", "--model_dir=/mnt/models", "--x=1"]


@pytest.mark.parametrize("both", [{}, {"directory": "a", "storage_uri": "pvc://b"}], ids=str)
def test_a_model_has_one_place(both: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="either a directory or a storage_uri"):
        Model(MODEL.resources, **both)


def test_an_unknown_mining_mode_is_refused() -> None:
    with pytest.raises(
        ConfigurationError, match="unknown mining mode 'mine-first'; known: inference"
    ):
        Mining("mine-first", "EdgeOnly")


@pytest.mark.parametrize(("cpu", "threads"), [("250m", 1), ("1500m", 1), ("2", 2), ("3.5", 3)])
def test_a_model_uses_no_more_threads_than_it_has_cpus(cpu: str, threads: int) -> None:
    assert Resources(cpu, "1Gi").threads == threads


def test_gpus_are_requested_where_there_are_some() -> None:
    assert Resources("4", "16Gi", gpus=1).manifest()["limits"]["nvidia.com/gpu"] == "1"
