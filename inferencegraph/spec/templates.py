"""`spec.*Worker.template`: what of a pod template is a field of the spec, and what can't be carried
over. The rest goes to the rendered pods as `inferencegraph.build.overlay` says."""

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Final, TypeVar

from pydantic import ValidationError

from inferencegraph.build.overlay import MINING_MODE, OF_CONTAINERS, is_minings
from inferencegraph.check.containers import mapping, sequence
from inferencegraph.check.fields import check_type
from inferencegraph.check.pods.quantities import quantity
from inferencegraph.check.problem import Finding, error, warning
from inferencegraph.spec.faults import SpecFault, at
from inferencegraph.spec.mining import HardExampleMining
from inferencegraph.spec.resolve.mining import DEFAULT_ROUTER
from inferencegraph.spec.resolve.resources import CLOUD_RESOURCES, EDGE_RESOURCES
from inferencegraph.spec.service import EdgeWorker, Worker
from inferencegraph.spec.serving import Amounts, Node, Resource
from predictors.errors import ConfigurationError, first_fault

W = TypeVar("W", bound=Worker)
# What a shell would have replaced, as in `kubectl create -f - <<EOF`.
PLACEHOLDER: Final = re.compile(r"\$(\w+|\{\w+\})")
_ALGORITHM: Final = "HEM_ALGORITHM"
_WHY: Final = {
    "image": "the engine has its own image; another one: model.image, or images.names",
    "command": "the engine has its own; of an image of your own: model.command",
    "args": "the engine has its own; further ones: extraArgs of its block, or words of "
    "model.command",
    "ports": "graph and gateway know the engine's own",
    "workingDir": "the engine has its own",
    "lifecycle": "the engine has its own",
    "livenessProbe": "the engine has its own",
    "readinessProbe": "the engine has its own",
    "startupProbe": "the engine has its own; a longer time: startSeconds",
}
_MAPPED_METADATA: Final = ("annotations", "labels")


def template_findings(worker: Worker, field: str, mines: bool) -> list[Finding]:
    """What is wrong in a worker's template, and what can't be carried over; `mines`: there is HEM,
    on this worker's side."""
    if worker.template is None:
        return []
    field = f"{field}.template"
    wrong = list(check_type(worker.template, "V1PodTemplateSpec", field))
    if wrong:
        return wrong
    return [*placeholders(worker.template, field), *not_carried(worker.template, field, mines)]


def placeholders(value: Any, field: str) -> Iterator[Finding]:
    """Texts that are a variable of a shell."""
    if isinstance(value, str) and PLACEHOLDER.fullmatch(value):
        yield error(field, f"{value!r} is a placeholder; write the value")
    elif isinstance(value, dict):
        for name, part in value.items():
            yield from placeholders(part, f"{field}.{name}")
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from placeholders(part, f"{field}[{index}]")


def not_carried(template: Mapping[str, Any], field: str, mines: bool) -> Iterator[Finding]:
    for name in mapping(template.get("metadata")):
        if name not in _MAPPED_METADATA:
            yield warning(f"{field}.metadata.{name}", "is not carried over; KServe names the pods")
    pod = mapping(template.get("spec"))
    if pod.get("restartPolicy") not in (None, "Always"):
        yield error(
            f"{field}.spec.restartPolicy",
            f"{pod['restartPolicy']!r}: a Deployment's pods always start again; leave it out",
        )
    for index, container in enumerate(sequence(pod.get("containers"))):
        where = f"{field}.spec.containers[{index}]"
        if index and not container.get("name"):
            yield error(f"{where}.name", "is required")
        for name in () if index else container:
            if name not in OF_CONTAINERS:
                yield warning(f"{where}.{name}", f"is not carried over: {_WHY.get(name, 'unused')}")
        for number, entry in enumerate(sequence(container.get("env"))):
            yield from _check_variable(entry, f"{where}.env[{number}]", mines)


def _check_variable(entry: Mapping[str, Any], field: str, mines: bool) -> Iterator[Finding]:
    name = str(entry.get("name"))
    if not is_minings(name):
        return
    if not mines:
        yield error(
            field,
            f"{name} is HEM's, which is not in this pod; it stands beside an edge model that"
            " has a cloud, so write it into spec.edgeWorker.template",
        )
    elif name == _ALGORITHM:
        yield error(field, f"{name} is spec.edgeWorker.hardExampleMining.name; write it there")
    elif name == MINING_MODE and entry.get("valueFrom"):
        yield error(field, "decides which objects there are, so it needs a value")


def with_template(worker: W | None, field: str) -> W | None:
    """The worker with what its template says of the spec's own fields: `resources` of the first
    container, for an edge worker `nodeName` and MINING_MODE, too. Raises SpecFault where the spec
    says it as well."""
    if worker is None or worker.template is None:
        return worker
    found: dict[str, Any] = {}
    pod = mapping(worker.template.get("spec"))
    first = mapping(next(iter(sequence(pod.get("containers"))), None))
    if first.get("resources"):
        where = f"{field}.template.spec.containers[0].resources"
        if worker.resource is not None:
            raise SpecFault(where, f"is {field}.resource, too; give it once")
        default = EDGE_RESOURCES if isinstance(worker, EdgeWorker) else CLOUD_RESOURCES
        found["resource"] = _resource(first["resources"], default, where)
    if isinstance(worker, EdgeWorker):
        found |= _nodes(worker, pod, field)
        found |= _mining(worker, first, field)
    return worker.model_copy(update=found)


def _nodes(worker: EdgeWorker, pod: Mapping[str, Any], field: str) -> dict[str, Any]:
    name = pod.get("nodeName")
    if name is None:
        return {}
    if not worker.nodes:
        return {"nodes": (Node(name=name),)}
    if [node.name for node in worker.nodes] != [name]:
        raise SpecFault(
            f"{field}.template.spec.nodeName", f"{name!r} is not {field}.nodes; give one of both"
        )
    return {}


def _mining(worker: EdgeWorker, container: Mapping[str, Any], field: str) -> dict[str, Any]:
    for index, entry in enumerate(sequence(container.get("env"))):
        if entry.get("name") == MINING_MODE:
            where = f"{field}.template.spec.containers[0].env[{index}].value"
            return {"hard_example_mining": _with_mode(worker.hard_example_mining, entry, where)}
    return {}


def _with_mode(
    part: HardExampleMining | None, entry: Mapping[str, Any], field: str
) -> HardExampleMining:
    """The mining with the mode of MINING_MODE, an entry of a container's env. Raises SpecFault."""
    part = part or HardExampleMining(router=DEFAULT_ROUTER)
    mode = entry.get("value")
    if part.mining_mode not in (None, mode):
        raise SpecFault(field, f"{mode!r} contradicts hardExampleMining.miningMode; give one")
    try:
        return HardExampleMining.model_validate({**part.model_dump(), "mining_mode": mode})
    except ValidationError as fault:
        raise SpecFault(field, f"{mode!r}: {first_fault(fault)[1]}") from None


def _resource(resources: Mapping[str, Any], default: Amounts, field: str) -> Resource:
    """A container's `resources` as the spec writes them. Where a pod would have no limit it is the
    default's, or the request. Raises SpecFault."""
    devices = {
        name
        for amounts in ("requests", "limits")
        for name in mapping(resources.get(amounts))
        if "/" in name
    }
    if len(devices) > 1:
        raise SpecFault(field, f"has {' and '.join(sorted(devices))}; a model has one kind")
    requests = _amounts(mapping(resources.get("requests")), f"{field}.requests")
    limits = _amounts(mapping(resources.get("limits")), f"{field}.limits")
    for name in ("cpu", "memory"):
        if name in requests and name not in limits:
            with at(f"{field}.requests.{name}"):
                limits[name] = max(requests[name], getattr(default, name), key=_amount)
    device = {"accelerator": devices.pop()} if devices else {}
    return Resource(requests=Amounts(**requests), limits=Amounts(**limits), **device)


def _amount(text: str) -> Decimal:
    amount = quantity(text)
    if amount is None:
        raise ConfigurationError(f"{text!r} is not a quantity of Kubernetes")
    return amount


def _amounts(amounts: Mapping[str, Any], field: str) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, value in amounts.items():
        if "/" in name:
            values["gpus"] = int(value)
        elif name in ("cpu", "memory"):
            values[name] = f"{value:g}" if isinstance(value, int | float) else str(value)
        else:
            raise SpecFault(f"{field}.{name}", "can't be carried over; cpu, memory and devices can")
    return values
