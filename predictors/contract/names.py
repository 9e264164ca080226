"""The names of the V2 contract: tensors, parameters, and what telemetry is made of."""

from collections.abc import Mapping
from typing import Final, TypeAlias

EDGE: Final = "edge"
CLOUD: Final = "cloud"
TEXT_INPUT: Final = "text_input"
TEXT_OUTPUT: Final = "text_output"
PROBABILITIES: Final = "probabilities"  # FP32 [N, C], of a classifier
BOXES: Final = "boxes"  # FP32 [N, M, 6]: xmin, ymin, xmax, ymax, score, label; label < 0 fills up
BOX_FIELDS: Final = 6
MAX_TOKENS: Final = "max_tokens"
TEMPERATURE: Final = "temperature"
TOP_P: Final = "top_p"
REPETITION_PENALTY: Final = "repetition_penalty"
STOP: Final = "stop"
SEED: Final = "seed"
HEM_PREFER: Final = "hem_prefer"
HEM_ROUTE: Final = "hem_route"
HEM_SCORE: Final = "hem_score"
HEM_ALGORITHM: Final = "hem_algorithm"
HEM_THRESHOLD: Final = "hem_threshold"
HEM_REASON: Final = "hem_reason"
HEM_STRATEGY: Final = "hem_strategy"  # of the mode self-design
HEM_PREFIX: Final = "hem_"
SERVED_BY: Final = "served_by"
CACHED: Final = "cached"
# Of an HTTP answer: why another server failed that was called for it; its status, or a Cause.
FAILURE_HEADER: Final = "hem-failure"
# Output tensors that describe how an answer was made: name -> V2 datatype. Each is [N].
TELEMETRY: Final[Mapping[str, str]] = {
    "prompt_tokens": "INT32",
    "completion_tokens": "INT32",
    "time_to_first_token": "FP32",
    "inter_token_latency": "FP32",
    "mean_logprob": "FP32",
    "min_logprob": "FP32",
    "mean_margin": "FP32",
}
# Of an answer that a small model may have drafted for a large one: each is [N], too.
SPECULATION_TELEMETRY: Final[Mapping[str, str]] = {
    "draft_rounds": "INT32",
    "drafted_tokens": "INT32",
    "accepted_tokens": "INT32",
    "cloud_passes": "INT32",
    "link_bytes_sent": "INT32",
    "link_bytes_received": "INT32",
    "link_seconds": "FP32",
}
SPECULATION: Final = "speculation"  # parameter: cloud, edge or speculative
SPECULATION_REASON: Final = "speculation_reason"  # why it was not, or not to its end
INT32: Final = range(-(2**31), 2**31)
INT64: Final = range(-(2**63), 2**63)
FP32_MAX: Final = 3.4028234663852886e38
Scalar: TypeAlias = str | int | float | bool
