"""An engine of the user's own that loads, sickens and dies when a file says so.

Run by its path: --engine tests.predictors.serving.mortal:MortalEngine --state FILE
"""

import asyncio
import time
from pathlib import Path
from typing import cast

from pydantic import Field

from predictors.contract.tensors import (
    TensorRequest,
    TensorResponse,
    TensorType,
)
from predictors.engines.base import TensorEngine
from predictors.errors import EngineError
from predictors.settings import EngineSettings


class MortalSettings(EngineSettings):
    state: str = Field(description="file with one word: loading, alive, ill or dead")


class MortalEngine(TensorEngine):
    """What it gets comes back; input `wait` does when the engine has died, as an error."""

    Settings = MortalSettings
    _started = False

    async def start(self) -> None:
        if self._state() == "loading for ever":
            await asyncio.to_thread(time.sleep, 120)
        while self._state() == "loading":
            await asyncio.sleep(0.05)
        self._started = True

    async def infer(self, request: TensorRequest) -> TensorResponse:
        assert self._started, "start() comes first"
        if "wait" in request.inputs:
            print("mortal: waits", flush=True)
            while self._state() != "dead":
                await asyncio.sleep(0.01)
            raise EngineError("it died meanwhile")
        return TensorResponse(request.inputs)

    def inputs(self) -> list[TensorType]:
        assert self._started, "start() comes first"
        return [TensorType("x", "FP32", (-1, 4))]

    def outputs(self) -> list[TensorType]:
        assert self._started, "start() comes first"
        return [TensorType("x", "FP32", (-1, 4))]

    async def healthy(self) -> bool:
        return self._state() == "alive"

    def cause_of_death(self) -> str | None:
        return "the script says dead" if self._state() == "dead" else None

    def _state(self) -> str:
        return Path(cast(MortalSettings, self.settings).state).read_text()
