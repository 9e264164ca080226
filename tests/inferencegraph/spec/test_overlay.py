"""A worker's pod template: what of it stands in the rendered pods, and what is said of the rest."""

from typing import Any

import pytest

from inferencegraph.build.overlay import overlaid
from tests.inferencegraph.spec.documents import (
    Object,
    by_name,
    errors_of,
    read,
    service,
    spec,
    told,
    variables,
)

POD = "spec.edgeWorker.template.spec"


def template(container: Object | None = None, **pod: Any) -> Object:
    return {"spec": {**pod, "containers": [{"name": "little", **(container or {})}]}}


def with_template(container: Object | None = None, **pod: Any) -> Object:
    return spec(edge={"template": template(container, **pod)})


WHOLE = template(
    {
        "imagePullPolicy": "Always",
        "env": [
            {"name": "MINING_MODE", "value": "mining-then-inference"},
            {"name": "HEM_BATCH_POLICY", "value": "all"},
            {"name": "PREDICTOR_TOP_P", "value": "0.5"},
            {"name": "OMP_NUM_THREADS", "value": "7"},
            {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "hub", "key": "token"}}},
        ],
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
        "resources": {"requests": {"cpu": "100m"}, "limits": {"memory": "2Gi"}},
    },
    nodeName="edge-1",
    dnsPolicy="ClusterFirstWithHostNet",
    hostNetwork=True,
    serviceAccountName="models",
    imagePullSecrets=[{"name": "ours"}],
    tolerations=[{"key": "shop", "operator": "Exists"}],
    affinity={"nodeAffinity": {}},
    volumes=[{"name": "data", "hostPath": {"path": "/data"}}],
)
WHOLE["metadata"] = {"annotations": {"example.com/a": "b"}, "labels": {"team": "nlp"}}


def test_all_of_it_stands_in_the_pod_of_the_model() -> None:
    made = read(spec(edge={"template": WHOLE}))

    pod = service(made, "shop-edge")
    container = pod["containers"][0]
    assert not errors_of(made)
    assert pod["nodeName"] == "edge-1"
    assert pod["nodeSelector"]["kubernetes.io/hostname"] == "edge-1"
    assert pod["dnsPolicy"] == "ClusterFirstWithHostNet"
    assert pod["hostNetwork"]
    assert pod["serviceAccountName"] == "models"
    assert {"name": "ours"} in pod["imagePullSecrets"]
    assert {"name": "kserve-hem-registry"} in pod["imagePullSecrets"]
    assert {"key": "shop", "operator": "Exists"} in pod["tolerations"]
    assert pod["affinity"] == {"nodeAffinity": {}}
    assert pod["annotations"]["example.com/a"] == "b"
    assert pod["annotations"]["prometheus.io/scrape"] == "true"
    assert pod["labels"] == {"team": "nlp"}
    assert [each["name"] for each in pod["volumes"]] == ["tmp", "data"]
    assert [each["mountPath"] for each in container["volumeMounts"]] == ["/tmp", "/data"]
    assert container["imagePullPolicy"] == "Always"
    assert container["name"] == "kserve-container"
    assert container["resources"]["requests"]["cpu"] == "100m"
    assert container["resources"]["limits"] == {"cpu": "2", "memory": "2Gi"}


def test_variables_go_to_the_container_that_reads_them() -> None:
    made = read(spec(edge={"template": WHOLE}))

    model = variables(service(made, "shop-edge")["containers"][0])
    mining = variables(service(made, "shop-hem")["containers"][0])
    uplink = variables(service(made, "shop-uplink")["containers"][0])
    assert model["PREDICTOR_TOP_P"] == "0.5"
    assert model["OMP_NUM_THREADS"] == "7"  # the template's wins
    assert "TOKEN" in model
    assert not {"MINING_MODE", "HEM_BATCH_POLICY"} & model.keys()
    assert mining["HEM_BATCH_POLICY"] == "all"
    assert mining["MINING_MODE"] == "mining-then-inference"
    assert not {"TOKEN", "PREDICTOR_TOP_P"} & (mining.keys() | uplink.keys())


def test_traces_of_all_servers_of_a_side_go_where_its_template_says() -> None:
    entry = {"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": "http://collector:4318"}
    made = read(with_template({"env": [entry]}))

    for name in ("shop-edge", "shop-hem", "shop-uplink"):
        (container,) = service(made, name)["containers"]
        assert variables(container)[entry["name"]] == entry["value"]


def test_in_the_answer_stage_hems_variables_go_to_the_transformer() -> None:
    edge = {
        "hardExampleMining": {"name": "ConfidenceRouter", "threshold": 0.4},
        "template": template({"env": [{"name": "HEM_BATCH_POLICY", "value": "all"}]}),
    }
    made = read(spec(edge=edge))

    assert not errors_of(made)
    hem = service(made, "shop-edge", "transformer")["containers"][0]
    assert variables(hem)["HEM_BATCH_POLICY"] == "all"
    assert "HEM_BATCH_POLICY" not in variables(service(made, "shop-edge")["containers"][0])


@pytest.mark.parametrize("name", ["shop-hem", "shop-uplink"])
def test_pods_beside_the_model_start_where_it_does_but_have_its_volumes_and_ports_not(
    name: str,
) -> None:
    pod = service(read(spec(edge={"template": WHOLE})), name)

    assert pod["nodeName"] == "edge-1"
    assert pod["dnsPolicy"] == "ClusterFirstWithHostNet"
    assert {"key": "shop", "operator": "Exists"} in pod["tolerations"]
    assert pod["containers"][0]["imagePullPolicy"] == "Always"
    assert "hostNetwork" not in pod  # its port is the model's already
    assert "data" not in [each["name"] for each in pod["volumes"]]


def test_the_graph_runs_on_the_node_too() -> None:
    graph = by_name(read(spec(edge={"template": WHOLE})))["InferenceGraph/shop"]["spec"]

    assert graph["nodeName"] == "edge-1"
    assert {"key": "shop", "operator": "Exists"} in graph["tolerations"]
    assert "dnsPolicy" not in graph


def test_the_clouds_template_is_the_clouds_alone() -> None:
    made = read(spec(cloud={"template": template(dnsPolicy="Default", nodeName="big-1")}))

    assert not errors_of(made)
    assert service(made, "shop-cloud")["nodeName"] == "big-1"
    assert "nodeName" not in service(made, "shop-edge")


def test_a_further_container_stands_beside_the_model() -> None:
    extra = {"name": "agent", "image": "agent:1"}
    document = with_template()
    document["spec"]["edgeWorker"]["template"]["spec"]["containers"].append(extra)

    pod = service(read(document), "shop-edge")
    assert [each["name"] for each in pod["containers"]] == ["kserve-container", "agent"]
    assert len(service(read(document), "shop-hem")["containers"]) == 1


def test_the_component_and_the_template_stay_as_they_are() -> None:
    component = {"containers": [{"name": "kserve-container", "env": [{"name": "A", "value": "1"}]}]}
    given = template({"env": [{"name": "A", "value": "2"}]}, nodeName="n")

    made = overlaid(component, given, "model")
    assert made["containers"][0]["env"] == [{"name": "A", "value": "2"}]
    assert component["containers"][0]["env"] == [{"name": "A", "value": "1"}]
    assert "nodeName" not in component


@pytest.mark.parametrize("field", ["image", "command", "args", "ports", "livenessProbe"])
def test_what_the_engine_has_itself_is_named_in_a_warning(field: str) -> None:
    value = {"image": "x", "livenessProbe": {"httpGet": {"port": 1}}}.get(field, [])
    made = read(with_template({field: value}))

    (said,) = told(made, "warning")
    assert said.startswith(f"{POD}.containers[0].{field}: is not carried over: ")
    assert made.documents


@pytest.mark.parametrize(
    ("container", "pod", "expected"),
    [
        pytest.param({}, {"nodeNmae": "x"}, f"{POD}.nodeNmae: unknown field", id="misspelt"),
        pytest.param({}, {"nodeName": 5}, f"{POD}.nodeName: must be a string", id="mistyped"),
        pytest.param({}, {"nodeName": "$EDGE_NODE"}, "is a placeholder; write", id="placeholder"),
        pytest.param({}, {"restartPolicy": "Never"}, f"{POD}.restartPolicy: 'Never'", id="restart"),
        pytest.param(
            {"env": [{"name": "MINING_MODE", "value": "inference-then-mining"}]},
            {},
            "LinearRouter mines the query",
            id="a mode that the algorithm contradicts",
        ),
        pytest.param(
            {"env": [{"name": "MINING_MODE", "value": "later"}]},
            {},
            f"{POD}.containers[0].env[0].value: 'later': Input should be",
            id="unknown mode",
        ),
        pytest.param(
            {"env": [{"name": "HEM_ALGORITHM", "value": "Random"}]},
            {},
            "HEM_ALGORITHM is spec.edgeWorker.hardExampleMining.name; write it there",
            id="algorithm",
        ),
        pytest.param(
            {"resources": {"limits": {"ephemeral-storage": "1Gi"}}},
            {},
            f"{POD}.containers[0].resources.limits.ephemeral-storage: can't be carried over",
            id="resource",
        ),
    ],
)
def test_what_cannot_be_meant_is_one_error_and_nothing_is_rendered(
    container: Object, pod: Object, expected: str
) -> None:
    made = read(with_template(container, **pod))

    (said,) = told(made, "error")
    assert expected in said
    assert not made.documents


@pytest.mark.parametrize(
    ("edge", "expected"),
    [
        ({"nodes": ["a", "b"]}, f"{POD}.nodeName: 'edge-1' is not spec.edgeWorker.nodes"),
        ({"resource": {"limits": {"cpu": 1}}}, "is spec.edgeWorker.resource, too; give it once"),
    ],
)
def test_what_the_spec_says_otherwise_is_refused(edge: Object, expected: str) -> None:
    made = read(spec(edge={"template": WHOLE, **edge}))

    assert any(expected in said for said in told(made, "error"))


def test_hems_variables_in_the_clouds_template_are_refused() -> None:
    env = {"env": [{"name": "HEM_THRESHOLD", "value": "1"}]}
    (said,) = told(read(spec(cloud={"template": template(env)})), "error")

    assert "write it into spec.edgeWorker.template" in said


def test_the_template_of_a_cloud_at_a_url_has_no_pod() -> None:
    model = {"name": "gpt-4o-mini", "url": "https://api.openai.com/v1"}
    cloud = {"model": model, "template": template(dnsPolicy="Default")}
    document = spec()
    document["spec"]["cloudWorker"] = cloud
    made = read(document)

    (said,) = told(made, "warning")
    assert said.startswith("spec.cloudWorker.template: is not carried over")
    assert not errors_of(made)
