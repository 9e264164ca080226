"""Any model of transformers that generates text, in this process.

loading      a directory or hub id -> a model that is known to be whole, or one clear error
quantization weights of 8 or 4 bits
sequence     one query while it is answered: its tokens, its end, its telemetry
sampling     logits -> the next token of each sequence, by each one's own parameters
continuous   many callers in one batch that they join and leave at any token
plain        groups through `generate`, for models that can't be batched continuously
engine       the Engine: queries in, answers out
"""

from predictors.engines.huggingface.engine import HuggingFaceEngine
from predictors.engines.huggingface.settings import HuggingFaceSettings

__all__ = ["HuggingFaceEngine", "HuggingFaceSettings"]
