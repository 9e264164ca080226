"""The objects that a status is read from: listed once, or watched."""

import queue
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from inferencegraph.build.pods import OWNER_LABEL
from inferencegraph.cluster.api import Cluster, Resource
from inferencegraph.cluster.failures import ClusterError, Gone

SERVICE_LABEL: Final = "serving.kserve.io/inferenceservice"
GRAPH_LABEL: Final = "serving.kserve.io/inferencegraph"
# An LLMInferenceService's are told by two labels.
LLM_LABEL: Final = "app.kubernetes.io/name"
LLM_PART: Final = "app.kubernetes.io/part-of=llminferenceservice"
MADE: Final = (SERVICE_LABEL, GRAPH_LABEL, LLM_PART)  # which Deployments and pods are of interest
# A broken watch is asked for again after these seconds; after the last one, the command ends.
PAUSES: Final = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0)


@dataclass(frozen=True, slots=True)
class Kind:
    """One list: its labels select, or its fields do. `needed`: without it nothing can be said.
    `quiet`: its changes are no news, as we make them ourselves."""

    api_version: str
    kind: str
    labels: str = ""
    fields: str = ""
    needed: bool = True
    quiet: bool = False


SERVICES: Final = Kind("serving.kserve.io/v1beta1", "InferenceService", OWNER_LABEL)
GRAPHS: Final = Kind("serving.kserve.io/v1alpha1", "InferenceGraph", OWNER_LABEL)
LLM_SERVICES: Final = Kind(
    "serving.kserve.io/v1alpha2", "LLMInferenceService", OWNER_LABEL, needed=False
)
EVENTS: Final = Kind("v1", "Event", fields="type=Warning", needed=False)
SPECS: Final = Kind("kserve-hem.io/v1alpha1", "LLMJointInferenceService", needed=False, quiet=True)
OBSERVED: Final = (
    SERVICES,
    GRAPHS,
    LLM_SERVICES,
    *(Kind("apps/v1", "Deployment", labels) for labels in MADE),
    *(Kind("v1", "Pod", labels) for labels in MADE),
    EVENTS,
    SPECS,
)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All objects of one namespace that matter, at one time."""

    namespace: str
    services: list[dict[str, Any]]
    graphs: list[dict[str, Any]]
    llm_services: list[dict[str, Any]]
    deployments: list[dict[str, Any]]
    pods: list[dict[str, Any]]
    events: list[dict[str, Any]]
    specs: list[dict[str, Any]]
    at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def owners(self) -> list[str]:
        owned = [*self.services, *self.graphs, *self.llm_services]
        return sorted({str(each["metadata"]["labels"][OWNER_LABEL]) for each in owned})


News = queue.Queue[ClusterError | None]  # None: something has changed
Lists = Mapping[Kind, list[dict[str, Any]]]


def snapshot(namespace: str, lists: Lists) -> Snapshot:
    def of(kind: str) -> list[dict[str, Any]]:
        return [each for source in OBSERVED if source.kind == kind for each in lists[source]]

    return Snapshot(
        namespace,
        of("InferenceService"),
        of("InferenceGraph"),
        of("LLMInferenceService"),
        of("Deployment"),
        of("Pod"),
        of("Event"),
        of("LLMJointInferenceService"),
    )


class Mirror:
    """A list that is kept true by a watch, in a thread of its own.

    Where the version that it has seen is too old (410 Gone), it lists again; where the connection
    breaks, it watches on from there.
    """

    def __init__(self, cluster: Cluster, resource: Resource, namespace: str, kind: Kind) -> None:
        self._cluster = cluster
        self._resource = resource
        self._namespace = namespace
        self._kind = kind
        self._objects: dict[str, dict[str, Any]] = {}
        self._version = ""
        self._lock = threading.Lock()

    def objects(self) -> list[dict[str, Any]]:
        with self._lock:
            return list(self._objects.values())

    def list(self) -> None:
        found, self._version = self._cluster.items(
            self._resource, self._namespace, self._kind.labels, self._kind.fields
        )
        with self._lock:
            self._objects = {each["metadata"]["name"]: each for each in found}

    def follow(self, news: News, stop: threading.Event) -> None:
        """Until `stop`; puts None into `news` for a change, and the error that ends it."""
        broken = 0
        while not stop.is_set():
            try:
                for kind, content in self._watch():
                    broken = 0
                    if stop.is_set():
                        return
                    if self._take(kind, content):
                        news.put(None)
            except Gone:
                self._again(news, stop)
            except ClusterError as error:
                if broken == len(PAUSES) or error.code in (401, 403):
                    news.put(error)
                    return
                stop.wait(PAUSES[broken])
                broken += 1

    def _again(self, news: News, stop: threading.Event) -> None:
        try:
            self.list()
            news.put(None)
        except ClusterError:
            stop.wait(PAUSES[0])  # the next watch tells, from the version that is too old

    def _watch(self) -> Iterator[tuple[str, dict[str, Any]]]:
        return self._cluster.watch(
            self._resource, self._namespace, self._version, self._kind.labels, self._kind.fields
        )

    def _take(self, kind: str, content: dict[str, Any]) -> bool:
        """Whether it changes anything that is shown."""
        metadata = content["metadata"]
        self._version = metadata.get("resourceVersion") or self._version
        if kind == "BOOKMARK":
            return False
        with self._lock:
            if kind == "DELETED":
                self._objects.pop(metadata["name"], None)
            else:
                self._objects[metadata["name"]] = content
        return not self._kind.quiet


class Observer:
    """Snapshots that follow the cluster."""

    def __init__(self, namespace: str, mirrors: Mapping[Kind, Mirror | None], news: News) -> None:
        self._namespace = namespace
        self._mirrors = mirrors
        self._news = news

    def now(self) -> Snapshot:
        lists = {kind: mirror.objects() if mirror else [] for kind, mirror in self._mirrors.items()}
        return snapshot(self._namespace, lists)

    def wait(self, seconds: float) -> bool:
        """Until something changes, at most so long; whether something did. Raises ClusterError
        where watching fails for good."""
        try:
            first = self._news.get(timeout=max(seconds, 0))
        except queue.Empty:
            return False
        time.sleep(0.05)  # what changes together is shown together
        for error in (first, *self._drained()):
            if error is not None:
                raise error
        return True

    def _drained(self) -> Iterator[ClusterError | None]:
        while True:
            try:
                yield self._news.get_nowait()
            except queue.Empty:
                return


def observe(cluster: Cluster, namespace: str) -> Snapshot:
    """Lists once. Raises ClusterError."""
    lists = {}
    for kind, mirror in _mirrors(cluster, namespace).items():
        lists[kind] = mirror.objects() if mirror else []
    return snapshot(namespace, lists)


@contextmanager
def observing(cluster: Cluster, namespace: str) -> Iterator[Observer]:
    """Lists and watches everything in a namespace. Raises ClusterError."""
    news: News = queue.Queue()
    stop = threading.Event()
    mirrors = _mirrors(cluster, namespace)
    for mirror in mirrors.values():
        if mirror:  # daemons: one that waits for the server must not keep the command
            threading.Thread(target=mirror.follow, args=(news, stop), daemon=True).start()
    try:
        yield Observer(namespace, mirrors, news)
    finally:
        stop.set()


def _mirrors(cluster: Cluster, namespace: str) -> dict[Kind, Mirror | None]:
    """All lists; None of what the cluster does not have, or doesn't show us, where that may be."""
    mirrors: dict[Kind, Mirror | None] = {}
    for kind in OBSERVED:
        try:
            mirror = Mirror(cluster, cluster.resource(kind.api_version, kind.kind), namespace, kind)
            mirror.list()
        except ClusterError as error:
            if kind.needed or error.code not in (403, 404):
                raise
            mirrors[kind] = None
        else:
            mirrors[kind] = mirror
    return mirrors
