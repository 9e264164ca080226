"""Which documents this room reads: specs, other systems' files, Model objects, ConfigMaps."""

from collections.abc import Mapping
from typing import Any, Final

from inferencegraph.read.documents import IANVS

KIND: Final = "LLMJointInferenceService"
GROUP: Final = "kserve-hem.io/"
SEDNA_GROUP: Final = "sedna.io/"
SEDNA_KIND: Final = "JointInferenceService"


def is_spec(content: Mapping[str, Any]) -> bool:
    return content.get("kind") == KIND


def is_converted(content: Mapping[str, Any]) -> bool:
    """Whether it is another system's file, which is converted to a spec."""
    kind = content.get("kind")
    version = str(content.get("apiVersion"))
    return (version.startswith(SEDNA_GROUP) and kind == SEDNA_KIND) or version == IANVS


def is_model(content: Mapping[str, Any]) -> bool:
    """Whether it is a Model object, which specs name."""
    version = str(content.get("apiVersion"))
    return content.get("kind") == "Model" and version.startswith((SEDNA_GROUP, GROUP))


def is_config_map(content: Mapping[str, Any]) -> bool:
    """Whether it is a ConfigMap, from which specs may read images."""
    return content.get("kind") == "ConfigMap" and content.get("apiVersion") == "v1"
