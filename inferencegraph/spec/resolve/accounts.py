"""The ServiceAccounts that are made for a spec's workers."""

from collections.abc import Mapping

from inferencegraph.build.service_accounts import Account
from inferencegraph.spec.faults import SpecFault
from inferencegraph.spec.service import Spec
from inferencegraph.spec.sources import ModelSource
from predictors.contract import CLOUD, EDGE


def accounts_of(spec: Spec, sources: Mapping[str, ModelSource]) -> tuple[Account, ...]:
    """`sources`: by side, where its model comes from. Raises SpecFault for one that no pod would
    run as, and where both sides make it with other values."""
    made: dict[str, Account] = {}
    for side, worker in ((EDGE, spec.edge_worker), (CLOUD, spec.cloud_worker)):
        part = worker.service_account if worker else None
        if part is None or not part.create:
            continue
        field = f"spec.{side}Worker.serviceAccount"
        there = sources[side].url or sources[side].llm_inference_service
        if side == CLOUD and there is not None:
            raise SpecFault(field, "the model is elsewhere, and no pod runs as it; leave it out")
        account = Account(part.name, part.annotations, part.secrets)
        if made.setdefault(account.name, account) != account:
            raise SpecFault(
                field, "edgeWorker makes the same account with other values; write its name alone"
            )
    return tuple(made.values())
