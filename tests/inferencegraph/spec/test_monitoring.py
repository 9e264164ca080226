"""`monitoring` of a spec: a PodMonitor that finds the metrics of every pod that has some."""

import re
from typing import Any

import pytest

from inferencegraph.check.reconciled.site import reconciled
from tests.inferencegraph.spec.documents import Object, by_name, errors_of, read, spec, told

SIDECAR = {"name": "ConfidenceRouter", "threshold": 0.5, "placement": "sidecar"}
TRITON = {"model": {"image": "mine"}, "inferenceConfig": {"engine": "triton"}}


def _targets(document: Object) -> set[tuple[str, str]]:
    """Deployment and address that Prometheus would scrape, as it finds pods: a target for each
    container's port, kept by its name, then relabelled."""
    found = read(document)
    assert errors_of(found) == []
    monitor = by_name(found)["PodMonitor/shop"]["spec"]
    targets = set()
    for each in reconciled([document.content for document in found.documents]):
        if each["kind"] != "Deployment":
            continue
        pod = each["spec"]["template"]
        wanted = monitor["selector"]["matchLabels"].items()
        assert wanted <= pod["metadata"]["labels"].items()
        assert set(monitor["podTargetLabels"]) <= pod["metadata"]["labels"].keys()
        for endpoint in monitor["podMetricsEndpoints"]:
            assert endpoint["path"] == "/metrics"
            for container in pod["spec"]["containers"]:
                for port in container.get("ports", ()):
                    if port["name"] == endpoint["port"]:
                        address = _address(endpoint, pod["metadata"], port["containerPort"])
                        targets.add((each["metadata"]["name"], address))
    return targets


def _address(endpoint: Object, metadata: Object, port: int) -> str:
    values = {
        "__address__": f"10.0.0.1:{port}",
        "__meta_kubernetes_pod_annotation_prometheus_io_port": metadata["annotations"][
            "prometheus.io/port"
        ],
    }
    for rule in endpoint.get("relabelings", ()):
        text = ";".join(values[name] for name in rule["sourceLabels"])
        if match := re.fullmatch(rule["regex"], text):
            replacement = rule["replacement"].replace("$", "\\")
            values[rule["targetLabel"]] = match.expand(replacement)
    return values["__address__"]


@pytest.mark.parametrize(
    ("edge", "cloud", "expected"),
    [
        (
            {"nodes": ["a", "b"]},
            {},
            {
                *(
                    (f"shop-{n}-{part}-predictor", "10.0.0.1:8080")
                    for n in "ab"
                    for part in ("edge", "hem", "uplink")
                ),
                ("shop-cloud-predictor", "10.0.0.1:8080"),
            },
        ),
        (
            {"hardExampleMining": SIDECAR},
            TRITON,
            {
                ("shop-edge-predictor", "10.0.0.1:8080"),
                ("shop-edge-predictor", "10.0.0.1:8085"),
                ("shop-uplink-predictor", "10.0.0.1:8080"),
                ("shop-cloud-predictor", "10.0.0.1:8002"),
            },
        ),
        (
            {"inferenceConfig": {"engine": "llama-cpp"}, "model": {"hub": "org/model"}},
            {"model": {"name": "gpt", "url": "https://api.example.com/v1"}},
            {(f"shop-{part}-predictor", "10.0.0.1:8080") for part in ("edge", "hem", "uplink")},
        ),
    ],
    ids=["nodes", "sidecar-and-triton", "server-beside"],
)
def test_it_finds_each_pods_metrics_once(
    edge: Object, cloud: Object, expected: set[tuple[str, str]]
) -> None:
    assert _targets(spec(edge=edge, cloud=cloud, monitoring={})) == expected


def test_its_labels_and_interval_are_the_specs() -> None:
    asked = {"labels": {"release": "prometheus"}, "interval": "30s"}
    made = by_name(read(spec(monitoring=asked)))["PodMonitor/shop"]
    assert made["metadata"]["labels"]["release"] == "prometheus"
    assert made["metadata"]["labels"]["kserve-hem.io/owner"] == "shop"
    assert {each["interval"] for each in made["spec"]["podMetricsEndpoints"]} == {"30s"}


def test_none_is_rendered_unless_it_is_asked_for() -> None:
    assert not [name for name in by_name(read(spec())) if name.startswith("PodMonitor/")]


@pytest.mark.parametrize(
    ("asked", "field", "message"),
    [
        ({"interval": "30"}, "spec.monitoring.interval", "match pattern"),
        ({"labels": {"a": "b c"}}, "spec.monitoring.labels", "a label is 'b c'"),
        ({"kind": "ServiceMonitor"}, "spec.monitoring.kind", "unknown field"),
    ],
)
def test_what_can_not_be_a_monitor_is_one_error(
    asked: dict[str, Any], field: str, message: str
) -> None:
    (fault,) = told(read(spec(monitoring=asked)), "error")
    assert fault.startswith(f"{field}: ") and message in fault
