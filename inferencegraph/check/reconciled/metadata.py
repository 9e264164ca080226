"""Names, labels and annotations of what KServe makes of an InferenceService."""

from collections.abc import Mapping
from typing import Any, Final

from inferencegraph.check.containers import mapping
from inferencegraph.check.reconciled.runtimes import Wanted

Part = Mapping[str, Any]

DEPLOYMENT_MODE: Final = "serving.kserve.io/deploymentMode"
AUTOSCALER: Final = "serving.kserve.io/autoscalerClass"
_STANDARD: Final = "Standard"
_INTERNAL: Final = "internal.serving.kserve.io"
STORAGE: Final = f"{_INTERNAL}/storage-initializer-sourceuri"
STORAGE_URI: Final = "STORAGE_URI"  # a variable of containers
_FORMAT: Final = "modelFormat"
_NOT_PASSED_ON: Final = (
    "autoscaling.knative.dev/max-scale",
    "autoscaling.knative.dev/min-scale",
    STORAGE,
    "kubectl.kubernetes.io/last-applied-configuration",
    _FORMAT,
)


def name_of(content: Part) -> str:
    return str(mapping(content.get("metadata")).get("name"))


def predictor_name(service: Part) -> str:
    """Of its Deployment and its Service."""
    own = mapping(mapping(service.get("spec")).get("predictor")).get("name")
    return f"{name_of(service)}-{own}-predictor" if own else f"{name_of(service)}-predictor"


def transformer_name(service: Part) -> str:
    return f"{name_of(service)}-transformer"


def app_label(name: str) -> str:
    """By which a Service finds the pods of a Deployment."""
    return f"isvc.{name}"


def own_annotations(service: Part, model: Wanted | None) -> dict[str, Any]:
    """An InferenceService's, after KServe's webhook."""
    annotations = dict(mapping(mapping(service.get("metadata")).get("annotations")))
    if annotations.get(DEPLOYMENT_MODE) in (None, "RawDeployment"):
        annotations[DEPLOYMENT_MODE] = _STANDARD
    if model is not None:
        annotations.setdefault(_FORMAT, model.format)
    return annotations


def labels_of(service: Part, role: str, component: Part, runtime: Part) -> dict[str, Any]:
    """`runtime`: the spec of the ServingRuntime, or of its workers."""
    return {
        **mapping(runtime.get("labels")),
        **mapping(mapping(service.get("metadata")).get("labels")),
        **mapping(component.get("labels")),
        "serving.kserve.io/inferenceservice": name_of(service),
        "component": role,
    }


def annotations_of(service: Part, component: Part, runtime: Part, added: Part) -> dict[str, Any]:
    """`added`: what KServe's controller tells its pod webhook."""
    return {
        **_passed_on(mapping(runtime.get("annotations"))),
        **_passed_on(own_annotations(service, None)),
        **added,
        **_passed_on(mapping(component.get("annotations"))),
    }


def storage_annotations(service: Part, model: Wanted | None, uri: Any) -> dict[str, Any]:
    """What fetches a model, or, for a model without storage, an agent that serves several."""
    if isinstance(uri, str):
        return {STORAGE: uri}
    stored = model is None or model.format == "huggingface" or model.spec.get("storage")
    if stored:
        return {}
    return {
        f"{_INTERNAL}/agent": "true",
        f"{_INTERNAL}/configMountPath": "/mnt/configs",
        f"{_INTERNAL}/configVolumeName": f"modelconfig-{name_of(service)}-0",
        f"{_INTERNAL}/modelDir": "/mnt/models",
    }


def _passed_on(annotations: Part) -> dict[str, Any]:
    return {name: text for name, text in annotations.items() if name not in _NOT_PASSED_ON}
