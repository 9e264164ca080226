"""The sites of a spec: one for each edge node."""

import hashlib
import re
from dataclasses import dataclass
from typing import Final

from inferencegraph.build.pods import EdgeNode
from inferencegraph.build.sites import DEFAULT_TIMEOUTS, Places, Timeouts
from inferencegraph.spec.faults import SpecFault, at
from inferencegraph.spec.service import EdgeWorker, Spec

_NODE: Final = re.compile(r"[^a-z0-9-]+")
# KServe labels pods `app: isvc.<service>-<component>`, and a label's value has 63 characters; the
# longest ones that we make of a site are `-uplink` as a predictor, `-edge` as a transformer.
LONGEST_SITE: Final = 63 - len("isvc.") - len("-uplink-predictor")
LONGEST_NODE: Final = 30
_HASH: Final = 5


@dataclass(frozen=True, slots=True)
class SiteName:
    """A site's name, and where its pods run."""

    name: str
    node: EdgeNode


def sites_of(name: str, worker: EdgeWorker) -> list[SiteName]:
    """One site for each node; its names carry the node's where there are several."""
    tolerations = tuple(t.model_dump(by_alias=True, exclude_none=True) for t in worker.tolerations)
    if len(name) > LONGEST_SITE:
        raise SpecFault("metadata.name", _too_long(name, LONGEST_SITE))
    if not worker.nodes:
        return [SiteName(name, EdgeNode(labels=worker.node_selector, tolerations=tolerations))]
    sites: list[SiteName] = []
    for index, node in enumerate(worker.nodes):
        own = _NODE.sub("-", node.name.lower()).strip("-")
        if len(own) > LONGEST_NODE:
            raise SpecFault(f"spec.edgeWorker.nodes[{index}]", _too_long(own, LONGEST_NODE))
        site = name if len(worker.nodes) == 1 else _joined(name, own)
        if site in [other.name for other in sites]:
            raise SpecFault(
                f"spec.edgeWorker.nodes[{index}]",
                f"{node.name!r} and another node both make the site {site!r}; give one of them a "
                "name of its own: {name: ..., labels: {kubernetes.io/hostname: ...}}",
            )
        labels = {**worker.node_selector, **(node.labels or {})}
        hostname = None if node.labels else node.name
        sites.append(SiteName(site, EdgeNode(hostname, labels=labels, tolerations=tolerations)))
    return sites


def _joined(name: str, node: str) -> str:
    """`NAME-NODE`; where that is too long, as much of NAME as fits and a hash of it."""
    whole = f"{name}-{node}"
    if len(whole) <= LONGEST_SITE:
        return whole
    told = hashlib.sha256(name.encode()).hexdigest()[:_HASH]
    kept = name[: LONGEST_SITE - len(node) - _HASH - 2].rstrip("-")
    return f"{kept}-{told}-{node}"


def _too_long(name: str, longest: int) -> str:
    return (
        f"{name!r} has {len(name)} characters; at most {longest} leave room for the names that "
        "KServe makes from it"
    )


def timeouts_of(spec: Spec) -> Timeouts:
    given = spec.timeouts.model_dump(exclude_none=True)
    with at("spec.timeouts"):
        return Timeouts(**given) if given else DEFAULT_TIMEOUTS


def places_of(spec: Spec, forwards: bool) -> Places:
    """Of the uplinks. `forwards`: whether something is rendered that calls a cloud. Raises
    SpecFault."""
    if spec.uplink.model_fields_set and not forwards:
        raise SpecFault("spec.uplink", "no uplink is rendered: it stands between edge and cloud")
    return Places(spec.uplink.max_concurrency, spec.uplink.max_queue)
