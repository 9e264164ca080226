"""A model over several nodes -> a head and its workers."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from inferencegraph.check.containers import mapping
from inferencegraph.check.pods.parts import parts, whole
from inferencegraph.check.pods.quantities import quantity
from inferencegraph.check.reconciled.component import Component, Source
from inferencegraph.check.reconciled.merging import merged_container
from inferencegraph.check.reconciled.metadata import STORAGE, annotations_of, labels_of, name_of
from inferencegraph.check.reconciled.written import (
    containers_of,
    given_to,
    pod_fields,
    with_variable,
)

Part = Mapping[str, Any]

WORKER_CONTAINER: Final = "worker-container"
_KNOWN_ACCELERATORS: Final = ("nvidia.com/gpu", "amd.com/gpu", "intel.com/gpu", "habana.ai/gaudi")
MORE_ACCELERATORS: Final = "serving.kserve.io/gpu-resource-types"
_BACKEND: Final = "multinode/executor-backend"
_GENERATION: Final = "isvc.generation"
_FIRST: Final = "1"  # of an object that was never changed
_MOUNTED: Final = ("pvc", "oci")


def head_service(name: str) -> str:
    return f"{name.removesuffix('-predictor')}-head-{_FIRST}"


def worker_service(name: str) -> str:
    return f"{name.removesuffix('-predictor')}-workers-{_FIRST}"


def generation_label() -> dict[str, str]:
    return {_GENERATION: _FIRST}


@dataclass(frozen=True, slots=True)
class _Spread:
    """Of a model: its parallel sizes, and the accelerators of the head and of each worker."""

    pipeline: int
    tensor: int
    nodes: int
    of_head: int
    of_worker: int
    kinds: tuple[str, ...]

    def variables(self, count: int) -> dict[str, str]:
        return {
            "PIPELINE_PARALLEL_SIZE": str(self.pipeline),
            "TENSOR_PARALLEL_SIZE": str(self.tensor),
            "RAY_NODE_COUNT": str(self.nodes),
            "REQUEST_GPU_COUNT": str(count),
        }


def over_several_nodes(
    service: Part, alone: Component, predictor: Part, runtime: Part, added: Part
) -> Iterator[Component]:
    """Head and workers. `alone`: the predictor as one pod; `runtime`: its runtime's spec."""
    theirs, own = mapping(runtime.get("workerSpec")), mapping(predictor.get("workerSpec"))
    written, sources = containers_of(own, "spec.predictor.workerSpec")
    base = next((part for part, _ in parts(theirs.get("containers"), "")), {})
    container = merged_container(base, written[0] if written else {})
    first, *others = alone.pod["containers"]
    is_ray = mapping(runtime.get("annotations")).get(_BACKEND) != "mp"
    spread = _spread(own, theirs, first, container, is_ray, accelerators_counted(alone.annotations))
    head = replace(
        alone,
        pod={**alone.pod, "containers": [_head(first, service, spread, added), *others]},
        labels={**alone.labels, **generation_label()},
        nodes=spread.nodes,
    )
    yield head
    worker = _asking(
        container,
        spread.kinds,
        spread.of_worker,
        {
            **spread.variables(spread.of_worker),
            "ISVC_NAME": name_of(service),
            "HEAD_SVC": head_service(name_of(service)),
            "WORKER_SVC": worker_service(head.name),
        },
    )
    field = "spec.predictor.workerSpec"
    yield replace(
        head,
        role="worker",
        name=f"{name_of(service)}-predictor-worker",
        written=Source(field, own),
        pod={**given_to(theirs, pod_fields(own)), "containers": [worker]},
        containers=(sources[0] if sources else Source(field, None),),
        labels=labels_of(service, "predictor", predictor, theirs) | generation_label(),
        annotations=annotations_of(service, predictor, theirs, added),
    )


def _head(container: Part, service: Part, spread: _Spread, added: Part) -> dict[str, Any]:
    variables = {**spread.variables(spread.of_head), "MODEL_NAME": name_of(service)}
    if str(added.get(STORAGE)).partition("://")[0] in _MOUNTED:
        variables["MODEL_DIR"] = "/mnt/models"
    return _asking(container, spread.kinds, spread.of_head, variables)


def _spread(
    own: Part, theirs: Part, head: Part, worker: Part, is_ray: bool, kinds: tuple[str, ...]
) -> _Spread:
    pipeline, tensor = (
        _size(own.get(size), theirs.get(size))
        for size in ("pipelineParallelSize", "tensorParallelSize")
    )
    nodes, of_head, of_worker = pipeline, tensor, tensor
    if is_ray:
        nodes, of_head, of_worker = _split(
            pipeline * tensor, _count(head, kinds), _count(worker, kinds)
        )
    return _Spread(pipeline, tensor, nodes, of_head, of_worker, kinds)


def _size(own: Any, theirs: Any) -> int:
    return max(1, whole(own) or whole(theirs) or 1)


def accelerators_counted(annotations: Part) -> tuple[str, ...]:
    """Names of the accelerators that KServe counts, its own first."""
    try:
        more = json.loads(str(annotations.get(MORE_ACCELERATORS, "[]")))
    except ValueError:
        more = []
    named = [str(name) for name in more] if isinstance(more, list) else []
    return (*_KNOWN_ACCELERATORS, *named)


def _count(container: Part, kinds: tuple[str, ...]) -> int:
    requests = mapping(mapping(container.get("resources")).get("requests"))
    amounts = (quantity(requests[kind]) for kind in kinds if kind in requests)
    return int(next((amount for amount in amounts if amount), 0))


def _split(total: int, of_head: int, of_worker: int) -> tuple[int, int, int]:
    """Nodes, and the accelerators of the head and of each worker (Ray's executor)."""
    if of_worker > 0:
        nodes = math.ceil(total / of_worker)
        if of_head > 0 and math.ceil(total / of_head) == 1:
            nodes = 1
        if nodes == 1:
            return 1, total, 0
        return nodes, of_head or total - of_worker * (nodes - 1), of_worker
    if of_head > 0:
        return max(1, total - of_head + 1), of_head, 1
    return total, 1, 1


def _asking(
    container: Part, kinds: tuple[str, ...], count: int, variables: Mapping[str, str]
) -> dict[str, Any]:
    """`container` with variables, and with `count` of the accelerator that it asks for."""
    resources = mapping(container.get("resources"))
    limits, requests = mapping(resources.get("limits")), mapping(resources.get("requests"))
    asked = (kind for kind in kinds if kind in limits or kind in requests)
    amount = {next(asked, _KNOWN_ACCELERATORS[0]): str(count)}
    changed = {"limits": {**limits, **amount}, "requests": {**requests, **amount}}
    result: dict[str, Any] = {**container, "resources": {**resources, **changed}}
    for name, value in variables.items():
        result = with_variable(result, name, value)
    return result
