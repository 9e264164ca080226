"""What a worker's model may use, how often it runs, how it generates, and the claim it is in."""

from typing import Final

from inferencegraph.build.pods import Resources
from inferencegraph.build.setup import Claim
from inferencegraph.build.sites import Running, Scale
from inferencegraph.check.problem import Finding, warning
from inferencegraph.spec.faults import SpecFault, at
from inferencegraph.spec.service import EdgeWorker, Worker
from inferencegraph.spec.serving import Amounts, Resource, Sampling as SamplingPart
from predictors.contract import CLOUD, EDGE, Sampling
from predictors.contract.query import CONTRACT_SAMPLING

EDGE_RESOURCES: Final = Amounts(cpu="2", memory="4Gi")
CLOUD_RESOURCES: Final = Amounts(cpu="4", memory="8Gi")
_PVC: Final = "pvc://"


def resources_of(resource: Resource | None, default: Amounts, field: str) -> Resources:
    resource = resource or Resource()
    limits, requests = resource.limits, resource.requests

    def amount(name: str) -> str:
        return str(getattr(limits, name) or getattr(requests, name) or getattr(default, name))

    with at(f"{field}.resource"):
        return Resources(
            cpu=amount("cpu"),
            memory=amount("memory"),
            gpus=limits.gpus or requests.gpus or 0,
            requested_cpu=requests.cpu,
            requested_memory=requests.memory,
            accelerator=resource.accelerator,
        )


def sampling_of(part: SamplingPart | None) -> Sampling:
    given = part.model_dump(exclude_none=True) if part else {}
    return Sampling(**given) if given else CONTRACT_SAMPLING


def running_of(worker: Worker, side: str) -> Running:
    """The edge's selectors and tolerations are its nodes': see `sites_of`."""
    part = worker.autoscaling
    count = worker.replicas or 1
    scale = Scale(count, count)
    if part is not None:
        scale = Scale(
            part.min_replicas, part.max_replicas, part.autoscaler_class, part.metric, part.target
        )
    account = worker.service_account.name if worker.service_account else None
    if side == EDGE:
        return Running(scale, service_account=account)
    tolerations = tuple(t.model_dump(by_alias=True, exclude_none=True) for t in worker.tolerations)
    return Running(scale, worker.node_selector, tolerations, account)


def claim_of(worker: Worker, field: str) -> Claim | None:
    """The claim that is made for the worker's model."""
    if worker.claim is None:
        return None
    uri = (worker.model and worker.model.storage_uri) or ""
    name = uri.removeprefix(_PVC).partition("/")[0]
    if not uri.startswith(_PVC) or not name:
        raise SpecFault(
            f"{field}.claim", f"the model's storageUri {uri!r} names no claim: pvc://CLAIM/PATH"
        )
    part = worker.claim
    return Claim(name, part.size, part.access_mode, part.storage_class)


def claim_warnings(worker: Worker, field: str) -> list[Finding]:
    """Of a claim whose pods may be on several nodes, though one alone can have it."""
    part = worker.claim
    if part is None or part.access_mode != "ReadWriteOnce":
        return []
    scale = running_of(worker, CLOUD).scale
    nodes = len(worker.nodes) if isinstance(worker, EdgeWorker) else 1
    if nodes < 2 and scale.maximum < 2:
        return []
    many = f"{nodes} nodes" if nodes > 1 else f"up to {scale.maximum} pods"
    return [
        warning(
            f"{field}.claim.accessMode",
            f"ReadWriteOnce is for the pods of one node, but {many} mount it; write ReadWriteMany "
            "or ReadOnlyMany where the storageClass has it",
        )
    ]
