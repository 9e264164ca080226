"""The edge's engine drafts tokens, and the cloud checks them: `predictors.engines.speculative`.

All of the work is that engine's. It is told the route: at the edge its small model answers alone,
and nothing leaves.
"""

from typing import ClassVar

from transformers_hem.algorithms.base import Stage
from transformers_hem.strategies.base import Strategy, Turn


class Speculative(Strategy):
    stage: ClassVar[Stage] = "query"
    at_edge: ClassVar[bool] = True

    def asks(self, turn: Turn) -> str:
        return turn.query
