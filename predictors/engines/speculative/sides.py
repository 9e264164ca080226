"""A side that was decided, or that the caller forces, answers, or nobody does."""

from typing import Final

from predictors.contract import EDGE, Query
from predictors.contract.names import HEM_ROUTE
from predictors.contract.openai.errors import InvalidField
from predictors.engines.speculative.base import Verifier
from predictors.engines.speculative.drafting import Drafting
from predictors.engines.speculative.planning import Plan, Planner
from predictors.engines.speculative.policy import Policy
from predictors.engines.speculative.settings import SpeculativeSettings
from predictors.upstream.ledger.decision import DECISION, forces_cloud

NOBODY: Final = (
    f"{HEM_ROUTE} is {EDGE!r}, and nobody here answers alone: --drafter 'prompt-lookup' has no "
    "model; set --drafter model, with a small model in --model_dir, or ask for the cloud's answer"
)


class SidedPlanner(Planner):
    """Who forces the cloud never gets the small model's words. Where there is no small model at
    all, a gateway may ask the cloud what mining kept here, unless it is private."""

    def __init__(
        self, settings: SpeculativeSettings, drafting: Drafting, verifier: Verifier, policy: Policy
    ) -> None:
        super().__init__(settings, drafting, verifier, policy)
        self._alone = drafting.drafter.answers

    async def plan(self, query: Query) -> Plan:
        if DECISION.get().get("route") == EDGE and not self._alone:
            raise InvalidField(NOBODY, HEM_ROUTE, "unsupported")
        return await super().plan(query)

    def finishes(self, query: Query) -> bool:
        return not forces_cloud() and super().finishes(query)
