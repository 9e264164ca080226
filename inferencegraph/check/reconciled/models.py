"""A predictor with a model -> the components that serve it with a ServingRuntime."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from inferencegraph.check.containers import COLLOCATED_TRANSFORMER, PREDICTOR_CONTAINER, mapping
from inferencegraph.check.pods.parts import parts
from inferencegraph.check.problem import Objects
from inferencegraph.check.reconciled.component import Component, Source
from inferencegraph.check.reconciled.images import image_of
from inferencegraph.check.reconciled.merging import filled, merged_container
from inferencegraph.check.reconciled.metadata import (
    annotations_of,
    labels_of,
    name_of,
    predictor_name,
    storage_annotations,
)
from inferencegraph.check.reconciled.multi_node import over_several_nodes
from inferencegraph.check.reconciled.runtimes import Wanted, selected
from inferencegraph.check.reconciled.written import (
    containers_of,
    given_to,
    pod_fields,
    with_service_name,
)

Part = Mapping[str, Any]

_NOT_OF_CONTAINERS: Final = (
    *("modelFormat", "runtime", "runtimeVersion", "protocolVersion", "storageUri", "storage"),
    "confidential",
)
_UNKNOWN: Final = {"name": PREDICTOR_CONTAINER, "image": "of-the-runtime"}
_SERVED: Final = (PREDICTOR_CONTAINER, COLLOCATED_TRANSFORMER)


def components_of_model(
    service: Part, predictor: Part, model: Wanted, runtimes: Objects
) -> Iterator[Component]:
    """One, or the head and the workers of a model over several nodes."""
    multi_node = isinstance(predictor.get("workerSpec"), dict)
    found = selected(model, runtimes, multi_node)
    name, runtime = found or (model.named or "", {})
    spec = mapping(runtime.get("spec"))
    theirs = {str(part.get("name")): part for part, _ in parts(spec.get("containers"), "")}
    field = f"spec.predictor.{model.field}"
    served = _served(theirs.get(PREDICTOR_CONTAINER, _UNKNOWN), service, model, name, runtime)
    pairs = [(served, Source(field, model.spec)), *_beside(service, predictor, theirs, field)]
    pod = {
        **given_to(spec, pod_fields(predictor)),
        "containers": [with_service_name(part, name_of(service)) for part, _ in pairs],
    }
    added = storage_annotations(service, model, model.spec.get("storageUri"))
    head = Component(
        "predictor",
        predictor_name(service),
        Source("spec.predictor", predictor),
        pod,
        tuple(source for _, source in pairs),
        labels_of(service, "predictor", predictor, spec),
        annotations_of(service, predictor, spec, added),
        predictor,
        name,
        complete=PREDICTOR_CONTAINER in theirs,
    )
    if multi_node and isinstance(spec.get("workerSpec"), dict):
        yield from over_several_nodes(service, head, predictor, spec, added)
    else:
        yield head


def _served(base: Part, service: Part, model: Wanted, name: str, runtime: Part) -> dict[str, Any]:
    own = {field: part for field, part in model.spec.items() if field not in _NOT_OF_CONTAINERS}
    metadata = mapping(service.get("metadata"))
    container: dict[str, Any] = filled(merged_container(base, own), metadata)
    annotations = mapping(mapping(runtime.get("metadata")).get("annotations"))
    image = image_of(container, model.spec.get("runtimeVersion"), name, annotations)
    return {**container, "name": PREDICTOR_CONTAINER, "image": image}


def _beside(
    service: Part, predictor: Part, theirs: Mapping[str, Part], field: str
) -> list[tuple[dict[str, Any], Source]]:
    """The other containers of the pod: a transformer, the runtime's, the service's."""
    containers, sources = containers_of(predictor, "spec.predictor")
    ours = list(zip(containers, sources, strict=True))
    transformer = next(
        (pair for pair in ours if pair[0].get("name") == COLLOCATED_TRANSFORMER), None
    )
    result = []
    if transformer is not None or COLLOCATED_TRANSFORMER in theirs:
        own, source = transformer or ({}, Source(field, None))
        base = theirs.get(COLLOCATED_TRANSFORMER, {})
        metadata = mapping(service.get("metadata"))
        result.append((filled(merged_container(base, own), metadata), source))
    result += [
        (dict(part), Source(field, None)) for name, part in theirs.items() if name not in _SERVED
    ]
    return result + [pair for pair in ours if pair[0].get("name") != COLLOCATED_TRANSFORMER]
