"""What of a request would leave the edge, for guards of privacy."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from kserve import InferRequest
from kserve.protocol.infer_type import InferInput

from predictors.contract import TEXT_INPUT
from predictors.upstream.client import PASSED_ON
from transformers_hem.algorithms.base import Leaving

# A trace, or an id that a program made: no digits of it are anybody's.
_MADE: Final = re.compile(r"[0-9A-Fa-f-]+")
_NUMBERS: Final = np.empty(0)
_BYTES: Final = "BYTES"


def leaving_chat(
    body: Mapping[str, Any], headers: Mapping[str, str], *, private: bool = False
) -> Leaving:
    """Of a request of OpenAI's API: its whole body, and headers that go on. `private`: its
    conversation was kept at the edge before."""
    return Leaving((body, _passed_on(headers)), private, body)


def leaving_request(
    request: InferRequest,
    texts: Sequence[str],
    parameters: Mapping[str, Any],
    headers: Mapping[str, str] | None,
) -> Leaving:
    """Of a V2 request: its `texts`, its other tensors, and all that describes them."""
    inputs = [
        {
            "name": tensor.name,
            "parameters": _plain(tensor.parameters),
            "data": texts if tensor.name == TEXT_INPUT else _data(tensor),
        }
        for tensor in request.inputs
    ]
    outputs = [
        {"name": output.name, "parameters": _plain(output.parameters)}
        for output in request.request_outputs or ()
    ]
    return Leaving((request.id, parameters, inputs, outputs, _passed_on(headers or {})))


def is_made(text: str) -> bool:
    """Whether a program made this id, as far as its characters tell."""
    return _MADE.fullmatch(text) is not None


def _data(tensor: InferInput) -> Any:
    """What can't be read counts as numbers, which no guard can read."""
    if tensor.datatype != _BYTES:
        return _NUMBERS
    try:
        return tensor.as_numpy()
    except Exception:  # of kserve and of numpy, whatever is wrong with it
        return _NUMBERS


def _plain(parameters: Any) -> dict[str, Any]:
    """gRPC's have messages for values."""
    return {
        name: value if isinstance(value, str | int | float | list | dict | None) else str(value)
        for name, value in (parameters or {}).items()
    }


def _passed_on(headers: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in headers.items()
        if name.lower() in PASSED_ON and not is_made(value)
    }
