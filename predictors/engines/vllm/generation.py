"""One query through vLLM: our sampling parameters to it, its answer or its error back."""

from vllm import SamplingParams
from vllm.exceptions import GracefulHTTPError, VLLMClientError
from vllm.inputs import tokens_input
from vllm.sampling_params import RequestOutputKind
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.engine.exceptions import EngineDeadError

from predictors.contract import Answer, Sampling
from predictors.engines.prompt import Prompt
from predictors.engines.vllm.answers import answer
from predictors.engines.vllm.failures import Failures
from predictors.errors import EngineError, HEMError, InvalidRequest, Overloaded, first_line

# The two most probable tokens of each step, for the margin; the chosen one comes in any case.
TOP_TOKENS = 2


async def generate(
    llm: AsyncLLM, prompt: Prompt, parameters: SamplingParams, request: str, failures: Failures
) -> Answer:
    """`request` is an id of its own. Cancelled, vLLM drops the query before its next token.

    Raises InvalidRequest, Overloaded or EngineError; why vLLM died comes from `failures`.
    """
    final = None
    try:
        # To its end: a generator that is left before is taken for a caller who is gone.
        async for output in llm.generate(tokens_input(prompt.tokens), parameters, request):
            final = output
    except Exception as error:  # vLLM raises whatever its parts do
        raise _ours(error, failures) from error
    if final is None:
        raise EngineError("generation failed: vLLM gave no answer")
    return answer(final)


def sampling_params(sampling: Sampling, max_tokens: int, logprobs: bool) -> SamplingParams:
    """`max_tokens` is what the context leaves for the answer. The order of the steps is that of
    the huggingface engine: penalty, temperature, top_p."""
    return SamplingParams(
        max_tokens=max_tokens,
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        repetition_penalty=sampling.repetition_penalty,
        stop=list(sampling.stop),
        seed=sampling.seed,
        logprobs=TOP_TOKENS if logprobs else None,
        flat_logprobs=True,
        output_kind=RequestOutputKind.FINAL_ONLY,
        skip_clone=True,  # ours alone, for one request
    )


def _ours(error: Exception, failures: Failures) -> HEMError:
    if isinstance(error, GracefulHTTPError):  # max_num_queued_reqs, max_num_queued_tokens
        return Overloaded(first_line(error))
    if isinstance(error, VLLMClientError):
        return InvalidRequest(first_line(error))
    if isinstance(error, EngineDeadError):
        return EngineError(f"generation failed: vLLM has died: {failures.cause(error)}")
    return EngineError(f"generation failed: {first_line(error.__cause__ or error)}")
