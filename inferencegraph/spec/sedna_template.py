"""The pod template of Sedna's worker: what of it a spec's `template` takes."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from inferencegraph.check.containers import mapping, sequence
from inferencegraph.check.fields import check_type
from inferencegraph.check.problem import Finding
from inferencegraph.spec.report import Entry, Source
from inferencegraph.spec.templates import not_carried, placeholders

EDGE: Final = "spec.edgeWorker"
_WORKER_IMAGE: Final = (
    "a Sedna worker doesn't speak the V2 protocol; the model's engine serves it instead. A worker "
    "with code of your own: deploymentMode sdk"
)
_BATCH: Final = (
    "a site answers requests and reads no files: hem batch does, by these variables, and asks the "
    "site; served_by in each answer says which side gave it"
)
_NO_COUNTERPART: Final = {
    "BACKEND_TYPE": "the engine has its own framework; another one: inferenceConfig.engine",
    "input_text": _BATCH,
    "all_examples_inference_output": _BATCH,
    "hard_example_cloud_inference_output": _BATCH,
    "hard_example_edge_inference_output": _BATCH,
    "video_url": "a site answers requests: send each picture as a tensor",
    "input_shape": "a site takes tensors in the model's own shape",
}
_OF_API: Final = "the model is at an API: none of its pods is here"
_ON_THE_NODE: Final = "is on the node, and Pod Security 'restricted' refuses it"


def carried(
    source: Source, worker: str, variables: Mapping[str, int], *, at_api: bool
) -> dict[str, Any]:
    """Of the template of a worker's field what the overlay takes; the rest has its entries.
    `variables`: name -> place in its container's env."""
    field = f"{worker}.template"
    pod = f"{field}.spec"
    container = f"{pod}.containers[0]"
    source.left_out(f"{container}.image", _WORKER_IMAGE)
    if at_api:
        source.whole(field, lambda path: source.left_out(path, _OF_API))
        return {}
    content = source.get(field)
    wrong = [*check_type(content, "V1PodTemplateSpec", field), *placeholders(content, field)]
    for each in wrong:
        if not source.covers(each.field):
            source.entries.append(Entry(source.name, each.field, None, "error", each.message))
    if wrong:
        source.whole(field, lambda path: source.mapped(path, path))
        return {}
    for name, index in variables.items():
        if name in _NO_COUNTERPART:
            word = f"{name}: {_NO_COUNTERPART[name]}"
            source.left_out(f"{container}.env[{index}]", word)
    _tell(source, not_carried(content, field, mines=worker == EDGE))
    for number, volume in enumerate(sequence(source.get(f"{pod}.volumes"))):
        if mapping(volume).get("hostPath"):
            path = f"{pod}.volumes[{number}]"
            source.altered(path, path, _ON_THE_NODE)
    gone = {entry.source for entry in source.entries if entry.target != entry.source}
    source.whole(field, lambda path: source.mapped(path, path))
    return _without(content, field, gone) or {}


def _tell(source: Source, findings: Iterable[Finding]) -> None:
    """What is left out of a template, and what is wrong there; special variables have their
    entries."""
    for each in findings:
        if not source.covers(each.field):
            entry = Entry(source.name, each.field, None, each.severity, each.message)
            source.entries.append(entry)


def _without(value: Any, path: str, gone: set[str]) -> Any:
    """The value without the parts at those paths, and without what is empty then."""
    if path in gone:
        return None
    if isinstance(value, dict):
        parts = {name: _without(part, f"{path}.{name}", gone) for name, part in value.items()}
        kept = {name: part for name, part in parts.items() if part is not None}
        return kept if kept or not value else None
    if isinstance(value, list):
        items = [_without(part, f"{path}[{index}]", gone) for index, part in enumerate(value)]
        return [part for part in items if part is not None] or None
    return value
