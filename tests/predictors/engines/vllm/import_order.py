"""An engine that answers whether vLLM was there when it started.

See `predictors.serving.server.serve`.
"""

import sys
from collections.abc import Sequence

from predictors.contract import Answer, Query
from predictors.engines.base import TextEngine


class ImportOrder(TextEngine):
    async def start(self) -> None:
        self._seen = "vllm.entrypoints.openai" in sys.modules

    async def generate(self, queries: Sequence[Query]) -> list[Answer]:
        return [Answer(str(self._seen)) for _ in queries]
