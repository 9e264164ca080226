"""A predictor of tensors that gives back what it gets; for tests of what surrounds such engines.

Run like `python -m predictors`: python -m tests.predictors.scripted_tensors --model_name m
"""

from predictors.__main__ import main
from predictors.contract.tensors import (
    TensorRequest,
    TensorResponse,
    TensorType,
)
from predictors.engines import ENGINES
from predictors.engines.base import TensorEngine
from predictors.errors import EngineError, InvalidRequest
from predictors.serving.command import run


class EchoEngine(TensorEngine):
    """Input `x` comes back as output `x`; inputs `fail`, `refuse` and `crash` raise."""

    async def start(self) -> None:
        return None

    async def infer(self, request: TensorRequest) -> TensorResponse:
        if "fail" in request.inputs:
            raise EngineError("the script says fail")
        if "crash" in request.inputs:
            raise RuntimeError("the script says crash")
        if "refuse" in request.inputs:
            raise InvalidRequest("the script says refuse")
        cached = request.parameters.get("cached") == "yes"
        return TensorResponse(request.inputs, cached=cached)

    def inputs(self) -> list[TensorType]:
        return [TensorType("x", "FP32", (-1, 4))]

    def outputs(self) -> list[TensorType]:
        return [TensorType("x", "FP32", (-1, 4)), TensorType("labels", "BYTES", (-1,))]


if __name__ == "__main__":
    ENGINES.register("echo", "tests.predictors.scripted_tensors:EchoEngine")
    run(main)
