"""A query's sampling and options -> vLLM's sampling parameters."""

from collections.abc import Mapping
from typing import Any, Final

from vllm import SamplingParams
from vllm.exceptions import VLLMClientError
from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams

from predictors.contract import Query
from predictors.contract.openai.errors import InvalidField
from predictors.contract.openai.fields import LOGIT_BIAS, RESPONSE_FORMAT
from predictors.errors import InvalidRequest, first_line

# The two most probable tokens of each step, for the margin; the chosen one comes in any case.
TOP_TOKENS: Final = 2
HIGHEST_BIAS: Final = 100  # OpenAI's range
SEED_BITS: Final = (1 << 63) - 1


def sampling_params(
    query: Query, max_tokens: int, kind: RequestOutputKind, *, telling: bool
) -> SamplingParams:
    """`max_tokens` is what the context leaves for the answer. The order of the steps is that of
    the huggingface engine: penalties, temperature, top_p. The log-probability of the chosen token
    is always there, as NaN shows in nothing else; with `telling` there are more.

    Raises InvalidRequest for what vLLM refuses, InvalidField for options that are malformed.
    """
    sampling = query.sampling
    try:
        return SamplingParams(
            max_tokens=max_tokens,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            repetition_penalty=sampling.repetition_penalty,
            presence_penalty=sampling.presence_penalty,
            frequency_penalty=sampling.frequency_penalty,
            stop=list(sampling.stop),
            seed=None if sampling.seed is None else sampling.seed & SEED_BITS,
            logprobs=max(TOP_TOKENS, query.top_logprobs or 0) if telling else 0,
            flat_logprobs=True,
            logit_bias=_biases(query.options.get(LOGIT_BIAS)),
            structured_outputs=_structure(query.options.get(RESPONSE_FORMAT)),
            output_kind=kind,
            skip_clone=True,  # ours alone, for one request
        )
    except (ValueError, VLLMClientError) as error:
        raise InvalidRequest(first_line(error)) from error


def _biases(given: Mapping[str, float] | None) -> dict[int, float] | None:
    """Of the logits, by token; vLLM refuses tokens that the model doesn't know."""
    if given is None:
        return None
    for token, bias in given.items():
        if not (token.isascii() and token.isdecimal() and len(token) < 10):
            raise InvalidField(f"{LOGIT_BIAS}: {token[:80]!r} is not a token's number", LOGIT_BIAS)
        if not -HIGHEST_BIAS <= bias <= HIGHEST_BIAS:
            raise InvalidField(
                f"{LOGIT_BIAS}: a bias must be from {-HIGHEST_BIAS} to {HIGHEST_BIAS}, not {bias}",
                LOGIT_BIAS,
            )
    return {int(token): float(bias) for token, bias in given.items()}


def _structure(given: Mapping[str, Any] | None) -> StructuredOutputsParams | None:
    """What the answer must be. Whether a schema is one is for vLLM to say, which reads it."""
    if given is None or given.get("type") == "text":
        return None
    if given.get("type") == "json_object":
        return StructuredOutputsParams(json_object=True)
    if given.get("type") != "json_schema":
        raise InvalidField(
            f"{RESPONSE_FORMAT}.type must be 'text', 'json_object' or 'json_schema'",
            f"{RESPONSE_FORMAT}.type",
        )
    described = given.get("json_schema")
    schema = described.get("schema") if isinstance(described, dict) else None
    if not isinstance(schema, dict):
        raise InvalidField(
            f"{RESPONSE_FORMAT}.json_schema.schema must be an object, a JSON schema",
            f"{RESPONSE_FORMAT}.json_schema.schema",
        )
    return StructuredOutputsParams(json=schema)
