"""A ServingRuntime: an inference engine as KServe starts it."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from inferencegraph.build.engine import Engine
from inferencegraph.build.engine_containers import (
    engine_container,
    mounts,
    security,
    variables,
    volumes,
)
from inferencegraph.build.engine_table import MULTI_NODE
from inferencegraph.build.pods import CONTAINER_NAME, HTTP_PORT, Resources
from inferencegraph.check.reconciled.multi_node import (
    MORE_ACCELERATORS,
    WORKER_CONTAINER,
    accelerators_counted,
)


def serving_runtime(name: str, engine: Engine, resource: str, image: str) -> dict[str, Any]:
    """`name` among ENGINES; `resource` is what its accelerators are counted as."""
    spec: dict[str, Any] = {
        "annotations": {
            "prometheus.kserve.io/port": str(engine.ports.get("metrics", HTTP_PORT)),
            "prometheus.kserve.io/path": "/metrics",
        },
        "supportedModelFormats": [{"name": form, "version": "1"} for form in engine.formats],
    }
    if engine.protocols:
        spec["protocolVersions"] = list(engine.protocols)
    resources = replace(engine.resources, accelerator=resource)
    server = engine_container(engine, CONTAINER_NAME, image, resources, engine.start_seconds)
    spec["containers"] = [server]
    spec["volumes"] = volumes(engine)
    if name == MULTI_NODE:
        if resource not in accelerators_counted({}):
            spec["annotations"][MORE_ACCELERATORS] = json.dumps([resource])
        spec["workerSpec"] = _workers(engine, resources, image)
    return {
        "apiVersion": "serving.kserve.io/v1alpha1",
        "kind": "ServingRuntime",
        "metadata": {"name": name},
        "spec": spec,
    }


def _workers(engine: Engine, resources: Resources, image: str) -> Mapping[str, Any]:
    """The other nodes of a model over several: Ray's workers."""
    return {
        "pipelineParallelSize": 2,
        "tensorParallelSize": 1,
        "containers": [
            {
                "name": WORKER_CONTAINER,
                "image": image,
                "command": list(engine.worker_command),
                "env": variables(engine.worker_environment),
                # A worker that has lost its head starts again and looks for the new one.
                "livenessProbe": {
                    "exec": {"command": list(engine.worker_alive)},
                    "initialDelaySeconds": 300,
                    "periodSeconds": 30,
                    "timeoutSeconds": 20,
                },
                "resources": resources.manifest(),
                "securityContext": security(engine),
                "volumeMounts": mounts(engine),
            }
        ],
        "volumes": volumes(engine),
    }
