"""Any model of transformers that generates text, in this process.

engine       the Engine: queries in, answers out
settings     its options
loading      a directory or hub id -> a model that is known to be whole, or one clear error
quantization weights of 8 or 4 bits
sequence     one query while it is answered: its tokens, its end, its telemetry
sampling     logits -> the next token of each sequence, by each one's own parameters
             (penalties: for tokens that it has; drawing: at random, by temperature and top_p)
batching     which of the two ways a model can go, tried before anyone depends on it
continuous   many callers in one batch that they join and leave at any token
suspects     after a breakdown of that batch: over whom it broke, and the others go on
alone        a small model's only query, outside of that batch
verifying    drafts of models elsewhere; identity: which model it is; pass_cost: what a pass takes
scoring      the log-probabilities of a prompt's own tokens; placing: where in its text each begins
plain        groups through `generate`, for models that can't be batched continuously

All but engine, settings and sequence import torch and transformers; the engine imports them when it
starts. Both ways choose tokens in `sampling` and end in `sequence`, so that answers are the same.
"""

from predictors.engines.huggingface.engine import HuggingFaceEngine
from predictors.engines.huggingface.settings import HuggingFaceSettings

__all__ = ["HuggingFaceEngine", "HuggingFaceSettings"]
