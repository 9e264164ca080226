"""What both transports make of a V2 response."""

from collections.abc import Mapping
from typing import Any

from predictors.contract import CACHED, SERVED_BY
from predictors.contract.tensors import Tensor, TensorResponse


def tensor_response(
    outputs: Mapping[str, Tensor], parameters: Mapping[str, Any], model_name: str
) -> TensorResponse:
    served_by = parameters.get(SERVED_BY) or model_name
    return TensorResponse(outputs, str(served_by), parameters.get(CACHED) is True)
