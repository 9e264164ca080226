"""The status of a service as the owner's document has it; stored on request.

The document's fields: conditions, startTime, active, failed and metrics; `url`, `edgeShare` and
`cost` stand beside them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from inferencegraph.build.pods import OWNER_LABEL
from inferencegraph.check.containers import mapping, sequence
from inferencegraph.cluster.api import Cluster
from inferencegraph.cluster.components import Part, parts
from inferencegraph.cluster.failures import ClusterError, NotFound
from inferencegraph.cluster.observing import SPECS, Snapshot
from inferencegraph.cluster.pods import Condition, Finding
from inferencegraph.cluster.promise import ALLOWED, Promise, promise
from inferencegraph.cluster.telemetry import Figures, Reader, Telemetry
from inferencegraph.spec.mining import Promise as SpecPromise
from inferencegraph.spec.service import parsed
from predictors.contract import CLOUD, EDGE
from predictors.errors import known

CONDITIONS: Final[tuple[Condition, ...]] = ("Pending", "Running", "Failed")
# What `hem status` exits with.
EXIT_CODES: Final[Mapping[Condition, int]] = {"Running": 0, "Failed": 1, "Pending": 3}


@dataclass(frozen=True, slots=True)
class Service:
    """One owner's parts at one time. `stored`: its LLMJointInferenceService, where the cluster
    has it. `promises`: by site, of those whose HEM has told its metrics."""

    name: str
    namespace: str
    parts: tuple[Part, ...]
    stored: Mapping[str, Any] | None
    telemetry: Telemetry
    promises: Mapping[str, Promise]
    at: datetime

    @property
    def finding(self) -> Finding:
        """Failed where a part has, else Pending where one is, else Running."""
        for condition in ("Failed", "Pending"):
            for part in self.parts:
                if part.finding.condition == condition:
                    about = f"{part.kind}/{part.name}"
                    message = f"{about}: {part.finding.message}".rstrip(": ")
                    return Finding(part.finding.condition, part.finding.reason, message)
        return Finding("Running", "AllPartsReady", f"{len(self.parts)} parts are ready")

    @property
    def sites(self) -> list[str]:
        return list(dict.fromkeys(part.site for part in self.parts))

    @property
    def started(self) -> str:
        """When its spec was stored, or else its first part made."""
        stored = mapping(mapping(self.stored).get("metadata")).get("creationTimestamp")
        return str(stored or min((part.started for part in self.parts), default=""))

    @property
    def urls(self) -> Mapping[str, str]:
        """By site: its graph's, or where it has none, its first part's; not before that has one."""
        entries = {part.site: part for part in reversed(self.parts)}  # in the order of a request
        return {site: part.url for site, part in entries.items() if part.url}

    @property
    def promised(self) -> SpecPromise | None:
        """What the stored spec promises, in whichever spelling; None where it is not known."""
        spec = parsed(self.stored)[0] if self.stored else None
        worker = spec.spec.edge_worker if spec else None
        mining = worker.hard_example_mining if worker else None
        return mining.promise if mining else None


def services(snapshot: Snapshot, reader: Reader, name: str | None) -> list[Service]:
    """Of one owner, or of all in the namespace. Raises ClusterError where there is none."""
    owners = snapshot.owners
    if name is not None and name not in owners:
        raise ClusterError(
            f"nothing in namespace {snapshot.namespace!r} has the label {OWNER_LABEL}={name}; "
            f"{known(name, owners)}"
        )
    if not owners:
        raise ClusterError(
            f"no InferenceService or InferenceGraph in namespace {snapshot.namespace!r} has the "
            f"label {OWNER_LABEL}; apply something with `hem apply`, or name another --namespace"
        )
    return [_service(snapshot, reader, owner) for owner in owners if name in (None, owner)]


def _service(snapshot: Snapshot, reader: Reader, owner: str) -> Service:
    found = parts(snapshot, owner)
    read = reader.read(owner, found)
    stored = next((each for each in snapshot.specs if each["metadata"]["name"] == owner), None)
    promises = {
        site: promise(figures) for site, figures in read.figures.items() if figures.decisions
    }
    return Service(owner, snapshot.namespace, tuple(found), stored, read, promises, snapshot.at)


def document_status(service: Service) -> dict[str, Any]:
    """`status` of an LLMJointInferenceService."""
    sums = _sums(service.telemetry.figures.values())
    of_all = promise(sums)
    graphs = [part.url for part in service.parts if part.kind == "InferenceGraph" and part.url]
    urls = [*graphs, *service.urls.values()]
    status: dict[str, Any] = {
        "conditions": _conditions(service),
        "startTime": service.started,
        "active": sum(part.active for part in service.parts),
        "failed": sum(part.failed for part in service.parts),
        "metrics": _metrics(sums, of_all),
    }
    if urls:
        status["url"] = urls[0]
    if of_all.share:
        status["edgeShare"] = round(of_all.share.value, 6)
    if sums.costs:
        status["cost"] = round(sum(sums.costs.values()), 6)
    return status


def as_json(service: Service) -> dict[str, Any]:
    """All that `hem status --json` prints of a service."""
    return {
        "name": service.name,
        "namespace": service.namespace,
        "condition": service.finding.condition,
        "reason": service.finding.reason,
        "message": service.finding.message,
        "status": document_status(service),
        "sites": [_site(service, site) for site in service.sites],
        "notes": list(service.telemetry.notes),
    }


def store(cluster: Cluster, found: Sequence[Service]) -> None:
    """Writes the status subresources. Raises ClusterError where the cluster has none of these
    objects."""
    resource = cluster.resource(SPECS.api_version, SPECS.kind)
    stored = [service for service in found if service.stored is not None]
    if not stored:
        names = ", ".join(service.name for service in found)
        raise NotFound(
            f"there is no {SPECS.kind} of {names} in namespace {found[0].namespace!r} whose status "
            "could be written; apply its spec with `hem apply -f`",
            404,
        )
    for service in stored:
        content = {
            "apiVersion": SPECS.api_version,
            "kind": SPECS.kind,
            "metadata": {"name": service.name, "namespace": service.namespace},
            "status": document_status(service),
        }
        cluster.apply(resource, content, dry_run=False, force=True, sub="status")


def judged_share(service: Service, site: str) -> str | None:
    """Of a promised share: whether what was seen fits."""
    promised, seen = service.promised, service.promises.get(site)
    ratio = promised.edge_ratio if promised else None
    if ratio is None or seen is None or seen.share is None:
        return None
    kept = seen.share.low - ALLOWED <= ratio <= seen.share.high + ALLOWED
    return f"share of {ratio:.0%} promised: {'kept' if kept else 'missed'}"


def _site(service: Service, site: str) -> dict[str, Any]:
    figures, own = service.telemetry.figures.get(site), service.promises.get(site)
    return {
        "name": site,
        "errorRate": figures.error_rate if figures else None,
        "promise": own.as_json() if own else None,
        "promisedShare": judged_share(service, site),
        "routerVersions": sorted(figures.quality.versions) if figures else [],
        "quality": figures.quality.as_json() if figures else None,
        "speculation": figures.speculation.as_json() if figures else None,
        "parts": [_part(service, part) for part in service.parts if part.site == site],
    }


def _part(service: Service, part: Part) -> dict[str, Any]:
    answered = part.name in service.telemetry.answered
    return {
        "side": part.side,
        "kind": part.kind,
        "name": part.name,
        "condition": part.finding.condition,
        "reason": part.finding.reason,
        "message": part.finding.message,
        "active": part.active,
        "failed": part.failed,
        "url": part.url,
        "startTime": part.started,
        "lastTransitionTime": part.changed,
        "heartbeat": stamp(service.telemetry.at) if answered else None,
    }


def _conditions(service: Service) -> list[dict[str, str]]:
    """All three, exactly one of them True; a condition that has not changed keeps its time."""
    now, finding = stamp(service.at), service.finding
    stored = sequence(mapping(mapping(service.stored).get("status")).get("conditions"))
    before = {mapping(each).get("type"): mapping(each) for each in stored}
    first = max((part.changed for part in service.parts if part.changed), default=now)
    conditions = []
    for kind in CONDITIONS:
        value = "True" if kind == finding.condition else "False"
        last = mapping(before.get(kind))
        same = last.get("status") == value and last.get("lastTransitionTime")
        conditions.append(
            {
                "type": kind,
                "status": value,
                "lastHeartbeatTime": now,
                "lastTransitionTime": str(same or (now if last else first)),
                "reason": finding.reason if value == "True" else f"Is{finding.condition}",
                "message": finding.message if value == "True" else "",
            }
        )
    return conditions


def _metrics(sums: Figures, of_all: Promise) -> list[dict[str, str]]:
    """Key and value, as Sedna's Metric."""
    found: dict[str, float | None] = {
        "queries": of_all.queries,
        "edgeQueries": sums.decisions[EDGE],
        "cloudQueries": sums.decisions[CLOUD],
        "errorRate": sums.error_rate,
        "scoreDrift": of_all.drift,
    }
    if (drafting := sums.speculation).speaks:
        found |= {
            "cloudCalls": drafting.calls,
            "draftAcceptance": drafting.acceptance,
            "draftRounds": drafting.rounds,
            "cloudPassesPerToken": drafting.passes_a_token,
        }
    found |= {
        f"cost.{currency}": sum(cost for (each, _), cost in sums.costs.items() if each == currency)
        for currency in sorted({currency for currency, _ in sums.costs})
    }
    return [
        {"key": key, "value": f"{value:g}"} for key, value in found.items() if value is not None
    ]


def _sums(figures: Iterable[Figures]) -> Figures:
    total = Figures()
    for each in figures:
        total.include(each)
    return total


def stamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def worst(found: Sequence[Service]) -> int:
    """The exit code of several services."""
    conditions = [service.finding.condition for service in found]
    return next((EXIT_CODES[each] for each in ("Failed", "Pending") if each in conditions), 0)
