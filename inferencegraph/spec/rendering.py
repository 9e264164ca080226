"""From a spec to its objects: what the two sides share, then each site."""

from collections.abc import Mapping
from typing import Any

from inferencegraph.build.services import (
    api_service,
    cloud_service,
    edge_service,
    site_manifests,
    triton_service,
)
from inferencegraph.build.sites import (
    CloudAddress,
    CloudAPI,
    Mining,
    Model,
    Site,
    predictor_url,
)
from inferencegraph.check.problem import Finding
from inferencegraph.spec.faults import Collector, SpecFault, SpecFaults
from inferencegraph.spec.resolving import (
    SiteName,
    images_of,
    mining_of,
    model_of,
    sites_of,
    timeouts_of,
)
from inferencegraph.spec.service import LLMJointInferenceService
from inferencegraph.spec.sources import ModelSource
from predictors.contract import CLOUD, EDGE

Objects = list[dict[str, Any]]


def rendered(
    document: LLMJointInferenceService, models: Mapping[str, ModelSource] | None = None
) -> Objects:
    """The objects of a spec, always in the same order. `models`: Model objects beside it, by name.

    Raises SpecFaults with all that can't be rendered.
    """
    spec, name = document.spec, document.metadata.name
    models = models or {}
    faults = Collector()
    edge = cloud = mining = None
    sites: list[SiteName] = []
    worker = spec.edge_worker
    if worker is not None:
        edge = faults.get(lambda: model_of(worker, spec, EDGE, "spec.edgeWorker", models))
        sites = faults.get(lambda: sites_of(name, worker)) or []
    if (large := spec.cloud_worker) is not None:
        cloud = faults.get(lambda: model_of(large, spec, CLOUD, "spec.cloudWorker", models))
    if worker is not None and large is not None:
        text = not (isinstance(edge, Model) and edge.engine == "classifier")
        field = "spec.edgeWorker.hardExampleMining"
        mining = faults.get(lambda: mining_of(worker.hard_example_mining, spec, not text, field))
    elif worker is not None and worker.hard_example_mining is not None:
        faults.get(_mines_for_nobody)
    timeouts = faults.get(lambda: timeouts_of(spec))
    images = faults.get(lambda: images_of(spec))
    if faults.findings or timeouts is None or images is None:
        raise SpecFaults(faults.findings)
    built = [Site(each.name, each.node, images, timeouts, owner=name) for each in sites]
    try:
        objects = _objects(name, built, edge, cloud, mining, Site(name, images=images))
    except SpecFault as fault:
        raise SpecFaults([Finding("error", fault.field, fault.message)]) from None
    return [_placed(each, document) for each in objects]


def _objects(
    name: str,
    sites: list[Site],
    edge: Model | CloudAPI | None,
    cloud: Model | CloudAPI | None,
    mining: Mining | None,
    shared: Site,
) -> Objects:
    objects: Objects = []
    address: CloudAddress | CloudAPI | None = None
    if isinstance(cloud, Model):
        service, address = _cloud(f"{name}-cloud", cloud, shared)
        objects.append(service)
    elif isinstance(cloud, CloudAPI):
        address = cloud
        if not sites:
            objects.append(api_service(f"{name}-cloud", cloud, shared))
    for site in sites:
        assert isinstance(edge, Model)
        if address is None or mining is None:
            objects.append(edge_service(site, edge))
        else:
            objects += site_manifests(site, edge, mining, address)
    return objects


def _cloud(name: str, model: Model, shared: Site) -> tuple[dict[str, Any], CloudAddress]:
    """The large model's service, and where uplinks find it."""
    if model.engine == "triton" and model.image is not None:
        service = triton_service(name, model.image, model.resources, shared.name)
    else:
        service = cloud_service(name, model, shared.images, shared.name)
    return service, CloudAddress(predictor_url(name), name, model.sampling)


def _mines_for_nobody() -> None:
    raise SpecFault(
        "spec.edgeWorker.hardExampleMining",
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
