"""The jobs that retrain a spec's router; what they could not do is refused."""

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, Final

from inferencegraph.build.learning import (
    RETRAIN_RESOURCES,
    STORE_MOUNT,
    VERSIONS,
    VERSIONS_MOUNT,
    FeedbackStore,
    Retraining,
)
from inferencegraph.build.mining import QUERY_STAGE, Mining, Mount, hem_workload
from inferencegraph.build.setup import Claim
from inferencegraph.check.containers import mapping
from inferencegraph.check.feedback import is_bound
from inferencegraph.spec.faults import SpecFault
from inferencegraph.spec.learning import OFF, Feedback, Retrain, Store
from inferencegraph.spec.mining import Promise
from inferencegraph.spec.resolve.resources import resources_of
from inferencegraph.spec.resolve.sites import SiteName
from inferencegraph.spec.service import EdgeWorker, Spec
from inferencegraph.spec.serving import Amounts

FEEDBACK: Final = "spec.feedback"
RETRAIN: Final = "spec.retrain"
MINING: Final = "spec.edgeWorker.hardExampleMining"
# What trains in HEM's image, which has no torch.
LEARNS: Final = "LinearRouter"
ONE_NODE: Final = "ReadWriteOnce"
_SIZE: Final = "5Gi"
_CONFIDENCE: Final = (0.5, 0.9999)  # as `hem retrain` takes it


def require_retrainable(
    spec: Spec, kept: Feedback, mining: Mining, sites: Sequence[SiteName]
) -> None:
    """Raises SpecFault for what would never train, or promote, anything."""
    worker = spec.edge_worker
    part = worker.hard_example_mining if worker else None
    if mining.own is not None or mining.mode != QUERY_STAGE or mining.algorithm != LEARNS:
        raise SpecFault(
            RETRAIN,
            f"{mining.algorithm or 'a strategy alone'} is not retrained by these jobs: {LEARNS} "
            "is, in mining-then-inference. A KernelRouter needs torch, which HEM's image hasn't: "
            "hem retrain does it where that is installed",
        )
    if mining.router is None or mining.fetched:
        raise SpecFault(
            f"{MINING}.router",
            "is the first version: embedded:NAME, or a folder in HEM's image. One in a store is "
            "put there by hand, hem retrain --add, by a pod that mounts the versions",
        )
    first = PurePosixPath(mining.router)
    if any(first.is_relative_to(each.path) for each in mining.mounts):
        raise SpecFault(
            f"{MINING}.router",
            f"{mining.router} is on a volume, which the job that puts the first version into place "
            "has not: begin with embedded:NAME, or with a folder in HEM's image, and put yours "
            "there by hand, hem retrain --add, by a pod that mounts the versions",
        )
    if mining.threshold is not None:
        raise SpecFault(f"{MINING}.threshold", "each version brings its own; leave it out")
    if part is not None and part.promise is not None:
        raise SpecFault(f"{MINING}.promise", "write it as spec.retrain.promise")
    _require_one_file(kept.store, sites, worker)
    assert spec.retrain is not None
    _require_pairs(kept, spec.retrain)


def _require_pairs(kept: Feedback, part: Retrain) -> None:
    """Raises SpecFault where there would be no pairs, or those of one side's answers alone, with
    which a retraining promises nothing, whatever else it has."""
    of_cloud = kept.shadow if kept.shadow_edge is None else kept.shadow_edge
    alone = "pairs of one side's answers alone promise nothing"
    if kept.shadow and not of_cloud:
        raise SpecFault(
            f"{FEEDBACK}.shadowEdge",
            f"is 0, so that nothing the cloud has answered is asked of the edge, and {alone}: "
            "write a larger share, or leave it out, then shadow holds for both",
        )
    if of_cloud and not kept.shadow:
        raise SpecFault(
            f"{FEEDBACK}.shadowEdge",
            "stands without shadow, so that nothing the edge has answered is asked of the cloud, "
            f"and {alone}: write spec.feedback.shadow, too, such as 0.02, or leave it out",
        )
    if not kept.shadow and not part.data:
        raise SpecFault(
            RETRAIN,
            "without pairs of both sides nothing is ever promoted: write spec.feedback.shadow, "
            "such as 0.02, or spec.retrain.data, files with labelled rows",
        )


def _require_one_file(store: Store, sites: Sequence[SiteName], worker: EdgeWorker | None) -> None:
    """Raises SpecFault where a retraining, which reads one store, would not find all of it."""
    field = f"{FEEDBACK}.store.hostPath"
    if store.secret is None and len(sites) > 1:
        raise SpecFault(
            field,
            f"each of {len(sites)} nodes has a file of its own, and a retraining reads one store; "
            "write secret: {name: ...}, with PostgreSQL's URL",
        )
    if store.host_path is not None and not _one_node(sites[0], worker):
        raise SpecFault(
            field,
            "is a folder of whichever edge node HEM runs on, and another node begins with none of "
            "what a retraining needs; name the node in spec.edgeWorker.nodes (labels have to be of "
            "one node alone), or write claim: ..., or secret: {name: ...}, with PostgreSQL's URL",
        )


def _one_node(site: SiteName, worker: EdgeWorker | None) -> bool:
    """Whether the spec names the site's node: by an entry of `nodes`, whose labels are taken at
    their word, by a selector, or in the template."""
    if worker is not None and worker.nodes:
        return True
    return is_bound(template_of(worker)) or is_bound(site.node.manifest())


def template_of(worker: EdgeWorker | None) -> Mapping[str, Any]:
    """The pod of the edge worker's template."""
    return mapping((worker.template or {}).get("spec")) if worker is not None else {}


def retraining_of(
    part: Retrain,
    name: str,
    sites: Sequence[SiteName],
    mining: Mining,
    store: FeedbackStore,
    tolerations: Sequence[Mapping[str, Any]],
) -> Retraining:
    """`tolerations`: further ones of HEM's pods, by the template."""
    default = Amounts(cpu=RETRAIN_RESOURCES.cpu, memory=RETRAIN_RESOURCES.memory)
    beside = store.folder is not None or part.versions.access_mode == ONE_NODE
    if part.versions.access_mode == ONE_NODE and len(sites) > 1:
        raise SpecFault(
            f"{RETRAIN}.versions.accessMode", f"pods on {len(sites)} nodes mount it: ReadWriteMany"
        )
    assert mining.router is not None
    return Retraining(
        mining.router,
        part.versions.claim or f"{name}-{VERSIONS}",
        store,
        part.schedule,
        _check(part),
        (*_promised(part.promise), *_data(part), *_learning(part)),
        () if part.keep is None else (f"--keep={part.keep}",),
        tuple(Mount(v.mount_path, v.source(), v.read_only) for v in part.volumes),
        resources_of(part.resource, default, RETRAIN),
        hem_workload(sites[0].name, mining) if beside else None,
        (*sites[0].node.manifest()["tolerations"], *tolerations) if beside else (),
    )


def _check(part: Retrain) -> str | None:
    """Only a promised quality loss can be checked."""
    if part.check == OFF:
        return None
    if part.promise.max_quality_loss is None:
        if "check" in part.model_fields_set:
            raise SpecFault(
                f"{RETRAIN}.check", "checks a promised quality loss: write promise.maxQualityLoss"
            )
        return None
    return part.check


def _promised(promise: Promise) -> tuple[str, ...]:
    low, high = _CONFIDENCE
    confidence = promise.confidence
    if confidence is not None and not low <= confidence <= high:
        raise SpecFault(
            f"{RETRAIN}.promise.confidence", f"is {confidence:g}; it is from {low:g} to {high:g}"
        )
    told = (
        f"--edge-ratio={promise.edge_ratio:g}"
        if promise.edge_ratio is not None
        else f"--max-quality-loss={promise.max_quality_loss:g}"
    )
    return (told,) if confidence is None else (told, f"--confidence={confidence:g}")


def _data(part: Retrain) -> tuple[str, ...]:
    """Raises SpecFault for a file that nothing brings to the job."""
    folders = [PurePosixPath(volume.mount_path) for volume in part.volumes]
    for number, folder in enumerate(folders):
        taken = [PurePosixPath(each) for each in (VERSIONS_MOUNT, STORE_MOUNT, "/tmp")]
        if folder in [*taken, *folders[:number]]:
            raise SpecFault(
                f"{RETRAIN}.volumes[{number}].mountPath",
                f"something else is mounted at {folder}: give another mountPath",
            )
    for number, file in enumerate(part.data):
        path = PurePosixPath(file)
        if not any(path.is_relative_to(folder) for folder in folders):
            raise SpecFault(
                f"{RETRAIN}.data[{number}]",
                f"{file} is in none of spec.retrain.volumes, which bring files to the job",
            )
    return tuple(f"--data={file}" for file in part.data)


def _learning(part: Retrain) -> tuple[str, ...]:
    own = ("--own",) if part.own else ()
    limit = () if part.limit is None else (f"--limit={part.limit}",)
    proof = () if part.significance is None else (f"--significance={part.significance:g}",)
    return (*own, *limit, *proof)


def claim_of_versions(part: Retrain, retraining: Retraining) -> Claim:
    """Read by pods of several nodes, unless all share HEM's."""
    volume = part.versions
    mode = volume.access_mode or (ONE_NODE if retraining.beside else "ReadWriteMany")
    size = volume.size or _SIZE
    return Claim(retraining.claim, size, mode, volume.storage_class, VERSIONS)
