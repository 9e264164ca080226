"""Answers by a Triton Inference Server: its LLM back ends as text, any other model as tensors."""

from predictors.engines.triton.engine import TritonEngine
from predictors.engines.triton.settings import TritonSettings

__all__ = ["TritonEngine", "TritonSettings"]
