"""`networkPolicies` of a spec: who may talk to whom, by the labels that KServe gives pods."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from inferencegraph.build.learning import job_of
from inferencegraph.build.network_policies import Destination
from inferencegraph.check.reconciled.site import reconciled
from inferencegraph.spec.resolve.isolation import reached
from predictors.errors import ConfigurationError
from tests.inferencegraph.build.crds import refused
from tests.inferencegraph.spec.documents import Object, errors_of, read, spec, told

HTTP, METRICS_OF_TRITON = 8080, 8002
ANSWER_STAGE = {"name": "ConfidenceRouter", "threshold": 0.5}
SIDECAR = {**ANSWER_STAGE, "placement": "sidecar"}
API: Object = {"model": {"name": "gpt", "url": "https://api.example.com:8443/v1"}}
MONITORING = {"kubernetes.io/metadata.name": "monitoring"}
GATEWAYS = {"kubernetes.io/metadata.name": "gateways"}


@dataclass(frozen=True)
class Pod:
    """`labels` None: an address outside of the cluster."""

    name: str
    labels: Mapping[str, str] | None = None
    namespace: str = "default"


OUTSIDE = Pod("outside")
PROMETHEUS = Pod("prometheus", {}, "monitoring")
GATEWAY = Pod("gateway", {}, "gateways")
STRANGER = Pod("stranger", {"app": "stranger"})


class Cluster:
    """What KServe makes of a spec, and which connections its policies allow, as a network plugin
    judges: where a policy chooses a pod, some rule of one has to allow the connection."""

    def __init__(self, document: Object) -> None:
        found = read(document)
        assert errors_of(found) == []
        contents = [each.content for each in found.documents]
        self.policies = [each for each in contents if each["kind"] == "NetworkPolicy"]
        self.pods = [
            Pod(each["metadata"]["name"], each["spec"]["template"]["metadata"]["labels"])
            for each in reconciled(contents)
            if each["kind"] == "Deployment"
        ]
        self.pods += [
            Pod(each["metadata"]["name"], job["template"]["metadata"]["labels"])
            for each in contents
            if (job := job_of(each)) is not None
        ]

    def allows(self, source: Pod, target: Pod, port: int = HTTP, protocol: str = "TCP") -> bool:
        return self._allowed("egress", source, target, port, protocol) and self._allowed(
            "ingress", target, source, port, protocol
        )

    def _allowed(self, direction: str, pod: Pod, peer: Pod, port: int, protocol: str) -> bool:
        if pod.labels is None or pod.namespace != "default":
            return True
        own = [each["spec"] for each in self.policies if _chooses(each["spec"], pod)]
        assert len(own) <= 1
        if pod in self.pods:
            assert own, f"no policy chooses {pod.name}"
        return not own or any(
            _fits(rule, "from" if direction == "ingress" else "to", peer, port, protocol)
            for rule in own[0][direction]
        )

    def connections(self) -> set[tuple[str, str]]:
        """All that pods of the spec may call of each other."""
        return {
            (a.name, b.name) for a, b in itertools.permutations(self.pods, 2) if self.allows(a, b)
        }

    def pod(self, name: str) -> Pod:
        (found,) = [each for each in self.pods if each.name == name]
        return found


def _chooses(policy: Object, pod: Pod) -> bool:
    return policy["podSelector"]["matchLabels"].items() <= dict(pod.labels or {}).items()


def _fits(rule: Object, side: str, peer: Pod, port: int, protocol: str) -> bool:
    ports = {"protocol": protocol, "port": port}
    if "ports" in rule and ports not in rule["ports"]:
        return False
    return side not in rule or any(_is_peer(each, peer) for each in rule[side])


def _is_peer(selector: Object, peer: Pod) -> bool:
    if peer.labels is None:
        return "ipBlock" in selector
    if "namespaceSelector" in selector:
        own = {"kubernetes.io/metadata.name": peer.namespace}
        return bool(selector["namespaceSelector"]["matchLabels"].items() <= own.items())
    if "podSelector" not in selector or peer.namespace != "default":
        return False
    wanted = selector["podSelector"].get("matchLabels", {})
    return bool(wanted.items() <= dict(peer.labels).items())


def _cluster(edge: Object | None = None, cloud: Object | None = None, **fields: Any) -> Cluster:
    return Cluster(spec(edge=edge, cloud=cloud, **{"networkPolicies": {}, **fields}))


def _site(*pairs: tuple[str, str], site: str = "shop") -> set[tuple[str, str]]:
    names = {
        "graph": site,
        "hem": f"{site}-hem-predictor",
        "edge": f"{site}-edge-predictor",
        "transformer": f"{site}-edge-transformer",
        "uplink": f"{site}-uplink-predictor",
        "cloud": "shop-cloud-predictor",
    }
    return {(names[a], names[b]) for a, b in pairs}


QUERY = [("graph", "hem"), ("graph", "edge"), ("graph", "uplink"), ("uplink", "cloud")]
OF_THE_GATEWAY = [("hem", "edge"), ("hem", "uplink")]
ANSWER = [
    ("graph", "transformer"),
    ("transformer", "edge"),
    ("graph", "uplink"),
    ("uplink", "cloud"),
]
BESIDE = [("graph", "edge"), ("graph", "uplink"), ("uplink", "cloud")]


@pytest.mark.parametrize(
    ("mining", "gateway", "expected"),
    [
        (None, True, [*QUERY, *OF_THE_GATEWAY]),
        (None, False, QUERY),
        (ANSWER_STAGE, True, [*ANSWER, ("transformer", "uplink")]),
        (ANSWER_STAGE, False, ANSWER),
        (SIDECAR, True, [*BESIDE, ("edge", "uplink")]),
        (SIDECAR, False, BESIDE),
    ],
)
def test_pods_of_a_site_call_each_other_as_queries_go(
    mining: Object | None, gateway: bool, expected: list[tuple[str, str]]
) -> None:
    edge = {"hardExampleMining": mining} if mining else {}
    found = _cluster(edge, gateway={"enabled": gateway})
    assert found.connections() == _site(*expected)


def test_sites_don_t_call_each_other_and_share_the_cloud() -> None:
    found = _cluster({"nodes": ["a", "b"]})
    flows = [*QUERY, *OF_THE_GATEWAY]
    assert found.connections() == _site(*flows, site="shop-a") | _site(*flows, site="shop-b")


def test_nothing_leaves_the_edges_model() -> None:
    found = _cluster()
    edge = found.pod("shop-edge-predictor")
    for port, protocol in ((HTTP, "TCP"), (443, "TCP"), (53, "UDP")):
        for peer in (*found.pods, OUTSIDE, STRANGER, PROMETHEUS):
            assert not found.allows(edge, peer, port, protocol)


def test_the_uplink_alone_reaches_the_api_on_its_port() -> None:
    found = _cluster(cloud=API)
    for pod in found.pods:
        is_uplink = pod.name == "shop-uplink-predictor"
        assert found.allows(pod, OUTSIDE, 8443) == is_uplink
        assert not found.allows(pod, OUTSIDE, 443)
        looks_up = pod.name != "shop-edge-predictor"
        assert found.allows(pod, OUTSIDE, 53, "UDP") == looks_up


@pytest.mark.parametrize(
    ("source", "ports", "expected"),
    [
        ({"hub": "org/model"}, None, {443}),
        ({"storageUri": "hf://org/model"}, None, {443}),
        ({"storageUri": "s3://bucket/model"}, [9000, 443], {443, 9000}),
        ({"storageUri": "https://example.com/model.onnx"}, [9000], {443}),
        ({"storageUri": "http://example.com:8000/model.onnx"}, None, {8000}),
        ({"storageUri": "pvc://models/small"}, None, set()),
        ({"storageUri": "oci://example.com/small"}, None, set()),
        ({"file": "embedded:edge"}, None, set()),
        ({"file": "/models/small"}, None, set()),
    ],
)
def test_a_pod_that_fetches_its_model_may_go_out_for_it(
    source: Object, ports: list[int] | None, expected: set[int]
) -> None:
    asked = {"downloadPorts": ports} if ports else {}
    found = _cluster({"model": source}, networkPolicies=asked)
    edge = found.pod("shop-edge-predictor")
    open_ports = {port for port in (80, 443, 8000, 9000) if found.allows(edge, OUTSIDE, port)}
    assert open_ports == expected
    assert found.allows(edge, OUTSIDE, 53, "UDP") == bool(expected)


def test_a_router_and_an_encoder_of_a_hub_are_fetched_by_hem() -> None:
    for mining in (
        {"name": "LinearRouter", "router": "hf://org/router"},
        {"name": "BERTRouter", "parameters": [{"name": "model", "value": "routellm/bert"}]},
    ):
        found = _cluster({"hardExampleMining": mining})
        assert found.allows(found.pod("shop-hem-predictor"), OUTSIDE, 443)
        assert not found.allows(found.pod("shop-edge-predictor"), OUTSIDE, 443)


def test_anybody_may_call_the_doors_and_nobody_else() -> None:
    found = _cluster()
    for pod in found.pods:
        is_door = pod.name in ("shop", "shop-hem-predictor")
        for caller in (OUTSIDE, STRANGER, GATEWAY):
            assert found.allows(caller, pod) == is_door


def test_callers_that_are_named_are_the_only_ones() -> None:
    asked = {"callers": [GATEWAYS], "cloudCallers": [MONITORING]}
    found = _cluster(networkPolicies=asked)
    for pod in found.pods:
        is_door = pod.name in ("shop", "shop-hem-predictor")
        assert found.allows(GATEWAY, pod) == is_door
        assert not found.allows(STRANGER, pod) and not found.allows(OUTSIDE, pod)
        assert found.allows(PROMETHEUS, pod) == (pod.name == "shop-cloud-predictor")


def test_prometheus_reads_what_has_metrics(shared: Path) -> None:
    asked = {"callers": [GATEWAYS], "prometheus": [MONITORING], "controlPlane": ["10.0.0.0/28"]}
    triton = {"model": {"image": "mine"}, "inferenceConfig": {"engine": "triton"}}
    found = _cluster({"hardExampleMining": SIDECAR}, triton, networkPolicies=asked)
    ports = {"shop": [], "shop-edge-predictor": [HTTP, 8085], "shop-uplink-predictor": [HTTP]}
    ports["shop-cloud-predictor"] = [METRICS_OF_TRITON]
    for pod in found.pods:
        for port in (HTTP, 8085, METRICS_OF_TRITON):
            assert found.allows(PROMETHEUS, pod, port) == (port in ports[pod.name])
            assert found.allows(OUTSIDE, pod, port) == (port in ports[pod.name])  # status
    for policy in found.policies:
        assert refused(shared / "crds", policy) == []


def _alone(side: str, **fields: Any) -> Cluster:
    document = spec(networkPolicies=fields)
    del document["spec"]["edgeWorker"]["hardExampleMining"]
    other = {"edge": "cloudWorker", "cloud": "edgeWorker"}[side]
    del document["spec"][other]
    return Cluster(document)


@pytest.mark.parametrize("side", ["edge", "cloud"])
def test_one_side_alone_is_its_own_door(side: str) -> None:
    (pod,) = (found := _alone(side)).pods
    assert found.allows(STRANGER, pod) and not found.allows(pod, OUTSIDE, 443)
    (pod,) = (found := _alone(side, callers=[GATEWAYS])).pods
    assert found.allows(GATEWAY, pod) and not found.allows(STRANGER, pod)


def test_a_cloud_alone_is_for_the_uplinks_of_other_namespaces() -> None:
    found = _alone("cloud", cloudCallers=[GATEWAYS])
    (pod,) = found.pods
    assert found.allows(GATEWAY, pod) and not found.allows(STRANGER, pod)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://api.example.com/v1", Destination(443)),
        ("http://api.example.com", Destination(80)),
        ("http://10.1.2.3:8000/v1", Destination(8000)),
        ("triton.example.com:8001", Destination(8001)),
        ("grpcs://triton.example.com", Destination(443)),
        ("http://qa-cloud-predictor", Destination(namespace="")),
        ("http://qa-cloud-predictor.models.svc", Destination(namespace="models")),
        ("http://qa.models.svc.cluster.local:80/v1", Destination(namespace="models")),
    ],
)
def test_a_service_of_the_cluster_is_told_by_its_name(url: str, expected: Destination) -> None:
    assert reached(url) == expected


def test_a_service_elsewhere_is_its_namespace() -> None:
    elsewhere = {"model": {"name": "large", "url": "http://large.models.svc"}}
    elsewhere["inferenceConfig"] = {"engine": "kserve"}
    found = _cluster(cloud=elsewhere)
    uplink = found.pod("shop-uplink-predictor")
    assert found.allows(uplink, Pod("large", {}, "models"))
    assert not found.allows(uplink, Pod("other", {}, "others"))


def test_a_model_over_several_nodes_talks_to_itself() -> None:
    large = {
        "model": {"storageUri": "pvc://models/large"},
        "resource": {"limits": {"gpus": 2}},
        "inferenceConfig": {
            "engine": "vllm-server",
            "vllmConfig": {"tensorParallelSize": 2, "pipelineParallelSize": 2},
        },
    }
    found = _cluster(cloud=large)
    head, worker = found.pod("shop-cloud-predictor"), found.pod("shop-cloud-predictor-worker")
    for port in (HTTP, 6379):
        assert found.allows(head, worker, port) and found.allows(worker, head, port)
    uplink = found.pod("shop-uplink-predictor")
    assert found.allows(uplink, head)
    assert not found.allows(uplink, head, 6379) and not found.allows(head, uplink)


KEPT = {"store": {"secret": {"name": "feedback"}}, "shadow": 0.02}


@pytest.mark.parametrize(("asked", "port"), [({}, 5432), ({"databasePorts": [6432]}, 6432)])
def test_hem_and_the_jobs_that_retrain_reach_the_database(asked: Object, port: int) -> None:
    found = _cluster(networkPolicies=asked, feedback=KEPT, retrain={})
    ask = {"shop-hem-predictor", "shop-retrain", "shop-check"}
    for pod in found.pods:
        assert found.allows(pod, OUTSIDE, port) == (pod.name in ask)
        assert not found.allows(pod, OUTSIDE, 443)
    assert found.allows(found.pod("shop-retrain"), OUTSIDE, 53, "UDP")
    flows = found.connections()
    assert flows == _site(*QUERY, *OF_THE_GATEWAY), "nobody calls a job, and it calls no pod"


def test_a_store_in_a_file_opens_nothing_but_the_way_on() -> None:
    central = {"url": "https://central.example.com:8443"}
    found = _cluster(feedback={"store": {"hostPath": "/data"}, "push": central})
    for pod in found.pods:
        assert not found.allows(pod, OUTSIDE, 5432)
        assert found.allows(pod, OUTSIDE, 8443) == (pod.name == "shop-hem-predictor")


@pytest.mark.parametrize("there", [True, False])
def test_an_llm_inference_service_is_reached_in_its_namespace(there: bool) -> None:
    made = {"model": {"hub": "org/large"}, "llmInferenceService": {}}
    named = {"model": {"llmInferenceService": {"name": "large", "namespace": "models"}}}
    found = _cluster(cloud=named if there else made)
    uplink = found.pod("shop-uplink-predictor")
    own, elsewhere = Pod("own", {}), Pod("large", {}, "models")
    assert found.allows(uplink, elsewhere, 8000) == there
    assert found.allows(uplink, own, 8000) != there


def _policies(document: Object) -> Iterator[Object]:
    for each in read(document).documents:
        if each.content["kind"] == "NetworkPolicy":
            yield each.content


def test_none_is_rendered_unless_it_is_asked_for() -> None:
    assert list(_policies(spec())) == []
    assert len(list(_policies(spec(networkPolicies={})))) == 5


BAD: Sequence[tuple[Object, str, str]] = [
    ({"callers": [{}]}, "spec.networkPolicies.callers[0]", "at least 1 item"),
    ({"callers": [{"a b": "c"}]}, "spec.networkPolicies.callers[0]", "a label is 'a b'"),
    ({"callers": ["monitoring"]}, "spec.networkPolicies.callers[0]", "valid dictionary"),
    ({"controlPlane": ["10.0.0.1/8"]}, "spec.networkPolicies.controlPlane[0]", "host bits"),
    ({"downloadPorts": [0]}, "spec.networkPolicies.downloadPorts[0]", "greater than or equal"),
    ({"prometheus": [], "egress": []}, "spec.networkPolicies.egress", "unknown field"),
]


@pytest.mark.parametrize(("asked", "field", "message"), BAD)
def test_what_can_not_be_a_policy_is_one_error(asked: Object, field: str, message: str) -> None:
    found = read(spec(networkPolicies=asked))
    (fault,) = told(found, "error")
    assert fault.startswith(f"{field}: ") and message in fault
    assert found.documents == []


def test_a_port_that_is_none_is_an_error_at_the_model() -> None:
    cloud = {"model": {"name": "a", "url": "https://api.example.com:99999/v1"}}
    (fault,) = told(read(spec(cloud=cloud, networkPolicies={})), "error")
    assert fault.startswith("spec.cloudWorker.model: ") and "out of range" in fault
    with pytest.raises(ConfigurationError):
        reached("http://a.example.com:port")
