"""From a spec to its objects."""

from collections.abc import Mapping
from typing import Any, Final

from inferencegraph.build.setup import Claim, Objects, Setup, objects
from inferencegraph.build.sites import Model, Site
from inferencegraph.check.problem import error
from inferencegraph.spec.faults import Collector, SpecFault, SpecFaults
from inferencegraph.spec.resolving import (
    claim_of,
    images_of,
    mining_of,
    model_of,
    sites_of,
    timeouts_of,
)
from inferencegraph.spec.service import LLMJointInferenceService
from inferencegraph.spec.sources import ModelSource
from predictors.contract import CLOUD, EDGE
from predictors.errors import ConfigurationError

EDGE_FIELD: Final = "spec.edgeWorker"
CLOUD_FIELD: Final = "spec.cloudWorker"


def rendered(
    document: LLMJointInferenceService, models: Mapping[str, ModelSource] | None = None
) -> Objects:
    """The objects of a spec, always in the same order. `models`: Model objects beside it, by name.

    Raises SpecFaults with all that can't be rendered.
    """
    setup = resolved(document, models)
    try:
        made = objects(setup)
    except ConfigurationError as fault:
        raise SpecFaults([error("spec", str(fault))]) from None
    return [_placed(each, document) for each in made]


def resolved(
    document: LLMJointInferenceService, models: Mapping[str, ModelSource] | None = None
) -> Setup:
    """The values of a spec. Raises SpecFaults with all that is wrong in it."""
    spec, name, models = document.spec, document.metadata.name, models or {}
    small, large = spec.edge_worker, spec.cloud_worker
    faults = Collector()
    edge = cloud = mining = None
    claims: list[Claim | None] = []
    images = faults.get(lambda: images_of(spec))
    timeouts = faults.get(lambda: timeouts_of(spec))
    sites = (faults.get(lambda: sites_of(name, small)) or []) if small else []
    if small is not None:
        edge = faults.get(lambda: model_of(small, spec, EDGE, EDGE_FIELD, models))
        claims.append(faults.get(lambda: claim_of(small, EDGE_FIELD)))
    if large is not None:
        cloud = faults.get(lambda: model_of(large, spec, CLOUD, CLOUD_FIELD, models))
        claims.append(faults.get(lambda: claim_of(large, CLOUD_FIELD)))
    if small is not None and large is not None:
        text = not (isinstance(edge, Model) and edge.engine == "classifier")
        field = f"{EDGE_FIELD}.hardExampleMining"
        mining = faults.get(lambda: mining_of(small.hard_example_mining, spec, not text, field))
    elif small is not None and small.hard_example_mining is not None:
        faults.get(_mines_for_nobody)
    if faults.findings or images is None or timeouts is None:
        raise SpecFaults(faults.findings)
    return Setup(
        name,
        tuple(Site(each.name, each.node, images, timeouts, owner=name) for each in sites),
        edge if isinstance(edge, Model) else None,
        mining,
        cloud,
        images,
        tuple(claim for claim in claims if claim is not None),
        spec.images.pull_secret,
    )


def _mines_for_nobody() -> None:
    raise SpecFault(
        f"{EDGE_FIELD}.hardExampleMining",
        "there is no cloudWorker to which hard queries could go; add one, or leave this out",
    )


def _placed(content: dict[str, Any], document: LLMJointInferenceService) -> dict[str, Any]:
    """The object in the spec's namespace, with its labels."""
    metadata = content["metadata"]
    if document.metadata.namespace:
        metadata = {"name": metadata["name"], "namespace": document.metadata.namespace, **metadata}
    if document.metadata.labels:
        metadata = {**metadata, "labels": {**document.metadata.labels, **metadata["labels"]}}
    return {**content, "metadata": metadata}
