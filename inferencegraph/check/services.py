"""InferenceServices, and the ServingRuntimes that they name: what KServe refuses, and what it
accepts and then runs wrongly."""

from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Any, Final

from inferencegraph.check.containers import (
    COLLOCATED_TRANSFORMER,
    PREDICTOR_CONTAINER,
    accelerators,
    argument,
    check_accelerators,
    components,
    containers,
    environment,
    mapping,
    sequence,
)
from inferencegraph.check.problem import Finding, Others, error, note, unknown, warning
from inferencegraph.check.reconciled.metadata import AUTOSCALER
from inferencegraph.check.reconciled.multi_node import (
    MORE_ACCELERATORS,
    WORKER_CONTAINER,
    accelerators_counted,
)

_PROTOCOLS: Final = ("v1", "v2", "grpc-v1", "grpc-v2")
# What KServe sets itself from `workerSpec`, and refuses in `env`.
_SIZES: Final = {
    "PIPELINE_PARALLEL_SIZE": "pipelineParallelSize",
    "TENSOR_PARALLEL_SIZE": "tensorParallelSize",
}
_SHARED_STORAGE: Final = ("pvc", "oci")


def check_components(service: Mapping[str, Any], others: Others) -> Iterator[Finding]:
    """Predictors and transformers of containers."""
    for role, component in components(service):
        yield from _check_component(role, component)


def _check_component(role: str, component: Mapping[str, Any]) -> Iterator[Finding]:
    field = f"spec.{role}"
    if role == "transformer" and component.get("containerConcurrency") is not None:
        yield error(
            f"{field}.containerConcurrency",
            "KServe makes --workers of it, and more than one worker loses the predictor's address "
            "(every inference answers 501); remove it",
        )
    inside = containers(component)
    names = [container.get("name") for container in inside]
    if role == "predictor" and len(inside) > 1 and PREDICTOR_CONTAINER not in names:
        yield error(
            f"{field}.containers",
            f"of several containers KServe serves the one called {PREDICTOR_CONTAINER!r}; "
            f"found: {', '.join(map(str, names))}",
        )
    elif role == "predictor" and len(inside) > 1 and names[0] not in (None, PREDICTOR_CONTAINER):
        yield error(
            f"{field}.containers",
            f"KServe puts {PREDICTOR_CONTAINER!r} in the place of the first, {names[0]!r}, which "
            "is lost; write it first",
        )
    for index, container in enumerate(inside):
        if index == 0 or container.get("name") in (PREDICTOR_CONTAINER, COLLOCATED_TRANSFORMER):
            yield from _check_container(container, f"{field}.containers[{index}]")


def _check_container(container: Mapping[str, Any], field: str) -> Iterator[Finding]:
    workers = argument(container, "--workers")
    if workers is not None and workers != "1":
        yield error(
            f"{field}.args",
            f"--workers={workers}: more than one worker loses the predictor's address (501); "
            "remove it and raise minReplicas",
        )
    protocol = environment(container, "PROTOCOL")
    if protocol not in (None, "v1", "v2"):
        yield error(f"{field}.env", f"PROTOCOL is {protocol!r}; KServe knows 'v1' and 'v2'")
    if "httpGet" not in mapping(container.get("readinessProbe")):
        yield warning(
            f"{field}.readinessProbe",
            "without httpGet a pod counts as ready while it loads; use the path "
            "/v2/models/NAME/ready",
        )


def check_model(service: Mapping[str, Any], others: Others) -> Iterator[Finding]:
    """A predictor with a `model`, which a ServingRuntime serves."""
    model = mapping(mapping(mapping(service.get("spec")).get("predictor")).get("model"))
    if not model:
        return
    field = "spec.predictor.model"
    yield from check_accelerators(model, field)
    if model.get("storageUri") is None and not mapping(model.get("storage")):
        yield warning(
            f"{field}.storageUri",
            "is missing, so KServe takes the service for one of many models: it mounts a list of "
            "them and adds its agent to every pod; give a storageUri, or use containers",
        )
    name = model.get("runtime")
    if not isinstance(name, str):
        return
    if name in others.runtimes:
        yield from _check_supported(name, mapping(others.runtimes[name].get("spec")), model, field)
    else:
        yield others.missing(f"{field}.runtime", "ServingRuntime", name, others.runtimes)


def _check_supported(
    name: str, runtime: Mapping[str, Any], model: Mapping[str, Any], field: str
) -> Iterator[Finding]:
    formats = [mapping(entry) for entry in sequence(runtime.get("supportedModelFormats"))]
    names = [entry.get("name") for entry in formats]
    wanted = mapping(model.get("modelFormat"))
    form, version = wanted.get("name"), wanted.get("version")
    versions = [entry.get("version") for entry in formats if entry.get("name") == form]
    if form is not None and form not in names:
        yield error(
            f"{field}.modelFormat.name",
            f"runtime {name!r} does not support {form!r}; it supports: "
            f"{', '.join(map(str, names))}",
        )
    elif form is not None and version is not None and version not in versions:
        yield error(
            f"{field}.modelFormat.version",
            f"runtime {name!r} does not support version {version!r} of {form}; it supports: "
            f"{', '.join(map(str, versions))}",
        )
    if runtime.get("disabled") is True:
        yield error(f"{field}.runtime", f"{name!r} is disabled; KServe refuses to use it")
    protocols = sequence(runtime.get("protocolVersions"))
    protocol = model.get("protocolVersion")
    if protocol is not None and protocols and protocol not in protocols:
        yield error(
            f"{field}.protocolVersion",
            f"runtime {name!r} does not speak {protocol!r}; it speaks: "
            f"{', '.join(map(str, protocols))}",
        )


def check_multi_node(service: Mapping[str, Any], others: Others) -> Iterator[Finding]:
    """A model over several nodes (`workerSpec`): what KServe's webhook refuses."""
    predictor = mapping(mapping(service.get("spec")).get("predictor"))
    if "workerSpec" not in predictor:
        return
    yield note(
        "spec.predictor.workerSpec",
        "KServe 0.20.0 deletes the workers at each reconcile in Standard mode (kserve #6113); "
        "use a version from after August 2026",
    )
    workers, model = mapping(predictor["workerSpec"]), mapping(predictor.get("model"))
    annotations = mapping(mapping(service.get("metadata")).get("annotations"))
    if annotations.get(AUTOSCALER) != "none":
        yield error(
            f"metadata.annotations.{AUTOSCALER}",
            "must be none: KServe does not scale a model over several nodes",
        )
    uri = model.get("storageUri")
    if model and str(uri or "").partition("://")[0] not in _SHARED_STORAGE:
        yield error(
            "spec.predictor.model.storageUri",
            f"is {uri!r}; every node reads the same model, so it must be pvc:// or oci://",
        )
    yield from _check_sizes(model, "spec.predictor.model.env")
    inside = containers(workers)
    if len(inside) > 1:
        yield error(
            "spec.predictor.workerSpec.containers", f"KServe takes one; found {len(inside)}"
        )
    for size in _SIZES.values():
        count = workers.get(size)
        if isinstance(count, int) and count < 1:
            yield error(f"spec.predictor.workerSpec.{size}", f"must be 1 or more, not {count}")
    yield from _check_counted(model, inside, accelerators_counted(annotations))
    runtime = others.runtimes.get(str(model.get("runtime")))
    if runtime is not None and "workerSpec" not in mapping(runtime.get("spec")):
        yield error(
            "spec.predictor.model.runtime",
            f"{model['runtime']!r} has no workerSpec, so it can't run over several nodes",
        )


def _check_counted(
    model: Mapping[str, Any], workers: Sequence[Mapping[str, Any]], allowed: Container[str]
) -> Iterator[Finding]:
    """Accelerators that KServe's webhook would not see."""
    parts = {"spec.predictor.model": model} | {
        f"spec.predictor.workerSpec.containers[{index}]": container
        for index, container in enumerate(workers)
    }
    for field, part in parts.items():
        for name in accelerators(part):
            if name not in allowed:
                yield error(
                    f"{field}.resources",
                    f"KServe does not count {name} by itself; add the annotation "
                    f"{MORE_ACCELERATORS}: '[\"{name}\"]'",
                )


def check_runtime(runtime: Mapping[str, Any], others: Others) -> Iterator[Finding]:
    spec = mapping(runtime.get("spec"))
    inside = containers(spec)
    names = [container.get("name") for container in inside]
    if PREDICTOR_CONTAINER not in names:
        yield error(
            "spec.containers",
            f"KServe runs the one called {PREDICTOR_CONTAINER!r}; found: "
            f"{', '.join(map(str, names)) or 'none'}",
        )
    if not sequence(spec.get("supportedModelFormats")):
        yield error(
            "spec.supportedModelFormats", "is empty, so that no model can name this runtime"
        )
    for index, protocol in enumerate(sequence(spec.get("protocolVersions"))):
        if protocol not in _PROTOCOLS:
            yield unknown(f"spec.protocolVersions[{index}]", "protocol", protocol, _PROTOCOLS)
    for index, container in enumerate(inside):
        yield from _check_runtime_container(container, f"spec.containers[{index}]")
    if "workerSpec" in spec:
        yield from _check_workers(mapping(spec["workerSpec"]), inside)


def _check_runtime_container(container: Mapping[str, Any], field: str) -> Iterator[Finding]:
    if not mapping(container.get("readinessProbe")):
        yield warning(
            f"{field}.readinessProbe",
            "is missing, so a pod counts as ready while it loads; ask the server's health by HTTP",
        )
    yield from check_accelerators(container, field)


def _check_workers(workers: Mapping[str, Any], heads: list[Mapping[str, Any]]) -> Iterator[Finding]:
    inside = containers(workers)
    names = [container.get("name") for container in inside]
    if names != [WORKER_CONTAINER]:
        yield error(
            "spec.workerSpec.containers",
            f"KServe runs exactly one, called {WORKER_CONTAINER!r}; found: "
            f"{', '.join(map(str, names)) or 'none'}",
        )
    for field, container in (
        *((f"spec.containers[{i}]", head) for i, head in enumerate(heads)),
        *((f"spec.workerSpec.containers[{i}]", worker) for i, worker in enumerate(inside)),
    ):
        yield from _check_sizes(container, f"{field}.env")
    for index, container in enumerate(inside):
        yield from check_accelerators(container, f"spec.workerSpec.containers[{index}]")


def _check_sizes(container: Mapping[str, Any], field: str) -> Iterator[Finding]:
    """Environment variables that KServe sets itself."""
    for name, instead in _SIZES.items():
        if environment(container, name) is not None:
            yield error(field, f"KServe refuses {name} here; set workerSpec.{instead}")
