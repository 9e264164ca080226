"""Speculative decoding across a link: a small model here drafts, a large one elsewhere checks, and
the answer is the large one's.

settings   of the engine
base       the seams: who drafts, who checks
drafting   the drafter that the settings name; lookup is one without a model
verifiers  what checks, by name: verifier is a predictor of ours, vllm_verifier a vLLM server, which
           is asked in vllm_ways, and whose tokens are compared in vllm_agreement
chain      what is known of a sequence, drafted behind it, and under way
runner     one sequence to its end
pace       how many tokens to draft, and how far ahead
tally      what it took; metrics what Prometheus sees of it, recording what the ledger says
planning   who answers a query: by speculation, or one of both alone
policy     where both could, by how fast each was (speeds)
alone      the far server's answers, and the small model's
engine     query by query
"""

from predictors.engines.speculative.engine import SpeculativeEngine
from predictors.engines.speculative.settings import SpeculativeSettings

__all__ = ["SpeculativeEngine", "SpeculativeSettings"]
