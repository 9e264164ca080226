"""An engine's own server as a container, in a ServingRuntime or beside a predictor of ours."""

from collections.abc import Mapping
from typing import Any, Final

from inferencegraph.build.engine import Engine
from inferencegraph.build.pods import (
    SECURITY_CONTEXT,
    SHARED_MEMORY_MOUNT,
    TEMPORARY,
    Listening,
    Resources,
    probes,
    shared_memory,
    temporary,
    temporary_mount,
)

_SHARED_MEMORY_SIZE: Final = "8Gi"
_BUSY_SECONDS: Final = 10  # an engine under load answers late


def engine_container(
    engine: Engine,
    name: str,
    image: str,
    resources: Resources,
    start_seconds: int,
    temporary_volume: str = TEMPORARY,
) -> dict[str, Any]:
    listening = Listening(engine.ports, engine.live, engine.ready)
    made = probes(listening, start_seconds, startup=engine.ready)
    made["livenessProbe"]["timeoutSeconds"] = _BUSY_SECONDS
    words = {"command": list(engine.command), "args": list(engine.arguments)}
    return {
        "name": name,
        "image": image,
        **{field: value for field, value in words.items() if value},
        **({"env": variables(engine.environment)} if engine.environment else {}),
        "ports": [
            {"name": port, "containerPort": number, "protocol": "TCP"}
            for port, number in engine.ports.items()
        ],
        **made,
        "resources": resources.manifest(),
        "securityContext": security(engine),
        "volumeMounts": mounts(engine, temporary_volume),
    }


def variables(values: Mapping[str, str]) -> list[dict[str, Any]]:
    """`@field` is a field of the pod."""
    return [
        {"name": name, "valueFrom": {"fieldRef": {"fieldPath": value[1:]}}}
        if value.startswith("@")
        else {"name": name, "value": value}
        for name, value in values.items()
    ]


def security(engine: Engine) -> dict[str, Any]:
    """Images of others run as root where nothing else is known of them, and write anywhere."""
    context: dict[str, Any] = {
        name: SECURITY_CONTEXT[name]
        for name in ("allowPrivilegeEscalation", "capabilities", "seccompProfile")
    }
    if engine.user is not None:
        context["runAsNonRoot"] = True
        context |= {"runAsUser": engine.user} if engine.user else {}
    return context | ({"readOnlyRootFilesystem": True} if engine.read_only else {})


def mounts(engine: Engine, temporary_volume: str = TEMPORARY) -> list[dict[str, Any]]:
    shared = [dict(SHARED_MEMORY_MOUNT)] if engine.shared_memory else []
    return [temporary_mount(temporary_volume), *shared]


def volumes(engine: Engine, temporary_volume: str = TEMPORARY) -> list[dict[str, Any]]:
    """Those of `mounts`."""
    shared = [shared_memory(_SHARED_MEMORY_SIZE)] if engine.shared_memory else []
    return [temporary(temporary_volume), *shared]
