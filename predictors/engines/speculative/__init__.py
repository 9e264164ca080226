"""Speculative decoding across a link: a small model here drafts, a large one elsewhere checks, and
the answer is the large one's.

settings  of the engine
verifier  the server that checks drafts, by contract.speculation
pace      how many tokens to draft
engine    query by query, round by round
"""

from predictors.engines.speculative.engine import SpeculativeEngine
from predictors.engines.speculative.settings import SpeculativeSettings

__all__ = ["SpeculativeEngine", "SpeculativeSettings"]
