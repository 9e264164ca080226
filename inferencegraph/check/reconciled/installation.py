"""What an installation of KServe decides (its ConfigMap `inferenceservice-config`)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

_COMPONENT: Final = {"cpu": "1", "memory": "2Gi"}


@dataclass(frozen=True, slots=True)
class Installation:
    """By default what KServe ships. `namespace`: of objects that name none."""

    namespace: str = "default"
    domain: str = "example.com"
    ingress_class: str = "istio"
    router_image: str = "kserve/router:latest"

    def namespace_of(self, content: Mapping[str, Any]) -> str:
        metadata = content.get("metadata")
        named = metadata.get("namespace") if isinstance(metadata, dict) else None
        return str(named or self.namespace)

    def host(self, name: str, namespace: str) -> str:
        return f"{name}-{namespace}.{self.domain}"


# What a container without resources of its own gets.
COMPONENT_RESOURCES: Final = {"limits": _COMPONENT, "requests": _COMPONENT}
ROUTER_RESOURCES: Final = {
    "limits": {"cpu": "1", "memory": "1Gi"},
    "requests": {"cpu": "100m", "memory": "100Mi"},
}
