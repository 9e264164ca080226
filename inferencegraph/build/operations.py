"""Objects that don't answer: budgets for disruptions, and what a spec asks for besides."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from inferencegraph.build.exposure import Exposure, way_in
from inferencegraph.build.mining import Mining
from inferencegraph.build.monitoring import Monitoring, pod_monitor
from inferencegraph.build.network_policies import Isolation, policies
from inferencegraph.build.service_accounts import Account
from inferencegraph.build.sites import Site

Objects = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Operations:
    """What is rendered where it is asked for; None: it is not. accounts and
    image_map, the name of a ConfigMap, stand in front of what answers."""

    exposure: Exposure | None = None
    isolation: Isolation | None = None
    monitoring: Monitoring | None = None
    accounts: tuple[Account, ...] = ()
    image_map: str | None = None


NOTHING_MORE: Final = Operations()


def operations_of(
    asked: Operations,
    name: str,
    made: Sequence[dict[str, Any]],
    sites: Sequence[Site],
    mining: Mining | None,
) -> Iterator[dict[str, Any]]:
    """Its objects, of the spec called `name`; `made` are those that answer."""
    if asked.exposure is not None and mining is not None:
        for site in sites:
            yield way_in(site, mining, asked.exposure)
    if asked.isolation is not None:
        yield from policies(asked.isolation, made, sites, mining)
    if asked.monitoring is not None:
        yield pod_monitor(asked.monitoring, made, name)


def disruption_budgets(objects: Sequence[dict[str, Any]]) -> Objects:
    """One for each component with two pods or more: a drain takes them one by one. With one pod it
    would hold the drain up for ever."""
    return [
        budget
        for content in objects
        if content["kind"] == "InferenceService"
        for budget in _budgets(content)
    ]


def _budgets(service: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for role, component in service["spec"].items():
        if component["minReplicas"] > 1:
            name = f"{service['metadata']['name']}-{role}"
            yield {
                "apiVersion": "policy/v1",
                "kind": "PodDisruptionBudget",
                "metadata": {"name": name, "labels": dict(service["metadata"]["labels"])},
                "spec": {
                    "maxUnavailable": 1,
                    "selector": {"matchLabels": {"app": f"isvc.{name}"}},
                },
            }
