"""Everything with one owner's label, in reverse order."""

from collections.abc import Callable, Sequence
from typing import Any

from inferencegraph.build.pods import OWNER_LABEL
from inferencegraph.cluster.api import Cluster, Resource
from inferencegraph.cluster.failures import ClusterError
from inferencegraph.cluster.observing import GRAPHS, SERVICES
from inferencegraph.cluster.owners import owned_objects, owner_of
from inferencegraph.cluster.steps import name_of
from predictors.errors import known

Owned = tuple[Resource, dict[str, Any]]


def to_delete(cluster: Cluster, owners: Sequence[str], namespace: str) -> list[Owned]:
    """Last made, first gone. Raises ClusterError."""
    found = [each for owner in owners for each in owned_objects(cluster, owner, namespace)]
    return list(reversed(found))


def nothing_of(cluster: Cluster, owner: str, namespace: str) -> ClusterError:
    """With the owners that there are."""
    owners = set()
    for kind in (SERVICES, GRAPHS):
        if resource := cluster.find(kind.api_version, kind.kind):
            objects, _ = cluster.items(resource, namespace, kind.labels)
            owners |= {str(owner_of(each)) for each in objects}
    return ClusterError(
        f"nothing in namespace {namespace!r} has the label {OWNER_LABEL}={owner}; "
        f"{known(owner, owners)}"
    )


def delete(
    cluster: Cluster, objects: Sequence[Owned], *, wait: bool, tell: Callable[[str], None]
) -> None:
    """Raises ClusterError that says what stands."""
    for place, (resource, content) in enumerate(objects):
        try:
            cluster.delete(resource, content, "Foreground" if wait else "Background")
        except ClusterError as error:
            left = ", ".join(name_of(each) for _, each in objects[place:])
            raise ClusterError(
                f"{error}\nstopped half way; still there: {left}. Mend the cause and run the same "
                "command again",
                error.code,
            ) from error
        tell(name_of(content))
