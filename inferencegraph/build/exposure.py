"""A site from outside: an HTTPRoute or an Ingress to the gateway's paths, and to the V2 graph.

Only the paths of OpenAI's API are routed, which the gateway guards with its callers' keys: HEM's
other paths, V2 and metrics, are for the cluster. A graph has no keys.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from inferencegraph.build.mining import Mining, hem_workload
from inferencegraph.build.pods import labels
from inferencegraph.build.sites import Site
from predictors.contract.openai.errors import PREFIXES

HTTP_ROUTE: Final = "httpRoute"
INGRESS: Final = "ingress"
SITE: Final = "{site}"  # stands for the site's name
GRAPH_PATH: Final = "/graph"
_PORT: Final = 80  # of every Service that KServe makes
# Streams end when HEM ends them: no limit in front of it is shorter than its own.
_UNLIMITED: Final = "0s"
_STREAM_SECONDS: Final = 3600
# ingress-nginx holds answers back, and cuts them after a minute, where nothing else is said. The
# body is as large as a server of ours takes (`max_body_bytes`).
_NGINX: Final = "nginx.ingress.kubernetes.io"
STREAMING: Final[Mapping[str, str]] = {
    f"{_NGINX}/proxy-buffering": "off",
    f"{_NGINX}/proxy-body-size": "8m",
    f"{_NGINX}/proxy-read-timeout": str(_STREAM_SECONDS),
    f"{_NGINX}/proxy-send-timeout": str(_STREAM_SECONDS),
}


@dataclass(frozen=True, slots=True)
class Exposure:
    """`host`, `path` and `tls_secret` may have `{site}` in them. `parents`: an HTTPRoute's
    parentRefs."""

    kind: str
    host: str | None = None
    path: str = ""
    graph: bool = False
    parents: tuple[Mapping[str, Any], ...] = ()
    ingress_class: str | None = None
    tls_secret: str | None = None
    annotations: Mapping[str, str] = field(default_factory=dict)

    def of(self, site: str) -> tuple[str | None, str]:
        """Host and path of the site called so."""
        return self.host and self.host.replace(SITE, site), self.path.replace(SITE, site)


@dataclass(frozen=True, slots=True)
class _Target:
    """A Service, and the path by which it is asked. `seconds`: None without a limit."""

    path: str
    service: str
    seconds: int | None = None


def way_in(site: Site, mining: Mining, exposure: Exposure) -> dict[str, Any]:
    """The site's HTTPRoute or Ingress, `<x>-gateway`: KServe names its own after its services."""
    route = exposure.kind == HTTP_ROUTE
    annotations = {**({} if route else STREAMING), **exposure.annotations}
    return {
        "apiVersion": "gateway.networking.k8s.io/v1" if route else "networking.k8s.io/v1",
        "kind": "HTTPRoute" if route else "Ingress",
        "metadata": {
            "name": f"{site.name}-gateway",
            "labels": labels(site.name, "gateway", site.owner),
            **({"annotations": annotations} if annotations else {}),
        },
        "spec": (_route if route else _ingress)(site, mining, exposure),
    }


def _targets(site: Site, mining: Mining, exposure: Exposure) -> Iterator[_Target]:
    if mining.gateway:
        for prefix in PREFIXES:
            yield _Target(prefix, hem_workload(site.name, mining))
    if exposure.graph:
        yield _Target(GRAPH_PATH, site.name, site.timeouts.server_write)


def _route(site: Site, mining: Mining, exposure: Exposure) -> dict[str, Any]:
    host, path = exposure.of(site.name)
    rules = []
    for target in _targets(site, mining, exposure):
        limit = _UNLIMITED if target.seconds is None else f"{target.seconds}s"
        rewrite = {"type": "ReplacePrefixMatch", "replacePrefixMatch": target.path}
        rules.append(
            {
                "matches": [{"path": {"type": "PathPrefix", "value": f"{path}{target.path}"}}],
                **(
                    {"filters": [{"type": "URLRewrite", "urlRewrite": {"path": rewrite}}]}
                    if path
                    else {}
                ),
                "backendRefs": [{"name": target.service, "port": _PORT}],
                "timeouts": {"request": limit, "backendRequest": limit},
            }
        )
    return {
        "parentRefs": [dict(parent) for parent in exposure.parents],
        **({"hostnames": [host]} if host else {}),
        "rules": rules,
    }


def _ingress(site: Site, mining: Mining, exposure: Exposure) -> dict[str, Any]:
    host, _ = exposure.of(site.name)
    paths = [
        {
            "path": target.path,
            "pathType": "Prefix",
            "backend": {"service": {"name": target.service, "port": {"number": _PORT}}},
        }
        for target in _targets(site, mining, exposure)
    ]
    hosts = {"hosts": [host]} if host else {}
    spec: dict[str, Any] = {}
    if exposure.ingress_class:
        spec["ingressClassName"] = exposure.ingress_class
    if exposure.tls_secret:
        secret = exposure.tls_secret.replace(SITE, site.name)
        spec["tls"] = [{**hosts, "secretName": secret}]
    spec["rules"] = [{**({"host": host} if host else {}), "http": {"paths": paths}}]
    return spec
