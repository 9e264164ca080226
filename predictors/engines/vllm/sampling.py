"""Our sampling parameters as vLLM's."""

from vllm import SamplingParams
from vllm.sampling_params import RequestOutputKind

from predictors.protocol import Sampling

# The two most probable tokens of each step, for the margin; the chosen one comes in any case.
TOP_TOKENS = 2


def sampling_params(sampling: Sampling, max_tokens: int) -> SamplingParams:
    """`max_tokens` is what the context leaves for the answer. The order of the steps is that of
    the huggingface engine: penalty, temperature, top_p."""
    return SamplingParams(
        max_tokens=max_tokens,
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        repetition_penalty=sampling.repetition_penalty,
        stop=list(sampling.stop),
        seed=sampling.seed,
        logprobs=TOP_TOKENS,
        flat_logprobs=True,
        output_kind=RequestOutputKind.FINAL_ONLY,
        skip_clone=True,  # ours alone, for one request
    )
