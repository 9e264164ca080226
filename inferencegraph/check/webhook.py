"""What KServe's webhooks refuse of an InferenceService, beside what other files say."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from inferencegraph.check.containers import (
    COLLOCATED_TRANSFORMER,
    components,
    containers,
    environment,
    mapping,
    sequence,
)
from inferencegraph.check.core.syntax import at_least, is_number, one_of
from inferencegraph.check.problem import Finding, Others, error

_AUTOSCALER: Final = "serving.kserve.io/autoscalerClass"
_CLASSES: Final = ("hpa", "keda", "external", "none")
_METRICS: Final = ("cpu", "memory", "concurrency", "rps")
_HPA_METRICS: Final = ("cpu", "memory")
_METRIC_TYPES: Final = ("Utilization", "Value", "AverageValue")
_LOGGED: Final = ("all", "request", "response")
# The models that a predictor may have, one of them, or containers of its own.
FRAMEWORKS: Final = (
    *("sklearn", "xgboost", "tensorflow", "pytorch", "triton", "onnx", "huggingface", "pmml"),
    *("lightgbm", "paddle", "model"),
)


def check_webhook(service: Mapping[str, Any], others: Others) -> Iterator[Finding]:
    annotations = mapping(mapping(service.get("metadata")).get("annotations"))
    scaling = annotations.get(_AUTOSCALER)
    yield from one_of(f"metadata.annotations.{_AUTOSCALER}", scaling, _CLASSES, "autoscaler class")
    for role, component in components(service):
        field = f"spec.{role}"
        yield from _check_implementation(role, component, field)
        yield from _check_extension(component, field)
        yield from _check_scaling(component, field, scaling)
        yield from _check_storage(component, field)


def _check_implementation(role: str, component: Mapping[str, Any], field: str) -> Iterator[Finding]:
    """Exactly one model, or containers."""
    given = [name for name in FRAMEWORKS if role == "predictor" and component.get(name) is not None]
    inside = containers(component)
    if inside:
        given.append("containers")
    wanted = "model or containers" if role == "predictor" else "containers"
    if not given and role != "explainer":
        yield error(field, f"has no {wanted}; KServe needs one of them")
    elif len(given) > 1:
        yield error(field, f"has {' and '.join(given)}; KServe takes exactly one: {wanted}")
    for name in given:
        if name != "containers" and mapping(component[name]).get("name"):
            yield error(f"{field}.{name}.name", "is not allowed; KServe calls it kserve-container")
    for index, container in enumerate(inside):
        if container.get("name") == COLLOCATED_TRANSFORMER and environment(
            container, "STORAGE_URI"
        ):
            yield error(
                f"{field}.containers[{index}].env",
                "STORAGE_URI belongs to the model's container, not to the transformer's",
            )


def _check_extension(component: Mapping[str, Any], field: str) -> Iterator[Finding]:
    for name in ("minReplicas", "maxReplicas", "containerConcurrency"):
        yield from at_least(f"{field}.{name}", component.get(name), 0)
    least, most = component.get("minReplicas"), component.get("maxReplicas")
    least = 1 if least is None else least
    if (
        least is not None
        and most is not None
        and is_number(least)
        and is_number(most)
        and most != 0
        and least > most
    ):
        yield error(f"{field}.minReplicas", f"{least} is above maxReplicas {most}")
    mode = mapping(component.get("logger")).get("mode")
    if isinstance(component.get("logger"), dict):
        yield from one_of(f"{field}.logger.mode", mode or "", _LOGGED, "mode")
    yield from one_of(f"{field}.scaleMetric", component.get("scaleMetric"), _METRICS, "metric")
    kind = component.get("scaleMetricType")
    yield from one_of(f"{field}.scaleMetricType", kind, _METRIC_TYPES, "type")


def _check_scaling(component: Mapping[str, Any], field: str, scaling: Any) -> Iterator[Finding]:
    metric, target = component.get("scaleMetric"), component.get("scaleTarget")
    place = f"{field}.scaleTarget"
    if scaling == "keda" and metric is not None:
        yield error(f"{field}.scaleMetric", "KEDA scales by autoScaling.metrics; remove it")
    if scaling == "hpa":
        yield from one_of(f"{field}.scaleMetric", metric, _HPA_METRICS, "metric of hpa")
        if is_number(target) and ((metric in (None, "cpu") and target < 1) or target > 100):
            yield error(place, f"must be from 1 to 100 percent, not {target}")
        elif is_number(target) and metric == "memory" and target < 1:
            yield error(place, f"must be 1 MiB or more, not {target}")
    for index, each in enumerate(sequence(mapping(component.get("autoScaling")).get("metrics"))):
        yield from _check_metric(mapping(each), f"{field}.autoScaling.metrics[{index}]", scaling)


def _check_metric(part: Mapping[str, Any], field: str, scaling: Any) -> Iterator[Finding]:
    sources = {"Resource": "resource", "External": "external", "PodMetric": "podmetric"}
    kind = part.get("type")
    yield from one_of(f"{field}.type", kind, sources, "type")
    if kind not in sources:
        return
    if scaling == "hpa" and kind != "Resource":
        yield error(f"{field}.type", f"{kind}: the class hpa takes Resource only")
    source = mapping(part.get(sources[kind]))
    if not source:
        yield error(f"{field}.{sources[kind]}", f"is missing, but required by the type {kind}")
    elif scaling == "keda":
        yield from _check_keda(kind, source, f"{field}.{sources[kind]}")


def _check_keda(kind: str, source: Mapping[str, Any], field: str) -> Iterator[Finding]:
    target, place = mapping(source.get("target")), f"{field}.target"
    if kind == "Resource":
        allowed = {"cpu": ("Utilization",), "memory": ("AverageValue", "Utilization")}
        name = source.get("name")
        yield from one_of(f"{field}.name", name, allowed, "resource")
        if name in allowed:
            yield from one_of(f"{place}.type", target.get("type") or "", allowed[name], "type")
    else:
        if not mapping(source.get("metric")).get("query"):
            yield error(f"{field}.metric.query", "is missing, but required")
        if target.get("value") is None:
            yield error(f"{place}.value", "is missing, but required")
    percent = target.get("averageUtilization")
    if target.get("type") == "Utilization" and not (is_number(percent) and 1 <= percent <= 100):
        yield error(f"{place}.averageUtilization", f"must be from 1 to 100, not {percent!r}")
    if target.get("type") == "AverageValue" and target.get("averageValue") is None:
        yield error(f"{place}.averageValue", "is missing, but required")
    if target.get("type") == "Value" and target.get("value") is None:
        yield error(f"{place}.value", "is missing, but required")


def _check_storage(component: Mapping[str, Any], field: str) -> Iterator[Finding]:
    several = sequence(component.get("storageUris"))
    model = mapping(component.get("model"))
    own = model.get("storageUri") is not None or any(
        environment(container, "STORAGE_URI") for container in containers(component)
    )
    if component.get("storageUris") is not None and own:
        yield error(f"{field}.storageUris", "stands beside a storageUri; keep one of the two")
    if component.get("storageUris") == []:
        yield error(f"{field}.storageUris", "is empty; it needs at least one")
    for index, each in enumerate(several):
        part, place = mapping(each), f"{field}.storageUris[{index}]"
        path = part.get("mountPath")
        if not part.get("uri"):
            yield error(f"{place}.uri", "is missing, but required")
        if path == "/" or (isinstance(path, str) and (not path.startswith("/") or ".." in path)):
            yield error(
                f"{place}.mountPath", f"{path!r} must be absolute, not / itself, without .."
            )
