"""What is rendered beside the models where a spec asks for it: ways in from outside, who may talk
to whom, metrics."""

import ipaddress
import re
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from inferencegraph.check.pods.syntax import LABEL_VALUE, QUALIFIED_NAME
from inferencegraph.spec.fields import FromList, Part

SITE: Final = "{site}"
_PATH: Final = re.compile(r"(/(?!\.{1,2}(/|$))[-A-Za-z0-9._~]+)+")
_HOST: Final = re.compile(r"(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
# Of HTTPRoutes alone, and of Ingresses alone.
_OF_ROUTES: Final = ("parentRefs", "path")
_OF_INGRESSES: Final = ("ingressClassName", "tlsSecret")


class ParentRef(Part):
    """A Gateway that is there already."""

    name: str = Field(min_length=1, max_length=253)
    namespace: str | None = Field(default=None, min_length=1, max_length=63)
    section_name: str | None = Field(default=None, min_length=1, description="its listener")
    port: int | None = Field(default=None, ge=1, le=65535, description="its listener's")


class Expose(Part):
    """Each site's gateway from outside, by an HTTPRoute or an Ingress; `graph`: the V2 graph, too,
    below /graph. `{site}` stands for the site's name in host, path and tlsSecret."""

    kind: Literal["httpRoute", "ingress"]
    host: str | None = Field(default=None, min_length=1, description="such as {site}.example.com")
    path: str | None = Field(
        default=None, description="in front of all paths, such as /{site}; httpRoute only"
    )
    graph: bool = False
    parent_refs: Annotated[tuple[ParentRef, ...], FromList] = Field(
        default=(), description="the Gateways of an httpRoute"
    )
    ingress_class_name: str | None = Field(default=None, min_length=1)
    tls_secret: str | None = Field(
        default=None, min_length=1, description="an Ingress's certificate; a Gateway has its own"
    )
    annotations: dict[str, str] = Field(default_factory=dict)

    @field_validator("host")
    @classmethod
    def _is_host(cls, host: str | None) -> str | None:
        if host is not None and not _HOST.fullmatch(host.replace(SITE, "a")):
            raise ValueError(
                "is no host name: a-z, 0-9, - and dots, without scheme and port; {site} alone may "
                "stand in braces"
            )
        return host

    @field_validator("path")
    @classmethod
    def _is_path(cls, path: str | None) -> str | None:
        if path is not None and not _PATH.fullmatch(path.replace(SITE, "a")):
            raise ValueError(
                "is no path such as /{site}: it begins with a slash and ends without one; {site} "
                "alone may stand in braces"
            )
        return path

    @model_validator(mode="after")
    def _of_its_kind(self) -> Self:
        given = self.model_dump(by_alias=True, exclude_none=True, exclude_defaults=True)
        strangers = _OF_INGRESSES if self.kind == "httpRoute" else _OF_ROUTES
        if wrong := [name for name in strangers if name in given]:
            why = {
                "parentRefs": "an Ingress has an ingressClassName",
                "path": "an Ingress takes no prefix away; give each site a host of its own",
                "ingressClassName": "an HTTPRoute has parentRefs",
                "tlsSecret": "certificates are the Gateway's own",
            }[wrong[0]]
            raise ValueError(f"has {wrong[0]} with kind {self.kind}: {why}")
        if self.kind == "httpRoute" and not self.parent_refs:
            raise ValueError("needs parentRefs: the Gateway's name, and its namespace")
        return self


def _labels(value: dict[str, str]) -> dict[str, str]:
    for name, text in value.items():
        if fault := QUALIFIED_NAME.fault(name) or LABEL_VALUE.fault(text):
            raise ValueError(f"a label {fault}")
    return value


def _network(value: str) -> str:
    ipaddress.ip_network(value)
    return value


Labels = Annotated[dict[str, str], Field(min_length=1), AfterValidator(_labels)]
Port = Annotated[int, Field(ge=1, le=65535)]


class NetworkPolicies(Part):
    """Who may talk to whom: the pods of a site to each other as queries go, and nobody else. All
    fields are about namespaces by their labels, as `kubernetes.io/metadata.name`."""

    callers: Annotated[tuple[Labels, ...], FromList] = Field(
        default=(), description="who may call the graph and the gateway; none: anybody"
    )
    cloud_callers: Annotated[tuple[Labels, ...], FromList] = Field(
        default=(), description="who may call the cloud besides its uplinks"
    )
    prometheus: Annotated[tuple[Labels, ...], FromList] = Field(
        default=(), description="where metrics are read from"
    )
    control_plane: Annotated[tuple[Annotated[str, AfterValidator(_network)], ...], FromList] = (
        Field(
            default=(), description="addresses (CIDR) of API servers, whose proxy hem status uses"
        )
    )
    download_ports: Annotated[tuple[Port, ...], FromList] = Field(
        default=(443,), description="of hubs and stores that models are fetched from at a start"
    )
    database_ports: Annotated[tuple[Port, ...], FromList] = Field(
        default=(5432,), description="of PostgreSQL, where feedback is kept there"
    )


class Monitoring(Part):
    """A PodMonitor of the Prometheus operator for all pods of the spec."""

    labels: Annotated[dict[str, str], AfterValidator(_labels)] = Field(
        default_factory=dict, description="by which your Prometheus chooses PodMonitors"
    )
    interval: str | None = Field(default=None, pattern=r"^[1-9][0-9]*(ms|s|m|h)$")
