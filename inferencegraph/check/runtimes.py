"""ServingRuntimes."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from inferencegraph.check.containers import (
    PREDICTOR_CONTAINER,
    check_accelerators,
    containers,
    environment,
    mapping,
    sequence,
)
from inferencegraph.check.problem import Finding, Others, error, unknown, warning

WORKER_CONTAINER: Final = "worker-container"
_PROTOCOLS: Final = ("v1", "v2", "grpc-v1", "grpc-v2")
# What KServe sets itself from `workerSpec`, and refuses in `env`.
SIZES: Final = {
    "PIPELINE_PARALLEL_SIZE": "pipelineParallelSize",
    "TENSOR_PARALLEL_SIZE": "tensorParallelSize",
}


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
    """Environment variables that KServe sets itself."""
    for name, instead in SIZES.items():
        if environment(container, name) is not None:
            yield error(field, f"KServe refuses {name} here; set workerSpec.{instead}")
