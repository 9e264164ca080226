"""What KServe's webhooks refuse of an InferenceService, beside what other files say."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from inferencegraph.check.containers import (
    COLLOCATED_TRANSFORMER,
    components,
    containers,
    environment,
    mapping,
)
from inferencegraph.check.pods.parts import check_choices, check_ranges, parts, whole
from inferencegraph.check.problem import Finding, Others, error

_AUTOSCALER: Final = "serving.kserve.io/autoscalerClass"
_CLASSES: Final = ("hpa", "keda", "external", "none")
_METRICS: Final = ("cpu", "memory", "concurrency", "rps")
_HPA_METRICS: Final = ("cpu", "memory")
_METRIC_TYPES: Final = ("Utilization", "Value", "AverageValue")
_COUNTS: Final = ("minReplicas", "maxReplicas", "containerConcurrency")
_NOT_NEGATIVE: Final = (0, 2**31 - 1)
_KEDA_RESOURCES: Final = {"cpu": ("Utilization",), "memory": ("AverageValue", "Utilization")}
# By a target's type, the field that holds it.
_TARGETS: Final = {
    "Utilization": "averageUtilization",
    "AverageValue": "averageValue",
    "Value": "value",
}
_LOGGED: Final = ("all", "request", "response")
# The models that a predictor may have, one of them, or containers of its own.
FRAMEWORKS: Final = (
    *("sklearn", "xgboost", "tensorflow", "pytorch", "triton", "onnx", "huggingface", "pmml"),
    *("lightgbm", "paddle", "model"),
)


def check_webhook(service: Mapping[str, Any], others: Others) -> Iterator[Finding]:
    annotations = mapping(mapping(service.get("metadata")).get("annotations"))
    scaling = annotations.get(_AUTOSCALER)
    yield from check_choices(annotations, "metadata.annotations", {_AUTOSCALER: _CLASSES})
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
    yield from check_ranges(component, field, dict.fromkeys(_COUNTS, _NOT_NEGATIVE))
    least, most = whole(component.get("minReplicas")), whole(component.get("maxReplicas"))
    least = 1 if component.get("minReplicas") is None else least
    if least is not None and most and least > most:
        yield error(f"{field}.minReplicas", f"{least} is above maxReplicas {most}")
    if isinstance(component.get("logger"), dict):
        mode = component["logger"].get("mode") or "none"
        yield from check_choices({"mode": mode}, f"{field}.logger", {"mode": _LOGGED})
    choices = {"scaleMetric": _METRICS, "scaleMetricType": _METRIC_TYPES}
    yield from check_choices(component, field, choices)


def _check_scaling(component: Mapping[str, Any], field: str, scaling: Any) -> Iterator[Finding]:
    metric, target = component.get("scaleMetric"), whole(component.get("scaleTarget"))
    if scaling == "keda" and metric is not None:
        yield error(f"{field}.scaleMetric", "KEDA scales by autoScaling.metrics; remove it")
    if scaling == "hpa":
        yield from check_choices(component, field, {"scaleMetric": _HPA_METRICS})
        low = 1 if metric in (None, *_HPA_METRICS) else 0
        if target is not None and not low <= target <= 100:
            yield error(f"{field}.scaleTarget", f"must be from 1 to 100, not {target}")
    for part, place in parts(
        mapping(component.get("autoScaling")).get("metrics"), f"{field}.autoScaling.metrics"
    ):
        yield from _check_metric(part, place, scaling)


def _check_metric(part: Mapping[str, Any], field: str, scaling: Any) -> Iterator[Finding]:
    sources = {"Resource": "resource", "External": "external", "PodMetric": "podmetric"}
    kind = str(part.get("type"))
    yield from check_choices(part, field, {"type": tuple(sources)})
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
        yield from check_choices(source, field, {"name": tuple(_KEDA_RESOURCES)})
        allowed = _KEDA_RESOURCES.get(str(source.get("name")))
        if allowed is not None:
            given = {"type": target.get("type") or "none"}
            yield from check_choices(given, place, {"type": allowed})
    else:
        if not mapping(source.get("metric")).get("query"):
            yield error(f"{field}.metric.query", "is missing, but required")
        if target.get("value") is None:
            yield error(f"{place}.value", "is missing, but required")
    needed = _TARGETS.get(str(target.get("type")))
    if needed and target.get(needed) is None:
        yield error(f"{place}.{needed}", "is missing, but required")
    yield from check_ranges(target, place, {"averageUtilization": (1, 100)})


def _check_storage(component: Mapping[str, Any], field: str) -> Iterator[Finding]:
    model = mapping(component.get("model"))
    own = model.get("storageUri") is not None or any(
        environment(container, "STORAGE_URI") for container in containers(component)
    )
    if component.get("storageUris") is not None and own:
        yield error(f"{field}.storageUris", "stands beside a storageUri; keep one of the two")
    if component.get("storageUris") == []:
        yield error(f"{field}.storageUris", "is empty; it needs at least one")
    for part, place in parts(component.get("storageUris"), f"{field}.storageUris"):
        path = part.get("mountPath")
        if not part.get("uri"):
            yield error(f"{place}.uri", "is missing, but required")
        if path == "/" or (isinstance(path, str) and (not path.startswith("/") or ".." in path)):
            yield error(
                f"{place}.mountPath", f"{path!r} must be absolute, not / itself, without .."
            )
