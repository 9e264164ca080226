"""What the gateway asks of HEM."""

from typing import Protocol

from transformers_hem.algorithms.base import Batch, Route
from transformers_hem.serving.decision import Asking, Decider, Decision


class Miner(Protocol):
    decider: Decider

    async def mine(
        self,
        batch: Batch,
        prefer: Route | None,
        request_id: str | None = None,
        sticky: bool = False,
        asking: Asking | None = None,
    ) -> Decision:
        """`asking`: what the algorithm's decision for the cloud becomes. Raises HEMError."""
        ...

    def settled(self, decision: Decision | None) -> None:
        """At the end: what the request's last decision has become."""
        ...

    def pinned(self, decider: Decider) -> "Miner":
        """One that decides by this, whatever is in force by then."""
        ...
