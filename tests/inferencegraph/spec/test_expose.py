"""`expose` of a spec: a site's gateway and its graph from outside."""

from pathlib import Path
from typing import Any

import pytest

from inferencegraph.check.reconciled.site import reconciled
from tests.inferencegraph.build.crds import refused
from tests.inferencegraph.spec.documents import Object, by_name, errors_of, read, spec, told

NODES = {"nodes": ["till-1", "till-2"]}
PARENTS = [{"name": "public", "namespace": "gateways", "sectionName": "https"}]
ROUTE: Object = {"kind": "httpRoute", "host": "{site}.example.com", "parentRefs": PARENTS}
INGRESS: Object = {
    "kind": "ingress",
    "host": "{site}.example.com",
    "ingressClassName": "nginx",
    "tlsSecret": "{site}-tls",
}
ANSWER_STAGE = {"name": "ConfidenceRouter", "threshold": 0.5}
SIDES = {
    "query": ({}, "hem-predictor"),
    "answer": ({"hardExampleMining": ANSWER_STAGE}, "edge-transformer"),
    "sidecar": ({"hardExampleMining": {**ANSWER_STAGE, "placement": "sidecar"}}, "edge-predictor"),
}


def _made(shared: Path, kind: str, edge: Object, **fields: Any) -> dict[str, Object]:
    """Site -> its object of that kind, all of which are valid."""
    found = read(spec(edge={**NODES, **edge}, **fields))
    assert errors_of(found) == []
    made = {name: each for name, each in by_name(found).items() if name.startswith(f"{kind}/")}
    for each in made.values():
        assert refused(shared / "crds", each) == []
    return {
        each["metadata"]["labels"]["app.kubernetes.io/instance"]: each for each in made.values()
    }


@pytest.mark.parametrize("stage", SIDES)
def test_a_route_of_each_site_leads_to_its_own_gateway(stage: str, shared: Path) -> None:
    edge, service = SIDES[stage]
    made = _made(shared, "HTTPRoute", edge, expose=ROUTE)
    assert list(made) == ["shop-till-1", "shop-till-2"]
    for site, route in made.items():
        assert route["spec"]["hostnames"] == [f"{site}.example.com"]
        assert route["spec"]["parentRefs"] == PARENTS
        assert _paths(route) == {
            "/v1": f"{site}-{service}",
            "/openai/v1": f"{site}-{service}",
        }


@pytest.mark.parametrize("stage", SIDES)
def test_an_ingress_does_the_same(stage: str, shared: Path) -> None:
    edge, service = SIDES[stage]
    for site, ingress in _made(shared, "Ingress", edge, expose=INGRESS).items():
        (rule,) = ingress["spec"]["rules"]
        assert rule["host"] == f"{site}.example.com"
        backends = {path["backend"]["service"]["name"] for path in rule["http"]["paths"]}
        assert backends == {f"{site}-{service}"}
        assert ingress["spec"]["ingressClassName"] == "nginx"
        assert ingress["spec"]["tls"] == [{"hosts": [rule["host"]], "secretName": f"{site}-tls"}]


@pytest.mark.parametrize("stage", SIDES)
@pytest.mark.parametrize("expose", [ROUTE, INGRESS], ids=["route", "ingress"])
def test_what_they_name_are_services_that_kserve_makes(
    stage: str, expose: Object, shared: Path
) -> None:
    documents = read(spec(edge=SIDES[stage][0], expose={**expose, "graph": True})).documents
    contents = [each.content for each in documents]
    ports = {
        each["metadata"]["name"]: [port["port"] for port in each["spec"]["ports"]]
        for each in reconciled(contents)
        if each["kind"] == "Service"
    }
    (made,) = [each for each in contents if each["kind"] in ("HTTPRoute", "Ingress")]
    named = set(_paths(made).values())
    assert len(named) == 2
    assert all(80 in ports[name] for name in named)
    # KServe names its own Ingresses and HTTPRoutes after the services.
    services = {each["metadata"]["name"] for each in contents if each["kind"] != made["kind"]}
    assert made["metadata"]["name"] not in services


def _paths(content: Object) -> dict[str, str]:
    if content["kind"] == "HTTPRoute":
        rules = content["spec"]["rules"]
        return {
            rule["matches"][0]["path"]["value"]: rule["backendRefs"][0]["name"] for rule in rules
        }
    (rule,) = content["spec"]["rules"]
    return {path["path"]: path["backend"]["service"]["name"] for path in rule["http"]["paths"]}


def test_a_path_of_each_site_is_taken_away_again(shared: Path) -> None:
    fields = {**ROUTE, "host": "shop.example.com", "path": "/{site}", "graph": True}
    for site, route in _made(shared, "HTTPRoute", {}, expose=fields).items():
        rewritten = {
            rule["matches"][0]["path"]["value"]: rule["filters"][0]["urlRewrite"]["path"]
            for rule in route["spec"]["rules"]
        }
        assert {path: each["replacePrefixMatch"] for path, each in rewritten.items()} == {
            f"/{site}/openai/v1": "/openai/v1",
            f"/{site}/v1": "/v1",
            f"/{site}/graph": "/graph",
        }


def test_nothing_in_front_cuts_a_stream(shared: Path) -> None:
    made = _made(shared, "HTTPRoute", {}, expose={**ROUTE, "graph": True})["shop-till-1"]
    limits = {
        rule["matches"][0]["path"]["value"]: rule["timeouts"] for rule in made["spec"]["rules"]
    }
    assert limits["/v1"] == {"request": "0s", "backendRequest": "0s"}
    assert limits["/graph"] == {"request": "540s", "backendRequest": "540s"}  # its serverWrite
    ingress = _made(shared, "Ingress", {}, expose=INGRESS)["shop-till-1"]
    annotations = ingress["metadata"]["annotations"]
    assert annotations["nginx.ingress.kubernetes.io/proxy-buffering"] == "off"
    assert int(annotations["nginx.ingress.kubernetes.io/proxy-read-timeout"]) >= 1200


def test_annotations_of_ones_own_win(shared: Path) -> None:
    own = {
        "nginx.ingress.kubernetes.io/proxy-body-size": "1m",
        "cert-manager.io/cluster-issuer": "letsencrypt",
    }
    made = _made(shared, "Ingress", {}, expose={**INGRESS, "annotations": own})["shop-till-1"]
    assert own.items() <= made["metadata"]["annotations"].items()
    assert "nginx.ingress.kubernetes.io/proxy-buffering" in made["metadata"]["annotations"]


def test_a_graph_without_gateway_is_exposed_alone(shared: Path) -> None:
    fields = {"expose": {**ROUTE, "graph": True}, "gateway": {"enabled": False}}
    made = _made(shared, "HTTPRoute", {}, **fields)["shop-till-1"]
    assert _paths(made) == {"/graph": "shop-till-1"}


def test_without_it_nothing_leads_to_a_site() -> None:
    kinds = {each.content["kind"] for each in read(spec()).documents}
    assert not kinds & {"HTTPRoute", "Ingress"}


BAD: list[tuple[Object, Object, str, str]] = [
    ({**INGRESS, "host": "shop.example.com"}, NODES, "spec.expose.host", "{site}.example.com"),
    ({**ROUTE, "host": "shop.example.com"}, NODES, "spec.expose.host", "path: /{site}"),
    ({"kind": "ingress"}, NODES, "spec.expose.host", "would both be at any host"),
    ({**ROUTE, "host": "{node}.example.com"}, {}, "spec.expose.host", "is no host name"),
    ({**ROUTE, "host": "https://example.com"}, {}, "spec.expose.host", "without scheme"),
    ({**ROUTE, "host": "example.com:443"}, {}, "spec.expose.host", "without scheme and port"),
    ({**ROUTE, "path": "shop/"}, {}, "spec.expose.path", "is no path"),
    ({**ROUTE, "path": "/a/../b"}, {}, "spec.expose.path", "is no path"),
    ({**ROUTE, "path": "/a?b"}, {}, "spec.expose.path", "is no path"),
    ({**INGRESS, "path": "/{site}"}, {}, "spec.expose", "takes no prefix away"),
    ({**ROUTE, "tlsSecret": "a"}, {}, "spec.expose", "the Gateway's own"),
    ({**INGRESS, "parentRefs": PARENTS}, {}, "spec.expose", "has parentRefs with kind ingress"),
    ({"kind": "httpRoute"}, {}, "spec.expose", "needs parentRefs"),
    ({"kind": "service"}, {}, "spec.expose.kind", "'httpRoute' or 'ingress'"),
    (
        {**ROUTE, "parentRefs": [{"name": "a", "port": 70000}]},
        {},
        "spec.expose.parentRefs[0].port",
        "less than or equal to 65535",
    ),
    ({**ROUTE, "host": f"{'a' * 250}.example.com"}, {}, "spec.expose.host", "at most 253"),
]


@pytest.mark.parametrize(("expose", "edge", "field", "message"), BAD)
def test_what_can_not_be_exposed_is_one_error(
    expose: Object, edge: Object, field: str, message: str
) -> None:
    found = read(spec(edge=edge, expose=expose))
    (fault,) = told(found, "error")
    assert fault.startswith(f"{field}: ")
    assert message in fault
    assert found.documents == []


@pytest.mark.parametrize("side", ["edgeWorker", "cloudWorker"])
def test_one_side_alone_has_no_gateway(side: str) -> None:
    document = spec(expose=ROUTE)
    del document["spec"]["edgeWorker"]["hardExampleMining"]
    del document["spec"][side]
    (fault,) = told(read(document), "error")
    assert fault.startswith("spec.expose: there is no gateway")


def test_a_gateway_that_is_off_is_not_exposed() -> None:
    (fault,) = told(read(spec(expose=ROUTE, gateway={"enabled": False})), "error")
    assert "gateway.enabled is false" in fault and "graph: true" in fault
