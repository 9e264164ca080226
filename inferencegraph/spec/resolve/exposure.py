"""How sites are reached from outside."""

from collections.abc import Sequence
from typing import Final

from inferencegraph.build.exposure import Exposure
from inferencegraph.build.mining import Mining
from inferencegraph.check.pods.syntax import SUBDOMAIN
from inferencegraph.spec.faults import SpecFault
from inferencegraph.spec.service import Spec

FIELD: Final = "spec.expose"


def exposure_of(spec: Spec, sites: Sequence[str], mining: Mining | None) -> Exposure | None:
    """What the spec asks for. Raises SpecFault where there is nothing to expose, or where two sites
    would have the same address."""
    part = spec.expose
    if part is None:
        return None
    if mining is None:
        raise SpecFault(
            FIELD, "there is no gateway and no graph: both stand between an edge and a cloud worker"
        )
    if not mining.gateway and not part.graph:
        raise SpecFault(
            FIELD,
            "there is no gateway, as gateway.enabled is false or the edge's model is no model of "
            "text; write graph: true for the V2 graph",
        )
    made = Exposure(
        part.kind,
        part.host,
        part.path or "",
        part.graph,
        tuple(p.model_dump(by_alias=True, exclude_none=True) for p in part.parent_refs),
        part.ingress_class_name,
        part.tls_secret,
        part.annotations,
    )
    _refuse_shared(made, sites)
    return made


def _refuse_shared(exposure: Exposure, sites: Sequence[str]) -> None:
    seen: dict[tuple[str | None, str], str] = {}
    for site in sites:
        host, path = address = exposure.of(site)
        if host and (fault := SUBDOMAIN.fault(host.removeprefix("*."))):
            raise SpecFault(f"{FIELD}.host", f"of site {site!r} {fault}")
        if address in seen:
            where = f"{host or 'any host'}{path}"
            ways = "host: {site}.example.com"
            ways += " or path: /{site}" if exposure.kind == "httpRoute" else ""
            raise SpecFault(
                f"{FIELD}.host",
                f"sites {seen[address]!r} and {site!r} would both be at {where}; write {ways}",
            )
        seen[address] = site
