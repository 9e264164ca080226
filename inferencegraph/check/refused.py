"""What Kubernetes refuses of the objects that KServe makes: the service is accepted, and then
never gets its pods. Told at the field of the user's object from which the refused part came."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from inferencegraph.check.containers import mapping
from inferencegraph.check.pods.parts import check_labels
from inferencegraph.check.pods.syntax import LABEL, LABEL_VALUE, QUALIFIED_NAME
from inferencegraph.check.pods.template import check_template
from inferencegraph.check.pods.workloads import (
    check_metrics,
    check_service_ports,
    check_strategy,
)
from inferencegraph.check.problem import Finding, Others, error, unknown
from inferencegraph.check.reconciled.component import Component
from inferencegraph.check.reconciled.components import components_of
from inferencegraph.check.reconciled.graphs import router_of
from inferencegraph.check.reconciled.installation import Installation
from inferencegraph.check.reconciled.metadata import (
    AUTOSCALER,
    DEPLOYMENT_MODE,
    app_label,
    name_of,
)
from inferencegraph.check.reconciled.objects import autoscaling, served_container, service_ports
from inferencegraph.check.reconciled.runtimes import is_served_by_kserve, selected, wanted

Part = Mapping[str, Any]

# Modes in which something else than a Deployment is made.
_OTHER_MODES: Final = ("Knative", "Serverless", "ModelMesh")
_MODES: Final = ("Standard", "RawDeployment")
_AUTOSCALERS: Final = ("external", "hpa", "keda", "none")
_INSTALLATION: Final = Installation()
_HOST_LABEL_LIMIT: Final = 63


def check_service_pods(service: Part, others: Others) -> Iterator[Finding]:
    """The Deployments, Services and autoscalers of an InferenceService."""
    if makes_deployments(service):
        made = list(components_of(service, others.runtimes, _INSTALLATION))
        for component in made:
            yield from _check_component(component)
        yield from _check_names(service, made)


def check_selection(service: Part, others: Others) -> Iterator[Finding]:
    """A model that names no runtime, and that none takes by itself."""
    predictor = mapping(mapping(service.get("spec")).get("predictor"))
    model = wanted(predictor)
    if model is None or model.named is not None or not model.format:
        return
    multi_node = isinstance(predictor.get("workerSpec"), dict)
    if selected(model, others.runtimes, multi_node) or is_served_by_kserve(model, multi_node):
        return
    form = f"{model.format}:{model.version}" if model.version else model.format
    yield error(
        f"spec.predictor.{model.field}",
        f"no ServingRuntime of these manifests or of KServe's own takes {form!r} with protocol "
        f"{model.protocol} by itself; name one as runtime",
    )


def check_graph_pods(graph: Part, others: Others) -> Iterator[Finding]:
    """Those of an InferenceGraph's router."""
    if makes_deployments(graph) and isinstance(graph.get("spec"), dict):
        router = router_of(graph, others.services, others.runtimes, _INSTALLATION)
        yield from _check_component(router)
        yield from _check_names(graph, [router])


def check_runtime_pods(runtime: Part, others: Others) -> Iterator[Finding]:
    """What no service can get right that names this runtime."""
    spec = mapping(runtime.get("spec"))
    for field, pod in (("spec", spec), ("spec.workerSpec", mapping(spec.get("workerSpec")))):
        for finding in check_template(pod, complete=False):
            yield replace(finding, field=f"{field}.{finding.field}")


def makes_deployments(content: Part) -> bool:
    """Whether KServe is to make plain Deployments of a service or graph, as far as it says so."""
    annotations = mapping(mapping(content.get("metadata")).get("annotations"))
    return annotations.get(DEPLOYMENT_MODE) not in _OTHER_MODES


def _check_component(component: Component) -> Iterator[Finding]:
    for finding in check_template(component.pod, complete=component.complete):
        yield component.told(finding)
    if component.role == "worker":  # the rest is the head's
        return
    field, scaling = component.written.field, component.scaling
    if component.role == "graph":
        yield from _check_autoscaler(component.annotations, "metadata.annotations")
    else:
        yield from _check_metadata(component.written.content, field)
        strategy = mapping(scaling.get("deploymentStrategy"))
        yield from check_strategy(strategy, f"{field}.deploymentStrategy")
    container = f"containers[{served_container(component)}]"
    for finding in check_service_ports(service_ports(component), f"{container}.ports"):
        yield component.told(finding)
    aims = "autoScaling.metrics" if "autoScaling" in scaling else "scaleTarget"
    for finding in check_metrics(autoscaling(component)["metrics"], "metrics"):
        yield replace(finding, field=f"{field}.{aims}")


def _check_metadata(written: Part, field: str) -> Iterator[Finding]:
    """Labels and annotations that a component adds to its pods'."""
    yield from check_labels(written.get("labels"), f"{field}.labels")
    annotations = mapping(written.get("annotations"))
    yield from _check_autoscaler(annotations, f"{field}.annotations")
    mode = annotations.get(DEPLOYMENT_MODE)
    if mode not in (None, *_MODES):
        yield unknown(f"{field}.annotations.{DEPLOYMENT_MODE}", "mode", mode, _MODES)
    for name in annotations:
        if fault := QUALIFIED_NAME.fault(str(name).lower()):
            yield error(f"{field}.annotations", f"a name {fault}")


def _check_autoscaler(annotations: Part, field: str) -> Iterator[Finding]:
    """KServe's webhook looks at it in an InferenceService's own annotations alone."""
    autoscaler = annotations.get(AUTOSCALER)
    if autoscaler is not None and autoscaler not in _AUTOSCALERS:
        yield unknown(f"{field}.{AUTOSCALER}", "autoscaler", autoscaler, _AUTOSCALERS)


def _check_names(content: Part, made: Iterable[Component]) -> Iterator[Finding]:
    """Names that KServe makes from the object's own, which have to be labels and hosts too."""
    name, field = name_of(content), "metadata.name"
    names = [component.name for component in made] or [name]
    longest = max(map(len, map(app_label, names))) - len(name)
    limit = LABEL_VALUE.limit - longest
    own = mapping(mapping(content.get("spec")).get("predictor")).get("name")
    if own and (fault := LABEL.fault(own)):
        yield error("spec.predictor.name", fault)
    namespace = mapping(content.get("metadata")).get("namespace")
    if len(name) > limit:
        yield error(
            field,
            f"{name!r} has {len(name)} characters; at most {limit} leave room for the names that "
            "KServe makes from it",
        )
    elif isinstance(namespace, str):
        for made_name in names:
            host = _INSTALLATION.host(made_name, namespace).partition(".")[0]
            if len(host) > _HOST_LABEL_LIMIT:
                yield error(
                    field,
                    f"makes the host {host}, of {len(host)} characters, where "
                    f"{_HOST_LABEL_LIMIT} are allowed; shorten the name or the namespace's",
                )
                return
