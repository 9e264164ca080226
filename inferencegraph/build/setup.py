"""A whole setup as objects, in this order: claims, accounts, images, an algorithm of the user's
own, the engines' files, each site, the cloud that they share, the jobs that retrain its router, and
what the spec asks for besides."""

from dataclasses import dataclass
from typing import Any, Final

from inferencegraph.build.hem_pods import algorithm_map
from inferencegraph.build.image_map import image_map
from inferencegraph.build.learning import Retraining, job_of, jobs
from inferencegraph.build.llm_service import KIND as LLM_SERVICE, LLMService, llm_service
from inferencegraph.build.mining import Mining
from inferencegraph.build.multi_node import MultiNode, multi_node
from inferencegraph.build.operations import (
    NOTHING_MORE,
    Operations,
    disruption_budgets,
    operations_of,
)
from inferencegraph.build.pods import Images, labels
from inferencegraph.build.service_accounts import service_account
from inferencegraph.build.services import (
    api_service,
    cloud_service,
    edge_service,
    site_manifests,
    triton_service,
)
from inferencegraph.build.sites import (
    DEFAULT_IMAGES,
    DEFAULT_PLACES,
    DEFAULT_TIMEOUTS,
    CloudAddress,
    CloudAPI,
    Model,
    Places,
    Site,
    Timeouts,
    predictor_url,
)

Objects = list[dict[str, Any]]
SERVICE: Final = "InferenceService"
MODELS: Final = "models"


@dataclass(frozen=True, slots=True)
class Claim:
    """A PersistentVolumeClaim. component: what is in it."""

    name: str
    size: str
    access_mode: str = "ReadWriteOnce"
    storage_class: str | None = None
    component: str = MODELS


@dataclass(frozen=True, slots=True)
class Setup:
    """Everything that is made from one spec called `name`. timeouts, places: of a forwarder to an
    API that is the only side; each site has its own.

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
    timeouts: Timeouts = DEFAULT_TIMEOUTS
    places: Places = DEFAULT_PLACES
    operations: Operations = NOTHING_MORE
    retraining: Retraining | None = None


def objects(setup: Setup) -> Objects:
    """Raises ConfigurationError where a model's values don't fit its engine."""
    made = _plain(setup)
    if setup.retraining is not None:
        made += jobs(setup.retraining, setup.name, setup.images)
    besides = operations_of(setup.operations, setup.name, made, setup.sites, setup.mining)
    made += [*disruption_budgets(made), *besides]
    if setup.pull_secret is not None:
        for content in made:
            for pod in _pods(content):
                pod["imagePullSecrets"] = [{"name": setup.pull_secret}]
    return made


def _pods(content: dict[str, Any]) -> list[dict[str, Any]]:
    """What of a service is a pod's fields."""
    if content["kind"] == LLM_SERVICE:
        return [content["spec"]["template"]]
    if (job := job_of(content)) is not None:
        return [job["template"]["spec"]]
    pods = list(content["spec"].values()) if content["kind"] == SERVICE else []
    return pods + [pod["workerSpec"] for pod in pods if "workerSpec" in pod]


def _plain(setup: Setup) -> Objects:
    shared = Site(setup.name, images=setup.images, timeouts=setup.timeouts, places=setup.places)
    before = [_claim(claim, setup.name) for claim in setup.claims]
    before += [service_account(each, setup.name) for each in setup.operations.accounts]
    if (name := setup.operations.image_map) is not None:
        sides = (setup.edge, setup.cloud)
        before.append(image_map(name, setup.name, setup.images, sides, setup.mining))
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
        "metadata": {"name": claim.name, "labels": labels(owner, claim.component, owner)},
        "spec": spec,
    }
