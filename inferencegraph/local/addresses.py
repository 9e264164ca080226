"""Cluster host names in arguments and environment -> this machine's ports.

A Service is known by four names (`x`, `x.ns`, `x.ns.svc`, `x.ns.svc.cluster.local`), whatever port
is written behind them: inside a cluster that port is the Service's, here it is the process's. Only
a port on which its container says that it speaks gRPC is another one here, too.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

LOOPBACK = "127.0.0.1"
_ADDRESS = re.compile(
    r"(?P<lead>://|^|=)(?P<host>[a-z0-9][-a-z0-9.]*)(?P<port>:\d+)?(?=[/?#,\s]|$)"
)
_COMPONENTS = ("-predictor", "-transformer")


def host_names(service: str, namespace: str) -> list[str]:
    """Every name under which a cluster's DNS knows `service`."""
    return [
        service,
        f"{service}.{namespace}",
        f"{service}.{namespace}.svc",
        f"{service}.{namespace}.svc.cluster.local",
    ]


@dataclass(frozen=True, slots=True)
class Addresses:
    """`services`: host name -> local port. `pod`: port inside the pod -> local port, for
    containers that meet on `localhost` (a collocated transformer and its predictor). `grpc`: host
    name and the port on which that service speaks gRPC -> local port."""

    services: Mapping[str, int]
    pod: Mapping[int, int]
    grpc: Mapping[tuple[str, int], int] = field(default_factory=dict)

    def localize(self, text: str) -> str:
        """`text` with every address of a known service replaced by its local one.

        A bare InferenceService name is left alone unless it stands in a URL or carries a port:
        `--model_name=qa-edge` is a model's name, not a host.
        """
        return _ADDRESS.sub(self._replace, text)

    def _replace(self, match: re.Match[str]) -> str:
        lead, host, port = match["lead"], match["host"], match["port"]
        local = self._local_port(host, port, in_url=lead == "://")
        return match[0] if local is None else f"{lead}{LOOPBACK}:{local}"

    def _local_port(self, host: str, port: str | None, *, in_url: bool) -> int | None:
        if host in {"localhost", LOOPBACK}:
            return self.pod.get(int(port[1:])) if port else None
        if port and (there := self.grpc.get((host, int(port[1:])))):
            return there
        is_host = in_url or port or host.endswith(".svc") or ".svc." in host
        if is_host or host.split(".")[0].endswith(_COMPONENTS):
            return self.services.get(host)
        return None
