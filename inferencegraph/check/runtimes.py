"""ServingRuntimes, and the InferenceServices that name one."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, Final

from inferencegraph.check.accelerators import check_accelerators
from inferencegraph.check.containers import (
    PREDICTOR_CONTAINER,
    containers,
    environment,
    mapping,
    sequence,
)
from inferencegraph.check.names import check_name
from inferencegraph.check.problem import (
    Finding,
    error,
    known,
    warning,
)

# By name; those of the service's namespace, and ClusterServingRuntimes.
Runtimes = Mapping[str, Mapping[str, Any]]

WORKER_CONTAINER: Final = "worker-container"
_PROTOCOLS: Final = ("v1", "v2", "grpc-v1", "grpc-v2")
_SCHEMES: Final = ("file", "gs", "hdfs", "hf", "http", "https", "oci", "pvc", "s3", "webhdfs")
# What KServe sets itself from `workerSpec`, and refuses in `env`.
SIZES: Final = {
    "PIPELINE_PARALLEL_SIZE": "pipelineParallelSize",
    "TENSOR_PARALLEL_SIZE": "tensorParallelSize",
}


def check_runtime(runtime: Mapping[str, Any]) -> Iterator[Finding]:
    yield from check_name(runtime, "")
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
            field = f"spec.protocolVersions[{index}]"
            yield error(field, f"unknown protocol {protocol!r}; {known(_PROTOCOLS, protocol)}")
    for index, container in enumerate(inside):
        yield from _check_container(container, f"spec.containers[{index}]")
    if "workerSpec" in spec:
        yield from _check_workers(mapping(spec["workerSpec"]), inside)


def _check_container(container: Mapping[str, Any], field: str) -> Iterator[Finding]:
    if not container.get("image"):
        yield error(f"{field}.image", "is missing, but required")
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
        yield from check_sizes(container, f"{field}.env")
    for index, container in enumerate(inside):
        field = f"spec.workerSpec.containers[{index}]"
        if not container.get("image"):
            yield error(f"{field}.image", "is missing, but required")
        yield from check_accelerators(container, field)


def check_sizes(container: Mapping[str, Any], field: str) -> Iterator[Finding]:
    for name, instead in SIZES.items():
        if environment(container, name) is not None:
            yield error(field, f"KServe refuses {name} here; set workerSpec.{instead}")


def check_model(
    service: Mapping[str, Any], runtimes: Runtimes, complete: bool
) -> Iterator[Finding]:
    """A predictor with a `model`. `complete`: no other runtimes exist."""
    model = mapping(mapping(mapping(service.get("spec")).get("predictor")).get("model"))
    if not model:
        return
    field = "spec.predictor.model"
    yield from check_accelerators(model, field)
    yield from _check_storage(model.get("storageUri"), f"{field}.storageUri")
    name = model.get("runtime")
    if not isinstance(name, str):
        return
    if name in runtimes:
        yield from _check_supported(name, mapping(runtimes[name].get("spec")), model, field)
    elif complete or get_close_matches(name, runtimes, n=1, cutoff=0.8):
        yield error(f"{field}.runtime", f"unknown ServingRuntime {name!r}; {known(runtimes, name)}")
    else:
        yield warning(
            f"{field}.runtime",
            f"no ServingRuntime {name!r} in these manifests; the cluster must have it already",
        )


def _check_supported(
    name: str, runtime: Mapping[str, Any], model: Mapping[str, Any], field: str
) -> Iterator[Finding]:
    formats = [
        mapping(entry).get("name") for entry in sequence(runtime.get("supportedModelFormats"))
    ]
    wanted = mapping(model.get("modelFormat")).get("name")
    if wanted is not None and wanted not in formats:
        yield error(
            f"{field}.modelFormat.name",
            f"runtime {name!r} does not support {wanted!r}; it supports: "
            f"{', '.join(map(str, formats))}",
        )
    protocols = sequence(runtime.get("protocolVersions"))
    protocol = model.get("protocolVersion")
    if protocol is not None and protocols and protocol not in protocols:
        yield error(
            f"{field}.protocolVersion",
            f"runtime {name!r} does not speak {protocol!r}; it speaks: "
            f"{', '.join(map(str, protocols))}",
        )


def _check_storage(uri: Any, field: str) -> Iterator[Finding]:
    if not isinstance(uri, str):
        return
    scheme, separator, _ = uri.partition("://")
    if not separator:
        yield error(
            field, f"{uri!r} has no scheme; write for example hf://ORG/MODEL or pvc://CLAIM"
        )
    elif scheme not in _SCHEMES:
        yield warning(
            field,
            f"{scheme}:// is none of KServe's own; {known(_SCHEMES, scheme)}, or a "
            "ClusterStorageContainer of yours",
        )
