"""An InferenceService -> the components that KServe runs for it."""

from collections.abc import Iterator, Mapping
from typing import Any

from inferencegraph.check.containers import PREDICTOR_CONTAINER, argument, environment, mapping
from inferencegraph.check.pods.parts import parts
from inferencegraph.check.problem import Objects
from inferencegraph.check.reconciled.component import Component, Source
from inferencegraph.check.reconciled.installation import Installation
from inferencegraph.check.reconciled.metadata import (
    STORAGE_URI,
    annotations_of,
    labels_of,
    name_of,
    predictor_name,
    storage_annotations,
    transformer_name,
)
from inferencegraph.check.reconciled.models import components_of_model
from inferencegraph.check.reconciled.runtimes import wanted
from inferencegraph.check.reconciled.written import (
    containers_of,
    pod_fields,
    with_default_resources,
    with_service_name,
)

Part = Mapping[str, Any]


def components_of(
    service: Part, runtimes: Objects, installation: Installation
) -> Iterator[Component]:
    spec = mapping(service.get("spec"))
    predictor, transformer = mapping(spec.get("predictor")), mapping(spec.get("transformer"))
    if model := wanted(predictor):
        yield from components_of_model(service, predictor, model, runtimes)
    elif any(parts(predictor.get("containers"), "")):
        yield _of_containers(service, predictor)
    if any(parts(transformer.get("containers"), "")):
        yield _transformer(service, transformer, installation.namespace_of(service))


def _of_containers(service: Part, predictor: Part) -> Component:
    containers, sources = containers_of(predictor, "spec.predictor")
    if len(containers) == 1 or not containers[0].get("name"):
        containers[0]["name"] = PREDICTOR_CONTAINER
    containers[0] = with_default_resources(containers[0])
    names = [container.get("name") for container in containers]
    if PREDICTOR_CONTAINER in names:
        # KServe puts this one first, in the place of what was there.
        served = names.index(PREDICTOR_CONTAINER)
        containers[0], sources[0] = containers[served], sources[served]
    pod = {
        **pod_fields(predictor),
        "containers": [with_service_name(part, name_of(service)) for part in containers],
    }
    return _component(service, "predictor", predictor_name(service), predictor, pod, sources)


def _transformer(service: Part, transformer: Part, namespace: str) -> Component:
    containers, sources = containers_of(transformer, "spec.transformer")
    first = with_default_resources({**containers[0], "name": PREDICTOR_CONTAINER})
    added = {
        "--model_name": name_of(service),
        "--predictor_host": f"{predictor_name(service)}.{namespace}",
        "--http_port": "8080",
    }
    if transformer.get("containerConcurrency") is not None:
        added["--workers"] = str(transformer["containerConcurrency"])
    arguments = list(first["args"]) if isinstance(first.get("args"), list) else []
    for option, value in added.items():
        if argument({"args": arguments}, option) is None:
            arguments += [option, value]
    first["args"] = arguments
    pod = {
        **pod_fields(transformer),
        "containers": [with_service_name(first, name_of(service)), *containers[1:]],
    }
    name = transformer_name(service)
    return _component(service, "transformer", name, transformer, pod, sources)


def _component(
    service: Part, role: str, name: str, written: Part, pod: Part, sources: list[Source]
) -> Component:
    added = storage_annotations(service, None, environment(pod["containers"][0], STORAGE_URI))
    return Component(
        role,
        name,
        Source(f"spec.{role}", written),
        pod,
        tuple(sources),
        labels_of(service, role, written, {}),
        annotations_of(service, written, {}, added),
        written,
    )
