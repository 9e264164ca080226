"""A query as the tensors of an LLM back end: Triton's vLLM, TensorRT-LLM, or a model of one's own.

Each takes BYTES `text_input` and gives BYTES `text_output`. vLLM's takes its options as JSON in one
tensor, TensorRT-LLM's one tensor per option. A model gets those options that it declares; one that
declares none gets ours as request parameters.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from predictors.contract import (
    TEXT_INPUT,
    TEXT_OUTPUT,
    Sampling,
    Scalar,
    sampling_parameters,
)
from predictors.contract.tensors import (
    BYTES,
    DTYPES,
    Tensor,
    TensorType,
)
from predictors.engines.triton.client import Described, Tensors
from predictors.errors import Cause, InvalidRequest, UpstreamError

SAMPLING_PARAMETERS: Final = "sampling_parameters"
STREAM: Final = "stream"
RETURN_LOGPROBS: Final = "return_logprobs"
# The two likeliest tokens beside the sampled one: what mean_margin needs.
LOGPROBS: Final = 2

# Input of a back end -> what it gets; None is not sent.
OPTIONS: Final[Mapping[str, Callable[[Sampling], Any]]] = {
    STREAM: lambda sampling: True,
    "exclude_input_in_output": lambda sampling: True,
    RETURN_LOGPROBS: lambda sampling: True,
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


def answers_text(model: Described) -> bool:
    taken, given = model.inputs.get(TEXT_INPUT), model.outputs.get(TEXT_OUTPUT)
    return taken is not None and given is not None and taken.datatype == given.datatype == BYTES


def check_text(model: Described) -> None:
    """Raises InvalidRequest for a model of other tensors, UpstreamError for half a text model."""
    if answers_text(model):
        return
    reason = f"text needs BYTES {TEXT_INPUT!r} and {TEXT_OUTPUT!r}, but {model}"
    if TEXT_INPUT in model.inputs:
        raise UpstreamError(reason, cause=Cause.REFUSED)
    raise InvalidRequest(reason)


def takes_rows(model: Described) -> bool:
    """Whether it answers several queries in one request. A decoupled model may answer a row as
    often as it likes, so it gets one."""
    return not model.decoupled and model.inputs[TEXT_INPUT].shape != (1,)


def text_inputs(model: Described, prompts: Sequence[str], sampling: Sampling) -> Tensors:
    """The tensors that `model` declares, for all `prompts`."""
    values = np.array([prompt.encode() for prompt in prompts], dtype=np.object_)
    inputs = {TEXT_INPUT: _rows(model.inputs[TEXT_INPUT], values)}
    for name, value_of in {**OPTIONS, SAMPLING_PARAMETERS: _vllm_options(model)}.items():
        declared = model.inputs.get(name)
        value = value_of(sampling) if declared else None
        if declared and value is not None:
            inputs[name] = _option(declared, value, len(prompts))
    return inputs


def text_parameters(model: Described, sampling: Sampling) -> dict[str, Scalar]:
    """For models that declare no input for options. Triton's parameters are no floats."""
    if SAMPLING_PARAMETERS in model.inputs or "max_tokens" in model.inputs:
        return {}
    return without_floats(sampling_parameters(sampling))


def without_floats(parameters: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """As our contract has it over gRPC: older Tritons take no floats."""
    return {k: repr(v) if isinstance(v, float) else v for k, v in parameters.items()}


def _vllm_options(model: Described) -> Callable[[Sampling], str]:
    """vLLM's SamplingParams as JSON; its names are the contract's."""

    def options(sampling: Sampling) -> str:
        values: dict[str, Any] = {
            "max_tokens": sampling.max_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "repetition_penalty": sampling.repetition_penalty,
        }
        if sampling.stop:
            values["stop"] = sampling.stop
        if sampling.seed is not None:
            values["seed"] = sampling.seed
        if RETURN_LOGPROBS in model.inputs:
            values["logprobs"] = LOGPROBS
        return json.dumps(values)

    return options


def _option(declared: TensorType, value: Any, rows: int) -> Tensor:
    """The same for each row; a list has a dimension of its own."""
    items = value if isinstance(value, list) else [value] * (1 if len(declared.shape) > 1 else rows)
    if declared.datatype == BYTES:
        items = [str(item).encode() for item in items]
    values = np.array(items, dtype=DTYPES[declared.datatype])
    if len(declared.shape) > 1:
        values = np.tile(values, (rows, 1))
    return Tensor(declared.datatype, values)


def _rows(declared: TensorType, values: Any) -> Tensor:
    """[N] or, where the model has a batch dimension of its own, [N, 1]."""
    return Tensor(declared.datatype, values.reshape(-1, 1) if len(declared.shape) > 1 else values)
