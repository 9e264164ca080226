"""Names of objects, and the deployment mode that KServe reads from an annotation."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from inferencegraph.check.containers import mapping
from inferencegraph.check.problem import Finding, Others, error, unknown, warning

_NAME: Final = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_MODE: Final = "serving.kserve.io/deploymentMode"
_MODES: Final = ("Standard", "RawDeployment", "Knative", "Serverless", "ModelMesh")


def check_name(content: Mapping[str, Any], others: Others) -> Iterator[Finding]:
    name = mapping(content.get("metadata")).get("name")
    field = "metadata.name"
    if not isinstance(name, str) or not name:
        yield error(field, "is missing, but required")
        return
    if not _NAME.fullmatch(name):
        yield error(
            field, f"{name!r} is refused by KServe; use a-z, 0-9 and -, with a letter first"
        )


def check_deployment_mode(content: Mapping[str, Any], others: Others) -> Iterator[Finding]:
    annotations = mapping(mapping(content.get("metadata")).get("annotations"))
    field = f"metadata.annotations.{_MODE}"
    mode = annotations.get(_MODE)
    if mode is None:
        yield warning(
            field, "is missing, so the installation decides, often for Knative; set it to Standard"
        )
    elif mode not in _MODES:
        yield unknown(field, "mode", mode, _MODES)
