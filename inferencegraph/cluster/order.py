"""Which kind comes first: what others stand in, or name, before them."""

from collections.abc import Mapping
from typing import Any, Final

# The graph comes last: KServe makes its router when every service that it names is ready.
KINDS: Final = (
    "Namespace",
    "CustomResourceDefinition",
    "LLMJointInferenceService",
    "ServiceAccount",
    "Secret",
    "ConfigMap",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "Job",  # which puts something there that services begin with
    "ClusterServingRuntime",
    "ServingRuntime",
    "LLMInferenceService",
    "InferenceService",
    "InferenceGraph",
)


def place(content: Mapping[str, Any]) -> int:
    """For `sorted`: all other kinds come behind, in the order that they have."""
    kind = content.get("kind")
    return KINDS.index(kind) if kind in KINDS else len(KINDS)
