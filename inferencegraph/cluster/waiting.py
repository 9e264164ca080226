"""Until all parts run, or all objects are gone."""

import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from inferencegraph.cluster.api import Cluster, Resource
from inferencegraph.cluster.components import Part, parts
from inferencegraph.cluster.observing import Snapshot, observing

# KServe doesn't tell which version of an object its status is of, so it gets time to begin.
SETTLE: Final = 2.0
_LOOK: Final = 1.0  # seconds between two looks whether an object is gone


class NotReady(Exception):
    """Time is up; `parts` are those that don't run."""

    def __init__(self, waiting: Sequence[Part]) -> None:
        super().__init__("\n".join(map(waits, waiting)))
        self.parts = waiting


def wait_until_running(
    cluster: Cluster,
    namespace: str,
    owners: Sequence[str],
    seconds: float,
    tell: Callable[[str], None],
    settle: float = SETTLE,
) -> None:
    """Follows the cluster, and tells each part whose condition changes. Raises NotReady."""
    begun = time.monotonic()
    told: dict[str, str] = {}
    with observing(cluster, namespace) as observer:
        while True:
            found = _parts(observer.now(), owners)
            for part in found:
                line = waits(part)
                if told.get(part.name) != line:
                    told[part.name] = line
                    tell(line)
            waiting = [part for part in found if part.finding.condition != "Running"]
            passed = time.monotonic() - begun
            if not waiting and passed >= settle:
                return
            if passed >= seconds:
                raise NotReady(waiting)
            observer.wait(min(seconds - passed, settle if not waiting else seconds))


def wait_until_gone(
    cluster: Cluster, objects: Sequence[tuple[Resource, dict[str, Any]]], seconds: float
) -> list[dict[str, Any]]:
    """Those that are still there when time is up, as they are now; a new one of the same name is
    another object."""
    end = time.monotonic() + seconds
    left = list(objects)
    while True:
        found = [(resource, _live(cluster, resource, content)) for resource, content in left]
        left = [(resource, live) for resource, live in found if live is not None]
        if not left or time.monotonic() >= end:
            return [content for _, content in left]
        time.sleep(min(_LOOK, max(0.0, end - time.monotonic())))


def waits(part: Part) -> str:
    finding = part.finding
    message = f": {finding.message}" if finding.message else ""
    return f"{part.kind}/{part.name}: {finding.condition}, {finding.reason}{message}"


def _parts(snapshot: Snapshot, owners: Sequence[str]) -> list[Part]:
    return [part for owner in owners for part in parts(snapshot, owner)]


def _live(cluster: Cluster, resource: Resource, content: dict[str, Any]) -> dict[str, Any] | None:
    """The very same object, as it is now."""
    metadata = content["metadata"]
    live = cluster.find_object(resource, metadata.get("namespace"), metadata["name"])
    return live if live and live["metadata"]["uid"] == metadata["uid"] else None
