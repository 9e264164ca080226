"""An InferenceService over several nodes (`workerSpec`): what KServe's webhook refuses."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from inferencegraph.check.accelerators import accelerators
from inferencegraph.check.containers import containers, mapping
from inferencegraph.check.problem import Finding, error
from inferencegraph.check.runtimes import (
    SIZES,
    Runtimes,
    check_sizes,
)

_AUTOSCALER: Final = "serving.kserve.io/autoscalerClass"
_MORE_ACCELERATORS: Final = "serving.kserve.io/gpu-resource-types"
_KNOWN_ACCELERATORS: Final = ("nvidia.com/gpu", "amd.com/gpu", "intel.com/gpu", "habana.ai/gaudi")
_SHARED_STORAGE: Final = ("pvc", "oci")


def check_multi_node(service: Mapping[str, Any], runtimes: Runtimes) -> Iterator[Finding]:
    predictor = mapping(mapping(service.get("spec")).get("predictor"))
    if "workerSpec" not in predictor:
        return
    workers, model = mapping(predictor["workerSpec"]), mapping(predictor.get("model"))
    annotations = mapping(mapping(service.get("metadata")).get("annotations"))
    if annotations.get(_AUTOSCALER) != "none":
        yield error(
            f"metadata.annotations.{_AUTOSCALER}",
            "must be none: KServe does not scale a model over several nodes",
        )
    uri = model.get("storageUri")
    if model and str(uri or "").partition("://")[0] not in _SHARED_STORAGE:
        yield error(
            "spec.predictor.model.storageUri",
            f"is {uri!r}; every node reads the same model, so it must be pvc:// or oci://",
        )
    yield from check_sizes(model, "spec.predictor.model.env")
    yield from _check_worker_spec(workers)
    allowed = {*_KNOWN_ACCELERATORS, *_listed(annotations.get(_MORE_ACCELERATORS))}
    parts = {"spec.predictor.model": model} | {
        f"spec.predictor.workerSpec.containers[{index}]": container
        for index, container in enumerate(containers(workers))
    }
    for field, part in parts.items():
        for name in accelerators(part):
            if name not in allowed:
                yield error(
                    f"{field}.resources",
                    f"KServe does not count {name} by itself; add the annotation "
                    f"{_MORE_ACCELERATORS}: '[\"{name}\"]'",
                )
    runtime = runtimes.get(str(model.get("runtime")))
    if runtime is not None and "workerSpec" not in mapping(runtime.get("spec")):
        yield error(
            "spec.predictor.model.runtime",
            f"{model['runtime']!r} has no workerSpec, so it can't run over several nodes",
        )


def _check_worker_spec(workers: Mapping[str, Any]) -> Iterator[Finding]:
    inside = containers(workers)
    if len(inside) > 1:
        yield error(
            "spec.predictor.workerSpec.containers", f"KServe takes one; found {len(inside)}"
        )
    for size in SIZES.values():
        count = workers.get(size)
        if isinstance(count, int) and count < 1:
            yield error(f"spec.predictor.workerSpec.{size}", f"must be 1 or more, not {count}")


def _listed(text: Any) -> list[str]:
    try:
        names = json.loads(text) if isinstance(text, str) else []
    except ValueError:
        return []
    return [str(name) for name in names] if isinstance(names, list) else []
