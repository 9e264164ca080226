"""Answers by a Triton Inference Server: its LLM back ends as text, any other model as tensors.

settings    where Triton is, which model answers, TLS
engine      learns what the model is, follows whether it is ready, and asks it
client      the model over gRPC or HTTP: the V2 room (predictors.upstream.v2) with what Triton adds
text        a query as the tensors of an LLM back end: add the options of another back end there
gathering   the responses of an LLM back end as answers with the contract's telemetry
"""

from predictors.engines.triton.engine import TritonEngine
from predictors.engines.triton.settings import TritonSettings

__all__ = ["TritonEngine", "TritonSettings"]
