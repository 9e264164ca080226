"""The V2 contract: every tensor and parameter name, and the only code that checks them.

names     what tensors and parameters are called
query     a query and its sampling; reads and writes V2 requests
answer    an answer and its telemetry; reads V2 responses
chat      a conversation, and an answer that comes bit by bit
telemetry that of an answer in a row of a file
usage     the tokens of a call, as a bill counts them
tensors   V2 tensors as numpy arrays
binary    checks of requests with binary tensors
codec     to and from kserve's request and response objects; tensor_codec for models of tensors

Names, query, answer and telemetry work on plain values: clients use them without kserve and numpy,
and import them from here. The others are imported from their own files.

A new parameter or output is a name in `names`, a field of Sampling or Answer, and for a parameter
one line in query's `_PARSERS`. No other room reads or writes V2 by hand.
"""

from predictors.contract.answer import (
    Answer,
    is_number,
    is_telemetry,
    parse_answers,
)
from predictors.contract.chat import Delta, Message, ScoredToken
from predictors.contract.names import (
    BOX_FIELDS,
    BOXES,
    CACHED,
    CLOUD,
    EDGE,
    FAILURE_HEADER,
    FP32_MAX,
    HEM_ALGORITHM,
    HEM_PREFER,
    HEM_PREFIX,
    HEM_REASON,
    HEM_ROUTE,
    HEM_SCORE,
    HEM_STRATEGY,
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
    grpc_scalars,
    hem_parameters,
    parse_prefer,
    parse_sampling,
    parse_texts,
    plain_parameters,
    sampling_parameters,
    text_request,
)
from predictors.contract.telemetry import row_telemetry

__all__ = [
    "BOXES",
    "BOX_FIELDS",
    "CACHED",
    "CLOUD",
    "EDGE",
    "FAILURE_HEADER",
    "FP32_MAX",
    "HEM_ALGORITHM",
    "HEM_PREFER",
    "HEM_PREFIX",
    "HEM_REASON",
    "HEM_ROUTE",
    "HEM_SCORE",
    "HEM_STRATEGY",
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
    "Delta",
    "Message",
    "Query",
    "Sampling",
    "Scalar",
    "ScoredToken",
    "grpc_scalars",
    "hem_parameters",
    "is_number",
    "is_telemetry",
    "parse_answers",
    "parse_prefer",
    "parse_sampling",
    "parse_texts",
    "plain_parameters",
    "row_telemetry",
    "sampling_parameters",
    "text_request",
]
