"""What so many edge nodes are to the API server: objects, and their bytes."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from inferencegraph.build.mining import QUERY_STAGE
from inferencegraph.build.pods import EdgeNode
from inferencegraph.build.setup import objects
from inferencegraph.check.reconciled.site import reconciled
from inferencegraph.spec.examples import FOLDER, setup

# What Kubernetes' own controllers make: of a Deployment a ReplicaSet, and of that its pods; of a
# Service an EndpointSlice, and Endpoints beside it.
OF_A_DEPLOYMENT = ("ReplicaSet", "Pod")
OF_A_SERVICE = ("EndpointSlice", "Endpoints")


@dataclass(frozen=True, slots=True)
class Objects:
    """By kind how many are applied, are made by KServe, and by Kubernetes of those. megabytes: of
    all as JSON, without status and managedFields, and without what stands in EndpointSlices."""

    applied: dict[str, int]
    by_kserve: dict[str, int]
    by_kubernetes: dict[str, int]
    megabytes: float

    @property
    def all(self) -> int:
        made = (self.applied, self.by_kserve, self.by_kubernetes)
        return sum(count for kinds in made for count in kinds.values())


def objects_of(nodes: int) -> Objects:
    """Of the example of mining-then-inference, one replica each, with a shared cloud."""
    made = setup(FOLDER / QUERY_STAGE)
    (site,) = made.sites
    names = [f"node-{number}" for number in range(1, nodes + 1)]
    sites = (replace(site, name=f"{made.name}-{name}", node=EdgeNode(name)) for name in names)
    applied = objects(replace(made, sites=tuple(sites)))
    by_kserve = reconciled(applied)
    kinds = _kinds(by_kserve)
    copies = sum(map(_size, map(_template, by_kserve))) * len(OF_A_DEPLOYMENT)
    return Objects(
        applied=_kinds(applied),
        by_kserve=kinds,
        by_kubernetes={
            **dict.fromkeys(OF_A_DEPLOYMENT, kinds["Deployment"]),
            **dict.fromkeys(OF_A_SERVICE, kinds["Service"]),
        },
        megabytes=(sum(map(_size, (*applied, *by_kserve))) + copies) / 1e6,
    )


def _kinds(objects: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    return dict(Counter(str(content["kind"]) for content in objects))


def _template(content: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a Deployment's ReplicaSet and pod repeat; of other kinds nothing."""
    return content["spec"]["template"] if content["kind"] == "Deployment" else {}


def _size(content: Mapping[str, Any]) -> int:
    return len(orjson.dumps(content)) if content else 0
