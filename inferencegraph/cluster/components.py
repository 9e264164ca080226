"""The condition of each part of a site: Pending, Running or Failed, and why.

A part is an InferenceService, an LLMInferenceService or an InferenceGraph, with the Deployments and
pods that KServe has made of it. KServe's own word alone is not enough: its graph says Ready as soon
as its Deployment has the condition Available, also where that is False, and both kinds'
observedGeneration is their Deployment's.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from inferencegraph.build.pods import OWNER_LABEL
from inferencegraph.check.containers import mapping, sequence
from inferencegraph.cluster.observing import (
    GRAPH_LABEL,
    LLM_LABEL,
    LLM_PART,
    SERVICE_LABEL,
    Snapshot,
)
from inferencegraph.cluster.pods import (
    Condition,
    Finding,
    conditions_of,
    is_ready,
    name_in,
    of_pod,
    pod_failure,
)

INSTANCE: Final = "app.kubernetes.io/instance"
COMPONENT: Final = "app.kubernetes.io/component"


@dataclass(frozen=True, slots=True)
class Part:
    """`site` and `side` are its labels (instance, component). `active`: workers that are ready;
    `failed`: those that are stuck. `changed`: when it last went from ready to not, or back."""

    kind: str
    name: str
    site: str
    side: str
    finding: Finding
    active: int
    failed: int
    url: str | None
    started: str
    changed: str | None
    pods: tuple[Mapping[str, Any], ...]


def parts(snapshot: Snapshot, owner: str) -> list[Part]:
    """Of one owner, by site and then in the order of a request."""
    made = _Made(snapshot)
    found = [
        _part(content, label, made)
        for label, contents in (
            (GRAPH_LABEL, snapshot.graphs),
            (SERVICE_LABEL, snapshot.services),
            (LLM_LABEL, snapshot.llm_services),
        )
        for content in contents
        if mapping(content["metadata"].get("labels")).get(OWNER_LABEL) == owner
    ]
    order = {side: place for place, side in enumerate(("graph", "hem", "edge", "uplink", "cloud"))}
    return sorted(found, key=lambda part: (part.site, order.get(part.side, len(order)), part.name))


class _Made:
    """What KServe has made, found by what it was made of."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.deployments = _by_label(snapshot.deployments)
        self.pods = _by_label(snapshot.pods)
        self.ready_services = {name_in(each) for each in snapshot.services if _says_ready(each)}
        self.events: defaultdict[str, list[Mapping[str, Any]]] = defaultdict(list)
        for event in snapshot.events:
            self.events[str(mapping(event.get("involvedObject")).get("uid"))].append(event)


def _by_label(contents: Sequence[dict[str, Any]]) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """By one of the labels that KServe gives, and its value."""
    part, _, of_llm = LLM_PART.partition("=")
    found: defaultdict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for each in contents:
        labels = mapping(each["metadata"].get("labels"))
        known = (LLM_LABEL,) if labels.get(part) == of_llm else (GRAPH_LABEL, SERVICE_LABEL)
        for label in known:
            if label in labels:
                found[label, str(labels[label])].append(each)
    return dict(found)


def _part(content: Mapping[str, Any], label: str, made: _Made) -> Part:
    metadata = mapping(content.get("metadata"))
    name, labels = name_in(content), mapping(metadata.get("labels"))
    pods = tuple(made.pods.get((label, name), ()))
    deployments = made.deployments.get((label, name), [])
    stuck = [each for each in pods if pod_failure(each)]
    finding = _finding(content, deployments, pods, made)
    counts = [mapping(each.get("status")).get("availableReplicas") for each in deployments]
    known = [int(count) for count in counts if count is not None]
    status = mapping(content.get("status"))
    return Part(
        str(content.get("kind")),
        name,
        str(labels.get(INSTANCE) or labels.get(OWNER_LABEL)),
        str(labels.get(COMPONENT) or name),
        finding,
        sum(known) if known else sum(map(is_ready, pods)),
        len(stuck),
        str(status["url"]) if status.get("url") else None,
        str(metadata.get("creationTimestamp") or ""),
        mapping(conditions_of(content).get("Ready")).get("lastTransitionTime"),
        pods,
    )


def _finding(
    content: Mapping[str, Any],
    deployments: Sequence[Mapping[str, Any]],
    pods: Sequence[Mapping[str, Any]],
    made: _Made,
) -> Finding:
    """The first that holds: something is stuck; it runs; it waits, and for what."""
    if mapping(content.get("metadata")).get("deletionTimestamp"):
        return Finding("Pending", "Terminating", "it is being deleted")
    pending = next(filter(None, map(_unavailable, deployments)), None)
    runs = _says_ready(content) and pending is None
    # One that was evicted stays, also where another one runs in its place.
    live = [each for each in pods if not (runs and _phase(each) == "Failed")]
    failures = (
        *filter(None, map(pod_failure, live)),
        *(finding for each in deployments for finding in _deployment_failures(each)),
        *_own_failures(content),
    )
    if failures:
        return failures[0]
    if runs:
        return Finding("Running", "Ready")
    waits = (
        *_stopped(content),
        *_unschedulable(pods),
        *_events_of((content, *deployments, *pods), made),
        *_waits_for(content, made.ready_services),
        *([pending] if pending else []),
        *_own_waits(content),
        *_not_reconciled(content, deployments),
    )
    return waits[0] if waits else Finding("Pending", "Starting")


def _deployment_failures(deployment: Mapping[str, Any]) -> Iterator[Finding]:
    conditions = conditions_of(deployment)
    replicas, progress = (
        mapping(conditions.get(name)) for name in ("ReplicaFailure", "Progressing")
    )
    if replicas.get("status") == "True":
        yield _of_condition("Failed", replicas, "ReplicaFailure")
    if progress.get("status") == "False":
        yield _of_condition("Failed", progress, "ProgressDeadlineExceeded")


def _own_failures(content: Mapping[str, Any]) -> Iterator[Finding]:
    """What KServe says of a service that it can't make, or whose model does not load."""
    for condition in conditions_of(content).values():
        reason = str(condition.get("reason") or "")
        if condition.get("status") == "False" and _is_failure(reason):
            yield _of_condition("Failed", condition, reason)
    model = mapping(mapping(content.get("status")).get("modelStatus"))
    if model.get("transitionStatus") in ("BlockedByFailedLoad", "InvalidSpec"):
        failure = mapping(model.get("lastFailureInfo"))
        reason = failure.get("reason") or model["transitionStatus"]
        yield Finding("Failed", str(reason), str(failure.get("message") or ""))


def _is_failure(reason: str) -> bool:
    return reason.endswith(("Failed", "Error", "Exceeded")) or reason.startswith("Invalid")


def _unavailable(deployment: Mapping[str, Any]) -> Finding | None:
    """Where it is not, or not yet what was asked for last."""
    metadata, status = mapping(deployment.get("metadata")), mapping(deployment.get("status"))
    seen = status.get("observedGeneration")
    if seen and int(seen) < int(metadata.get("generation") or 0):
        return Finding("Pending", "RollingOut", f"Deployment {metadata.get('name')} has changed")
    conditions = conditions_of(deployment)
    wanted = int(mapping(deployment.get("spec")).get("replicas") or 0)
    updated = status.get("updatedReplicas")
    if updated is not None and int(updated) < wanted:
        text = f"{updated} of {wanted} workers are new"
        return Finding("Pending", "RollingOut", f"Deployment {metadata.get('name')}: {text}")
    available = mapping(conditions.get("Available"))
    if available.get("status") == "True":
        return None
    return _of_condition("Pending", available, "MinimumReplicasUnavailable")


def _stopped(content: Mapping[str, Any]) -> Iterator[Finding]:
    if mapping(conditions_of(content).get("Stopped")).get("status") == "True":
        yield Finding("Pending", "Stopped", "by the annotation serving.kserve.io/stop")


def _unschedulable(pods: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    for pod in pods:
        scheduled = mapping(conditions_of(pod).get("PodScheduled"))
        if scheduled.get("status") == "False":
            yield Finding("Pending", "FailedScheduling", of_pod(pod, scheduled))


def _events_of(contents: Sequence[Mapping[str, Any]], made: _Made) -> list[Finding]:
    """Warnings about these objects, the latest one first."""
    uids = [str(each["metadata"].get("uid")) for each in contents]
    found = [event for uid in uids for event in made.events.get(uid, ())]
    found.sort(key=_time_of_event, reverse=True)
    return [
        Finding("Pending", str(each.get("reason")), " ".join(str(each.get("message")).split()))
        for each in found
    ]


def _time_of_event(event: Mapping[str, Any]) -> str:
    metadata = mapping(event.get("metadata"))
    times = (event.get("lastTimestamp"), event.get("eventTime"), metadata.get("creationTimestamp"))
    return str(next(filter(None, times), ""))


def _waits_for(content: Mapping[str, Any], ready_services: set[str]) -> Iterator[Finding]:
    """KServe makes a graph's router when every service that it names is ready."""
    nodes = mapping(mapping(content.get("spec")).get("nodes"))
    named = {
        str(step["serviceName"])
        for node in nodes.values()
        for step in map(mapping, sequence(mapping(node).get("steps")))
        if step.get("serviceName")
    }
    if waiting := sorted(named - ready_services):
        message = f"KServe makes the graph's router when they are ready: {', '.join(waiting)}"
        yield Finding("Pending", "WaitsForServices", message)


def _own_waits(content: Mapping[str, Any]) -> Iterator[Finding]:
    for condition in conditions_of(content).values():
        if condition.get("type") != "Stopped" and condition.get("status") != "True":
            yield _of_condition("Pending", condition, f"{condition.get('type')}Unknown")


def _not_reconciled(
    content: Mapping[str, Any], deployments: Sequence[Mapping[str, Any]]
) -> Iterator[Finding]:
    if not deployments and not content.get("status"):
        yield Finding(
            "Pending",
            "NotReconciled",
            "KServe has made nothing of it yet; does its controller run? "
            "(kubectl get pods --all-namespaces -l control-plane=kserve-controller-manager)",
        )


def _says_ready(content: Mapping[str, Any]) -> bool:
    return mapping(conditions_of(content).get("Ready")).get("status") == "True"


def _of_condition(kind: Condition, condition: Mapping[str, Any], default: str) -> Finding:
    message = " ".join(str(condition.get("message") or "").split())
    return Finding(kind, str(condition.get("reason") or default), message)


def _phase(pod: Mapping[str, Any]) -> Any:
    return mapping(pod.get("status")).get("phase")
