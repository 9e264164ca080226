"""Where feedback is kept, and the jobs that retrain on it; what can't work is refused."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
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
from inferencegraph.build.mining import QUERY_STAGE, Mining, Mount, SecretValue, hem_workload
from inferencegraph.build.setup import Claim
from inferencegraph.build.sites import Model
from inferencegraph.check.containers import mapping, sequence
from inferencegraph.check.feedback import is_bound
from inferencegraph.check.problem import Finding, warning
from inferencegraph.spec.faults import SpecFault, at
from inferencegraph.spec.learning import OFF, Feedback, Retrain, Store
from inferencegraph.spec.mining import Promise
from inferencegraph.spec.resolve.models import Served
from inferencegraph.spec.resolve.resources import resources_of
from inferencegraph.spec.resolve.sites import SiteName
from inferencegraph.spec.service import EdgeWorker, Spec
from inferencegraph.spec.serving import Amounts

FEEDBACK, RETRAIN = "spec.feedback", "spec.retrain"
MINING: Final = "spec.edgeWorker.hardExampleMining"
KEY_MOUNT: Final = "/etc/hem/push"
# What trains in HEM's image, which has no torch.
LEARNS: Final = "LinearRouter"
ONE_NODE: Final = "ReadWriteOnce"
_SIZE: Final = "5Gi"
_CONFIDENCE: Final = (0.5, 0.9999)  # as `hem retrain` takes it
_OF_FEEDBACK: Final = "feedback_"  # settings of the gateway that the spec has a field for
_NO_FIELD: Final = {"feedback_origin"}  # but for these


@dataclass(frozen=True, slots=True)
class Learning:
    """`mining`: with what HEM needs of it. claim: the one that is made for the versions."""

    mining: Mining | None
    retraining: Retraining | None = None
    claim: Claim | None = None


def learning_of(
    spec: Spec, name: str, sites: Sequence[SiteName], mining: Mining | None, edge: Served | None
) -> Learning:
    """What the spec called `name` asks for. `mining`: as it is without; `edge`: the small model.
    Raises SpecFault."""
    kept, part = spec.feedback, spec.retrain
    if kept is None:
        if part is not None:
            raise SpecFault(
                RETRAIN,
                "there is nothing to learn from: say by spec.feedback.store where feedback is kept",
            )
        return Learning(mining)
    if mining is None:
        raise SpecFault(
            FEEDBACK, "is about HEM's decisions, which stands between an edge and a cloud worker"
        )
    _require_one_writer(kept.store, sites, mining, edge)
    _require_kept(spec, kept, mining)
    store = _store(kept.store)
    if part is None:
        return Learning(_keeping(spec, kept, store, mining))
    _require_retrainable(spec, kept, mining, sites)
    tainted = sequence(_template(spec.edge_worker).get("tolerations"))
    retraining = _retraining(part, name, sites, mining, store, tainted)
    served = replace(
        mining,
        router=VERSIONS_MOUNT,
        versions=True,
        mounts=(*mining.mounts, retraining.versions),
    )
    claim = None if part.versions.claim else _claim(part, retraining)
    return Learning(_keeping(spec, kept, store, served), retraining, claim)


def _require_one_writer(
    store: Store, sites: Sequence[SiteName], mining: Mining, edge: Served | None
) -> None:
    """Raises SpecFault where several HEM servers would write one file."""
    if store.secret is not None:
        return
    field = f"{FEEDBACK}.store.{'claim' if store.claim else 'hostPath'}"
    way_out = "write secret: {name: ...}, with PostgreSQL's URL"
    if store.claim is not None and len(sites) > 1:
        raise SpecFault(
            field, f"a file is written by one HEM alone, and {len(sites)} nodes have one; {way_out}"
        )
    most = edge.running.scale.maximum if isinstance(edge, Model) and mining.sidecar else 1
    if most > 1:
        raise SpecFault(
            field,
            f"a file is written by one HEM alone, and there are up to {most}, as it stands in the "
            f"edge model's pods; {way_out}, or have one replica",
        )


def _require_kept(spec: Spec, kept: Feedback, mining: Mining) -> None:
    """Raises SpecFault for what HEM would refuse at its start, or could not do."""
    if mining.by_torch:
        raise SpecFault(
            FEEDBACK,
            f"{mining.algorithm} runs by torch, in the predictor's image, which has no database; "
            "export its encoder (hem train ... --set format=int8), or take a LinearRouter",
        )
    for setting in spec.gateway.settings:
        if setting.lower().startswith(_OF_FEEDBACK) and setting.lower() not in _NO_FIELD:
            raise SpecFault(
                f"spec.gateway.settings.{setting}", "spec.feedback has a field for it; take that"
            )
    if (kept.shadow or kept.shadow_edge) and not mining.gateway:
        raise SpecFault(
            f"{FEEDBACK}.{'shadow' if kept.shadow else 'shadowEdge'}",
            "is of the gateway's answers, and there is no gateway, as gateway.enabled is false or "
            "the edge's model is no model of text",
        )
    if kept.push is not None and kept.store.secret is not None:
        raise SpecFault(f"{FEEDBACK}.push", "sends a file on, and the store is PostgreSQL")
    if kept.scorer is not None:
        from transformers_hem.labels.scorers.options import make_scorer

        with at(f"{FEEDBACK}.scorer"):
            make_scorer(kept.scorer, ())
    taken = [STORE_MOUNT, KEY_MOUNT, *([VERSIONS_MOUNT] if spec.retrain else [])]
    for number, mount in enumerate(mining.mounts):
        if mount.path.rstrip("/") in taken:
            raise SpecFault(
                f"{MINING}.volumes[{number}].mountPath",
                f"{mount.path} is where HEM has its own; give another",
            )


def _store(part: Store) -> FeedbackStore:
    if part.secret is not None:
        return FeedbackStore(SecretValue(part.secret.name, part.secret.key))
    if part.claim is not None:
        return FeedbackStore(folder={"persistentVolumeClaim": {"claimName": part.claim}})
    return FeedbackStore(folder={"hostPath": {"path": part.host_path, "type": "Directory"}})


def _keeping(spec: Spec, kept: Feedback, store: FeedbackStore, mining: Mining) -> Mining:
    """HEM with its store."""
    variable = store.variable()
    values = {
        variable["name"]: variable.get("value"),
        "HEM_FEEDBACK_TEXT": None if kept.text is None else "on" if kept.text else "off",
        "HEM_FEEDBACK_DAYS": None if kept.days is None else f"{kept.days:g}",
        "HEM_FEEDBACK_ROWS": None if kept.rows is None else str(kept.rows),
        "HEM_FEEDBACK_PER_MINUTE": None if kept.per_minute is None else str(kept.per_minute),
        "HEM_FEEDBACK_SYNC": kept.sync,
        "HEM_FEEDBACK_SHADOW": f"{kept.shadow:g}" if kept.shadow else None,
        "HEM_FEEDBACK_SHADOW_EDGE": None if kept.shadow_edge is None else f"{kept.shadow_edge:g}",
        "HEM_FEEDBACK_SCORER": kept.scorer,
        "HEM_FEEDBACK_PUSH": kept.push.url if kept.push else None,
    }
    mounts = store.mounts
    if kept.push is not None and (key := kept.push.secret) is not None:
        values["HEM_FEEDBACK_PUSH_KEY_FILE"] = f"{KEY_MOUNT}/{key.key}"
        mounts += (Mount(KEY_MOUNT, {"secret": {"secretName": key.name}}, read_only=True),)
    secrets = {variable["name"]: store.secret} if store.secret else {}
    return replace(
        mining,
        settings={**mining.settings, **{k: v for k, v in values.items() if v is not None}},
        secrets={**mining.secrets, **secrets},
        mounts=(*mining.mounts, *mounts),
    )


def _require_retrainable(
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
    return is_bound(_template(worker)) or is_bound(site.node.manifest())


def _template(worker: EdgeWorker | None) -> Mapping[str, Any]:
    """The pod of the edge worker's template."""
    return mapping((worker.template or {}).get("spec")) if worker is not None else {}


def store_warnings(spec: Spec) -> list[Finding]:
    """Of files that nobody reads together."""
    kept, nodes = spec.feedback, spec.edge_worker.nodes if spec.edge_worker else ()
    if kept is None or kept.store.host_path is None or kept.push is not None or len(nodes) < 2:
        return []
    return [
        warning(
            f"{FEEDBACK}.store.hostPath",
            f"each of {len(nodes)} nodes keeps a file of its own, which nobody reads together; "
            "write push: {url: ...}, of a central HEM, or secret: {name: ...}, with PostgreSQL's "
            "URL",
        )
    ]


def _retraining(
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
        (*_promised(part.promise), *_data(part), *(("--own",) if part.own else ()), *_limit(part)),
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


def _limit(part: Retrain) -> tuple[str, ...]:
    return () if part.limit is None else (f"--limit={part.limit}",)


def _claim(part: Retrain, retraining: Retraining) -> Claim:
    """Read by pods of several nodes, unless all share HEM's."""
    volume = part.versions
    mode = volume.access_mode or (ONE_NODE if retraining.beside else "ReadWriteMany")
    size = volume.size or _SIZE
    return Claim(retraining.claim, size, mode, volume.storage_class, VERSIONS)
