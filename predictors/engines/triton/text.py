"""A query as the tensors of an LLM back end: Triton's vLLM, TensorRT-LLM, or a user's own model.

Each takes BYTES `text_input` and gives BYTES `text_output`. vLLM's takes its options as JSON in one
tensor, TensorRT-LLM's one tensor per option. A model gets those options that it declares; one that
declares none gets the contract's parameters as parameters of the request.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import orjson

from predictors.contract import (
    TEXT_INPUT,
    TEXT_OUTPUT,
    Sampling,
    Scalar,
    grpc_scalars,
    sampling_parameters,
)
from predictors.contract.tensors import BYTES, DTYPES, Tensor, TensorType
from predictors.engines.triton.client import Tensors, TritonModel
from predictors.errors import Cause, InvalidRequest, UpstreamError

SAMPLING_PARAMETERS: Final = "sampling_parameters"
STREAM: Final = "stream"
RETURN_LOGPROBS: Final = "return_logprobs"
# The two likeliest tokens beside the sampled one: what mean_margin needs.
LOGPROBS: Final = 2

# Input of a back end -> its value; None is not sent.
OPTIONS: Final[Mapping[str, Callable[[Sampling], Any]]] = {
    "exclude_input_in_output": lambda sampling: True,
    RETURN_LOGPROBS: lambda sampling: True,
    "return_finish_reason": lambda sampling: True,
    "return_num_input_tokens": lambda sampling: True,
    "return_num_output_tokens": lambda sampling: True,
    "max_tokens": lambda sampling: sampling.max_tokens,
    "temperature": lambda sampling: sampling.temperature,
    "top_p": lambda sampling: sampling.top_p,
    "repetition_penalty": lambda sampling: sampling.repetition_penalty,
    "seed": lambda sampling: sampling.seed,
    "random_seed": lambda sampling: sampling.seed,
    "stop_words": lambda sampling: list(sampling.stop) or None,
}


def answers_text(model: TritonModel) -> bool:
    ends = model.inputs.get(TEXT_INPUT), model.outputs.get(TEXT_OUTPUT)
    return all(tensor is not None and tensor.datatype == BYTES for tensor in ends)


def check_text(model: TritonModel) -> None:
    """Raises InvalidRequest for a model of other tensors, UpstreamError for half a text model."""
    if answers_text(model):
        return
    reason = f"text needs BYTES {TEXT_INPUT!r} and {TEXT_OUTPUT!r}, but {model}"
    if TEXT_INPUT in model.inputs:
        raise UpstreamError(reason, Cause.REFUSED)
    raise InvalidRequest(reason)


def takes_rows(model: TritonModel) -> bool:
    """Whether it answers several queries in one request. A decoupled model gives any number of
    responses to a row, so it gets one row."""
    return not model.transactions.decoupled and model.inputs[TEXT_INPUT].shape != (1,)


def text_inputs(model: TritonModel, prompts: Sequence[str], sampling: Sampling) -> Tensors:
    """The tensors that `model` declares, for all `prompts`."""
    declared = model.inputs[TEXT_INPUT]
    texts = np.array([prompt.encode() for prompt in prompts], dtype=np.object_)
    inputs = {TEXT_INPUT: Tensor(BYTES, texts.reshape(-1, 1) if _batched(declared) else texts)}
    values = {name: value_of(sampling) for name, value_of in OPTIONS.items()}
    values[STREAM] = model.transactions.decoupled  # TensorRT-LLM refuses it of any other
    values[SAMPLING_PARAMETERS] = _vllm_options(model, sampling)
    for name, value in values.items():
        if value is not None and name in model.inputs:
            inputs[name] = _option(model.inputs[name], value, len(prompts))
    return inputs


def text_parameters(model: TritonModel, sampling: Sampling) -> dict[str, Scalar]:
    """For models that declare no input for options."""
    if SAMPLING_PARAMETERS in model.inputs or "max_tokens" in model.inputs:
        return {}
    return grpc_scalars(sampling_parameters(sampling))


def _vllm_options(model: TritonModel, sampling: Sampling) -> str:
    """vLLM's SamplingParams as JSON; its names are the contract's."""
    options = {
        "max_tokens": sampling.max_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "repetition_penalty": sampling.repetition_penalty,
        "stop": sampling.stop or None,
        "seed": sampling.seed,
        "logprobs": LOGPROBS if RETURN_LOGPROBS in model.inputs else None,
    }
    return orjson.dumps({k: v for k, v in options.items() if v is not None}).decode()


def _option(declared: TensorType, value: Any, rows: int) -> Tensor:
    """The same for each row; a list has a dimension of its own. Raises InvalidRequest for a value
    that the model's datatype can't hold."""
    batched = _batched(declared)
    items = value if isinstance(value, list) else [value] * (1 if batched else rows)
    values = np.array(
        [str(item).encode() for item in items]
        if declared.datatype == BYTES
        else _numbers(declared, items),
        dtype=DTYPES[declared.datatype],
    )
    return Tensor(declared.datatype, np.tile(values, (rows, 1)) if batched else values)


def _numbers(declared: TensorType, items: Sequence[Any]) -> list[Any]:
    """A number that the model's datatype makes another one of (0 of a small one, infinity) would be
    another request, and may fail a whole batch of Triton's."""
    for item in items:
        if not _holds(DTYPES[declared.datatype], item):
            raise InvalidRequest(
                f"{declared.name} {item!r}: the model takes it as {declared.datatype}, which can't "
                "hold this value"
            )
    return list(items)


def _holds(dtype: np.dtype[Any], item: Any) -> bool:
    try:
        with np.errstate(over="ignore"):
            held = np.float64(item).astype(dtype) if dtype.kind == "f" else np.array(item, dtype)
        return math.isclose(float(held), float(item), rel_tol=1e-2)
    except (ValueError, TypeError, OverflowError):
        return False


def _batched(declared: TensorType) -> bool:
    """Whether the model has a batch dimension of its own: rows are [N, 1] then, else [N]."""
    return len(declared.shape) > 1
