"""Who may talk to whom at a site and at the cloud, as NetworkPolicies: all else is refused.

    graph -> HEM, edge, uplink        HEM -> edge, and with a gateway uplink
    uplink -> cloud                   whoever looks up a name -> DNS
    HEM, jobs -> the store of feedback

A policy is about pods and their own ports, not Services'. What the kubelet's probes need is always
allowed. Policies add up: another one beside these allows more.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from inferencegraph.build.learning import FIRST, job_of
from inferencegraph.build.mining import QUERY_STAGE, Mining, hem_workload
from inferencegraph.build.monitoring import metrics_ports
from inferencegraph.build.pods import (
    COMPONENT_LABEL,
    HTTP_PORT,
    INSTANCE_LABEL,
    OWNER_LABEL,
    labels,
)
from inferencegraph.build.sites import Site
from predictors.contract import CLOUD, EDGE

UPLINK: Final = "uplink"

Labels = Mapping[str, str]
Rule = dict[str, Any]

_DNS: Final[Rule] = {
    "ports": [{"protocol": protocol, "port": 53} for protocol in ("UDP", "TCP")],
}


@dataclass(frozen=True, slots=True)
class Destination:
    """Something that is no pod of ours: a port of any address, or all pods of a namespace, where ""
    is the namespace of the site itself."""

    port: int | None = None
    namespace: str | None = None

    def rule(self) -> Rule:
        if self.namespace is None:
            return {"ports": [_tcp(self.port or 443)]}
        if not self.namespace:
            return {"to": [{"podSelector": {}}]}
        return {"to": [_namespaces({"kubernetes.io/metadata.name": self.namespace})]}


@dataclass(frozen=True, slots=True)
class Isolation:
    """Whom the pods of a spec talk to besides each other.

    callers: labels of namespaces whose pods may call the graph and the gateway; none: anybody may.
    cloud_callers: the same of the cloud, besides its uplinks; none: nobody may. scrapers: of
    namespaces that read metrics. control_plane: addresses (CIDR) of API servers, by whose proxy
    `hem status` reads them. edge, mining, uplink, cloud, jobs: what each calls that is not rendered
    beside it.
    """

    callers: tuple[Labels, ...] = ()
    cloud_callers: tuple[Labels, ...] = ()
    scrapers: tuple[Labels, ...] = ()
    control_plane: tuple[str, ...] = ()
    edge: tuple[Destination, ...] = ()
    mining: tuple[Destination, ...] = ()
    uplink: tuple[Destination, ...] = ()
    cloud: tuple[Destination, ...] = ()
    jobs: tuple[Destination, ...] = ()


@dataclass(frozen=True, slots=True)
class _Workload:
    """The pods of one Deployment that KServe makes, or of a job. `metrics`: the ports that have
    some. `group`: the InferenceService whose pods on several nodes are one model."""

    name: str
    component: str
    instance: str
    owner: str
    metrics: tuple[int, ...]
    group: str | None = None
    is_job: bool = False

    @property
    def selector(self) -> Labels:
        if self.is_job:
            return {OWNER_LABEL: self.owner, COMPONENT_LABEL: self.component}
        if self.group is not None:
            return {"serving.kserve.io/inferenceservice": self.group}
        return {"app": f"isvc.{self.name}"}


def policies(
    isolation: Isolation,
    objects: Sequence[Mapping[str, Any]],
    sites: Sequence[Site],
    mining: Mining | None,
) -> Iterator[dict[str, Any]]:
    """One for each Deployment that KServe makes of the objects, and for each job."""
    workloads = list(_workloads(objects))
    flows = [flow for site in sites if mining for flow in _flows(site, mining)]
    clouds = [each.name for each in workloads if each.component == CLOUD]
    uplinks = [each.name for each in workloads if each.component == UPLINK]
    sources, targets = _by_end(flows, 1), _by_end(flows, 0)
    asking = UPLINK
    if mining is not None and mining.joint:
        asking, uplinks = EDGE, [f"{site.name}-edge-predictor" for site in sites]
    for uplink in uplinks if clouds else ():
        targets[uplink] = [*targets.get(uplink, ()), *clouds]
    doors, miners = _doors(workloads, sites, mining, isolation)
    for workload in workloads:
        incoming = [_of_app(source) for source in sources.get(workload.name, ())]
        if workload.component == CLOUD:
            incoming += _callers_of_cloud(workload, isolation, asking if uplinks else None)
        outgoing = [_to_app(target) for target in targets.get(workload.name, ())]
        outgoing += _beyond(workload, isolation, workload.name in miners)
        rules = _ingress(workload, incoming, workload.name in doors, isolation)
        if workload.group is not None:
            among = {"podSelector": {"matchLabels": dict(workload.selector)}}
            rules, outgoing = [*rules, {"from": [among]}], [*outgoing, {"to": [among]}]
        yield _policy(workload, rules, outgoing)


def _doors(
    workloads: Sequence[_Workload],
    sites: Sequence[Site],
    mining: Mining | None,
    isolation: Isolation,
) -> tuple[set[str], set[str]]:
    """The workloads that clients call, and those with HEM in them. One side alone is its own door,
    but for a cloud whose callers are named."""
    if mining is None:
        alone = [each for each in workloads if sites or not isolation.cloud_callers]
        return {each.name for each in alone}, set()
    miners = {hem_workload(site.name, mining) for site in sites}
    return {site.name for site in sites} | (miners if mining.gateway else set()), miners


def _callers_of_cloud(
    workload: _Workload, isolation: Isolation, asking: str | None
) -> Iterator[Rule]:
    """What asks it at all sites, by its labels, as there may be a thousand."""
    if asking is not None:
        own = {OWNER_LABEL: workload.owner, COMPONENT_LABEL: asking}
        yield {"podSelector": {"matchLabels": own}}
    yield from map(_namespaces, isolation.cloud_callers)


def _flows(site: Site, mining: Mining) -> Iterator[tuple[str, str]]:
    """Who calls whom among the pods of a site."""
    graph, hem = site.name, hem_workload(site.name, mining)
    edge, uplink = f"{site.name}-edge-predictor", f"{site.name}-uplink-predictor"
    yield graph, hem
    if mining.mode == QUERY_STAGE:
        yield graph, edge
    if hem != edge and (mining.mode != QUERY_STAGE or mining.gateway):
        yield hem, edge
    if mining.joint:
        return
    yield graph, uplink
    if mining.gateway:
        yield hem, uplink


def _by_end(flows: Iterable[tuple[str, str]], end: int) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for flow in flows:
        found.setdefault(flow[end], []).append(flow[1 - end])
    return found


def _workloads(objects: Sequence[Mapping[str, Any]]) -> Iterator[_Workload]:
    for content in objects:
        name, named = content["metadata"]["name"], content["metadata"]["labels"]
        about = (named.get(COMPONENT_LABEL), named.get(INSTANCE_LABEL), named.get(OWNER_LABEL))
        if content["kind"] == "InferenceGraph":
            yield _Workload(name, *about, ())
        elif job_of(content) is not None:
            yield _Workload(name, *about, (), is_job=True)
        elif content["kind"] == "InferenceService":
            for role, component in content["spec"].items():
                ports, spread = metrics_ports(component), "workerSpec" in component
                yield _Workload(f"{name}-{role}", *about, ports, name if spread else None)


def _beyond(workload: _Workload, isolation: Isolation, mines: bool) -> Iterator[Rule]:
    """What it calls that is no pod of the site."""
    of_models = {EDGE: isolation.edge, UPLINK: isolation.uplink, CLOUD: isolation.cloud}
    found = isolation.mining if mines else ()
    if workload.is_job and workload.component != FIRST:
        found += isolation.jobs
    if workload.name.endswith("-predictor"):
        found += of_models.get(workload.component, ())
    yield from (each.rule() for each in dict.fromkeys(found))


def _ingress(
    workload: _Workload, incoming: list[Rule], is_door: bool, isolation: Isolation
) -> list[Rule]:
    rules: list[Rule] = []
    if is_door and not isolation.callers:
        rules.append({"ports": [_tcp(HTTP_PORT)]})
    else:
        peers = incoming + (list(map(_namespaces, isolation.callers)) if is_door else [])
        if peers:
            rules.append({"from": peers, "ports": [_tcp(HTTP_PORT)]})
    readers = list(map(_namespaces, isolation.scrapers))
    readers += [{"ipBlock": {"cidr": cidr}} for cidr in isolation.control_plane]
    if readers and workload.metrics:
        rules.append({"from": readers, "ports": list(map(_tcp, workload.metrics))})
    return rules


def _policy(workload: _Workload, incoming: list[Rule], outgoing: list[Rule]) -> dict[str, Any]:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {
            "name": workload.name,
            "labels": labels(workload.instance, workload.component, workload.owner),
        },
        "spec": {
            "podSelector": {"matchLabels": dict(workload.selector)},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": incoming,
            "egress": [*outgoing, _DNS] if outgoing else [],
        },
    }


def _of_app(workload: str) -> Rule:
    return {"podSelector": {"matchLabels": {"app": f"isvc.{workload}"}}}


def _to_app(workload: str) -> Rule:
    return {"to": [_of_app(workload)], "ports": [_tcp(HTTP_PORT)]}


def _namespaces(named: Labels) -> Rule:
    return {"namespaceSelector": {"matchLabels": dict(named)}}


def _tcp(port: int) -> dict[str, Any]:
    return {"protocol": "TCP", "port": port}
