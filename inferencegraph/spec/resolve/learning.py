"""Where feedback is kept, and the jobs that retrain on it; what can't work is refused."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from inferencegraph.build.learning import (
    STORE_MOUNT,
    VERSIONS_MOUNT,
    FeedbackStore,
    Retraining,
)
from inferencegraph.build.mining import Mining, Mount, SecretValue
from inferencegraph.build.setup import Claim
from inferencegraph.build.sites import Model
from inferencegraph.check.containers import sequence
from inferencegraph.check.problem import Finding, warning
from inferencegraph.spec.faults import SpecFault, at
from inferencegraph.spec.learning import Feedback, Store
from inferencegraph.spec.resolve.models import Served
from inferencegraph.spec.resolve.retraining import (
    FEEDBACK,
    MINING,
    RETRAIN,
    claim_of_versions,
    require_retrainable,
    retraining_of,
    template_of,
)
from inferencegraph.spec.resolve.sites import SiteName
from inferencegraph.spec.service import Spec

KEY_MOUNT: Final = "/etc/hem/push"
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
    require_retrainable(spec, kept, mining, sites)
    tainted = sequence(template_of(spec.edge_worker).get("tolerations"))
    retraining = retraining_of(part, name, sites, mining, store, tainted)
    served = replace(
        mining,
        router=VERSIONS_MOUNT,
        versions=True,
        mounts=(*mining.mounts, retraining.versions),
    )
    claim = None if part.versions.claim else claim_of_versions(part, retraining)
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
