"""The V2 contract: every tensor and parameter name, and its only validation.

names     what tensors and parameters are called
query     a query and its sampling; V2 requests
answer    an answer and its telemetry; V2 responses
tensors   V2 tensors as numpy arrays
binary    checks of the binary extension
codec     kserve's request and response objects

The first three work on plain values, so that clients share them without kserve or numpy; they are
imported from here. The others are imported from their own files.
"""

from predictors.contract.answer import (
    Answer,
    is_number,
    is_telemetry,
    parse_answers,
)
from predictors.contract.names import (
    BOX_FIELDS,
    BOXES,
    CACHED,
    CLOUD,
    EDGE,
    FP32_MAX,
    HEM_ALGORITHM,
    HEM_PREFER,
    HEM_PREFIX,
    HEM_REASON,
    HEM_ROUTE,
    HEM_SCORE,
    HEM_THRESHOLD,
    INT32,
    MAX_TOKENS,
    PROBABILITIES,
    REPETITION_PENALTY,
    SEED,
    SERVED_BY,
    STOP,
    TELEMETRY,
    TEMPERATURE,
    TEXT_INPUT,
    TEXT_OUTPUT,
    TOP_P,
    Scalar,
)
from predictors.contract.query import (
    MAX_MAX_TOKENS,
    MAX_STOP_STRINGS,
    Query,
    Sampling,
    hem_parameters,
    parse_prefer,
    parse_sampling,
    parse_texts,
    sampling_parameters,
    text_request,
)

__all__ = [
    "BOXES",
    "BOX_FIELDS",
    "CACHED",
    "CLOUD",
    "EDGE",
    "FP32_MAX",
    "HEM_ALGORITHM",
    "HEM_PREFER",
    "HEM_PREFIX",
    "HEM_REASON",
    "HEM_ROUTE",
    "HEM_SCORE",
    "HEM_THRESHOLD",
    "INT32",
    "MAX_MAX_TOKENS",
    "MAX_STOP_STRINGS",
    "MAX_TOKENS",
    "PROBABILITIES",
    "REPETITION_PENALTY",
    "SEED",
    "SERVED_BY",
    "STOP",
    "TELEMETRY",
    "TEMPERATURE",
    "TEXT_INPUT",
    "TEXT_OUTPUT",
    "TOP_P",
    "Answer",
    "Query",
    "Sampling",
    "Scalar",
    "hem_parameters",
    "is_number",
    "is_telemetry",
    "parse_answers",
    "parse_prefer",
    "parse_sampling",
    "parse_texts",
    "sampling_parameters",
    "text_request",
]
