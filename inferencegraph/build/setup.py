"""A whole setup as objects, in this order: claims, an algorithm of the user's own, the engines'
files, each site, and the cloud that they share."""

from dataclasses import dataclass
from typing import Any, Final

from inferencegraph.build.llm_service import KIND as LLM_SERVICE, LLMService, llm_service
from inferencegraph.build.multi_node import MultiNode, multi_node
from inferencegraph.build.operations import disruption_budgets
from inferencegraph.build.pods import Images, labels
from inferencegraph.build.services import (
    algorithm_map,
    api_service,
    cloud_service,
    edge_service,
    site_manifests,
    triton_service,
)
from inferencegraph.build.sites import (
    DEFAULT_IMAGES,
    CloudAddress,
    CloudAPI,
    Mining,
    Model,
    Site,
    predictor_url,
)

Objects = list[dict[str, Any]]
SERVICE: Final = "InferenceService"


@dataclass(frozen=True, slots=True)
class Claim:
    """A PersistentVolumeClaim for a model."""

    name: str
    size: str
    access_mode: str = "ReadWriteOnce"
    storage_class: str | None = None


@dataclass(frozen=True, slots=True)
class Setup:
    """Everything that is made from one spec called `name`.

    Without `cloud` each site is its edge model alone; without `sites` there is the cloud alone.
    """

    name: str
    sites: tuple[Site, ...] = ()
    edge: Model | None = None
    mining: Mining | None = None
    cloud: Model | CloudAPI | LLMService | MultiNode | None = None
    images: Images = DEFAULT_IMAGES
    claims: tuple[Claim, ...] = ()
    pull_secret: str | None = None


def objects(setup: Setup) -> Objects:
    """Raises ConfigurationError where a model's values don't fit its engine."""
    made = _plain(setup)
    made += disruption_budgets(made)
    if setup.pull_secret is not None:
        for content in made:
            for pod in _pods(content):
                pod["imagePullSecrets"] = [{"name": setup.pull_secret}]
    return made


def _pods(content: dict[str, Any]) -> list[dict[str, Any]]:
    """What of a service is a pod's fields."""
    if content["kind"] == LLM_SERVICE:
        return [content["spec"]["template"]]
    pods = list(content["spec"].values()) if content["kind"] == SERVICE else []
    return pods + [pod["workerSpec"] for pod in pods if "workerSpec" in pod]


def _plain(setup: Setup) -> Objects:
    shared = Site(setup.name, images=setup.images)
    before = [_claim(claim, setup.name) for claim in setup.claims]
    if setup.mining is not None and setup.mining.own is not None:
        before.append(algorithm_map(setup.name, setup.mining.own))
    files = [side.config for side in (setup.edge, setup.cloud) if side and side.config]
    before += [file.config_map(setup.name) for file in {each.name: each for each in files}.values()]
    cloud = f"{setup.name}-cloud"
    if isinstance(setup.cloud, Model):
        service, address = _cloud(cloud, setup.cloud, shared)
        return [*before, *_sites(setup, address), service]
    if isinstance(setup.cloud, MultiNode):
        made = multi_node(cloud, setup.cloud, setup.name)
        return [*before, *_sites(setup, setup.cloud.address(cloud)), *made]
    if isinstance(setup.cloud, LLMService):
        service = llm_service(cloud, setup.cloud, setup.name)
        return [*before, *_sites(setup, setup.cloud.address(cloud)), service]
    if setup.cloud is not None and not setup.sites:
        return [*before, api_service(cloud, setup.cloud, shared)]
    return [*before, *_sites(setup, setup.cloud)]


def _sites(setup: Setup, cloud: CloudAddress | CloudAPI | None) -> Objects:
    made: Objects = []
    for site in setup.sites:
        assert setup.edge is not None
        if cloud is None or setup.mining is None:
            made.append(edge_service(site, setup.edge))
        else:
            made += site_manifests(site, setup.edge, setup.mining, cloud)
    return made


def _cloud(name: str, model: Model, shared: Site) -> tuple[dict[str, Any], CloudAddress]:
    """The large model's service, and where uplinks find it."""
    if model.engine == "triton" and model.image is not None:
        service, served = triton_service(name, model, shared.name), model.directory or name
    else:
        service, served = cloud_service(name, model, shared.images, shared.name), name
    return service, CloudAddress(predictor_url(name), served, model.sampling)


def _claim(claim: Claim, owner: str) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "accessModes": [claim.access_mode],
        "resources": {"requests": {"storage": claim.size}},
    }
    if claim.storage_class is not None:
        spec["storageClassName"] = claim.storage_class
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": claim.name, "labels": labels(owner, "models", owner)},
        "spec": spec,
    }
