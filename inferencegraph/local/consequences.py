"""What it means for answers that a service is gone, or that the server which it calls fails."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from inferencegraph.build.graph import FAILED, routed_to
from inferencegraph.local.placement import LOOPBACK
from inferencegraph.local.plan import Component, Plan
from predictors.contract import CLOUD, EDGE

EDGE_ANSWERS: Final = "the edge answers"
EVERY: Final = "every question fails"
REQUESTS: Final = "requests to it fail"
NOBODY: Final = "no other service here calls it"


@dataclass(frozen=True, slots=True)
class Call:
    """How a graph comes to call a service: for which route (None: always), only where a step before
    it had failed, and who answers where it fails itself (None: nobody)."""

    route: str | None
    as_stand_in: bool
    stand_in: str | None


def if_gone(plan: Plan, component: Component) -> str:
    """A container that no longer runs, in a few words."""
    callers = [other for other in plan.components if other is not component]
    callers = [other for other in callers if _calls(other, component)]
    if _is_entry(plan, component):
        if not plan.graphs:
            return REQUESTS
        calls = list(_calls_of(plan, component.service))
        if calls:
            return _joined(map(_unreachable, sorted(calls, key=lambda call: call.as_stand_in)))
    return _joined(if_far_side_fails(plan, caller) for caller in callers)


def if_far_side_fails(plan: Plan, component: Component) -> str:
    """The server that this one calls."""
    if component.service in plan.infer_urls and _ends_alone(component):
        return EDGE_ANSWERS
    return if_failing(plan, component.service)


def _ends_alone(component: Component) -> bool:
    """Whether its small model answers where the large one, which it drafts for, is lost."""
    finishes = ("--on_far_failure=finish", "--on_break=finish")  # the older name, too
    return component.asks_the_cloud and any(word in component.command for word in finishes)


def if_failing(plan: Plan, service: str) -> str:
    """A service that answers errors."""
    if not plan.graphs:
        return REQUESTS
    return _joined(map(_failed, _calls_of(plan, service)))


def is_clouds(plan: Plan, service: str) -> bool:
    """Whether graphs send it what is for the cloud."""
    return any(call.route == CLOUD for call in _calls_of(plan, service))


def _joined(words: Iterable[str]) -> str:
    found = dict.fromkeys(words)
    return EVERY if EVERY in found else " and ".join(found) or NOBODY


def _unreachable(call: Call) -> str:
    """A step that can't be reached ends KServe's graph with 500, whatever stands behind it."""
    if call.as_stand_in:
        return "nothing stands in for the cloud"
    return f"questions for the {call.route} fail" if call.route else EVERY


def _failed(call: Call) -> str:
    if call.stand_in is None:
        return _unreachable(call)
    return EDGE_ANSWERS if call.stand_in.endswith("-edge") else f"{call.stand_in} answers"


def _is_entry(plan: Plan, component: Component) -> bool:
    return f":{component.port}/" in plan.infer_urls.get(component.service, "")


def _calls(caller: Component, called: Component) -> bool:
    address = re.compile(rf"{LOOPBACK}:({called.port}|{called.grpc_port})(?!\d)")
    return any(map(address.search, (*caller.command, *caller.environment.values())))


def _calls_of(plan: Plan, service: str) -> Iterator[Call]:
    for graph in plan.graphs:
        nodes = graph["spec"]["nodes"]
        for name, node in nodes.items():
            for index, step in enumerate(node["steps"]):
                if step.get("serviceName") == service:
                    yield _call(nodes, name, index)


def _call(nodes: Mapping[str, Any], name: str, index: int) -> Call:
    """Reads upwards from one step to the root; of several ways to a node the first counts."""
    route, as_stand_in, stand_in, softly = None, False, None, True
    seen: set[str] = set()
    while name not in seen:
        seen.add(name)
        steps = nodes[name]["steps"]
        step = steps[index]
        condition = step.get("condition", "")
        as_stand_in = as_stand_in or condition == FAILED
        route = route or next((r for r in (EDGE, CLOUD) if condition == routed_to(r)), None)
        softly = softly and step.get("dependency") != "Hard"
        if nodes[name].get("routerType") == "Sequence" and softly and stand_in is None:
            following = steps[index + 1] if index + 1 < len(steps) else {}
            if following.get("condition") == FAILED:
                stand_in = following.get("serviceName") or following.get("nodeName")
        above = [
            (parent, place)
            for parent, node in nodes.items()
            for place, other in enumerate(node["steps"])
            if other.get("nodeName") == name
        ]
        if not above:
            break
        name, index = above[0]
    return Call(route, as_stand_in, stand_in)
