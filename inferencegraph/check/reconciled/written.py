"""A component as it is written, and what KServe adds to every one."""

from collections.abc import Mapping
from typing import Any, Final

from inferencegraph.check.containers import mapping
from inferencegraph.check.pods.parts import parts
from inferencegraph.check.reconciled.component import Source
from inferencegraph.check.reconciled.installation import COMPONENT_RESOURCES
from inferencegraph.check.reconciled.merging import merged
from inferencegraph.check.reconciled.runtimes import FRAMEWORKS

Part = Mapping[str, Any]

# Fields of a component that are not of its pod.
_NOT_OF_PODS: Final = (
    *("annotations", "autoScaling", "batcher", "canaryTrafficPercent", "containerConcurrency"),
    *("deploymentStrategy", "labels", "logger", "maxReplicas", "minReplicas", "scaleMetric"),
    *("scaleMetricType", "scaleTarget", "storageUris", "timeout", "model", "name"),
    *("storageContainerName", "workerSpec", "pipelineParallelSize", "tensorParallelSize"),
    *FRAMEWORKS,
)
# What a ServingRuntime's pod gives to the service's.
_GIVEN: Final = (
    *("affinity", "imagePullSecrets", "nodeSelector", "schedulerName", "tolerations", "volumes"),
)
_SERVICE_NAME: Final = "INFERENCE_SERVICE_NAME"


def containers_of(component: Part, field: str) -> tuple[list[dict[str, Any]], list[Source]]:
    """Copies of its containers, and where they stand."""
    found = list(parts(component.get("containers"), f"{field}.containers"))
    return [dict(part) for part, _ in found], [Source(at, part) for part, at in found]


def pod_fields(component: Part) -> dict[str, Any]:
    return {name: part for name, part in component.items() if name not in _NOT_OF_PODS}


def given_to(runtime: Part, pod: Part) -> dict[str, Any]:
    """A service's pod over that of the runtime, or of its workers."""
    return merged({name: runtime[name] for name in _GIVEN if runtime.get(name)}, pod)


def with_default_resources(container: Part) -> dict[str, Any]:
    resources = mapping(container.get("resources"))
    return {
        **container,
        "resources": {
            **resources,
            **{
                kind: {**amounts, **mapping(resources.get(kind))}
                for kind, amounts in COMPONENT_RESOURCES.items()
            },
        },
    }


def with_variable(container: Part, name: str, value: str) -> dict[str, Any]:
    variables = container.get("env") if isinstance(container.get("env"), list) else []
    environment = list(variables or [])
    for index, variable in enumerate(environment):
        if mapping(variable).get("name") == name:
            environment[index] = {**variable, "value": value}
            return {**container, "env": environment}
    return {**container, "env": [*environment, {"name": name, "value": value}]}


def with_service_name(container: Part, name: str) -> dict[str, Any]:
    return with_variable(container, _SERVICE_NAME, name)
