"""One query through vLLM: our sampling parameters to it, its answer with telemetry, or its error,
back."""

import math

from vllm import SamplingParams
from vllm.exceptions import GracefulHTTPError, VLLMClientError
from vllm.inputs import tokens_input
from vllm.logprobs import FlatLogprobs
from vllm.outputs import RequestOutput
from vllm.sampling_params import RequestOutputKind
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.engine.exceptions import EngineDeadError
from vllm.v1.metrics.stats import RequestStateStats

from predictors.contract import Answer, Sampling
from predictors.engines.prompt import Prompt
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
    return _answer(final)


def sampling_params(sampling: Sampling, max_tokens: int, logprobs: bool) -> SamplingParams:
    """`max_tokens` is what the context leaves for the answer. The order of the steps is that of
    the huggingface engine: penalty, temperature, top_p. Raises InvalidRequest for what vLLM
    refuses."""
    try:
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
    except ValueError as error:
        raise InvalidRequest(first_line(error)) from error


def _answer(output: RequestOutput) -> Answer:
    """The end token counts as generated, as with the huggingface engine: it has a probability
    of its own, but no text. Raises EngineError where vLLM gave up on the query."""
    completion = output.outputs[0]
    if completion.finish_reason in ("abort", "error"):
        raise EngineError(f"generation failed: vLLM ended it with {completion.finish_reason!r}")
    count = len(completion.token_ids)
    first, between = _times(output.metrics, count)
    mean, lowest, margin = _telemetry(completion.logprobs, count)
    return Answer(
        text=completion.text,
        prompt_tokens=len(output.prompt_token_ids or []),
        completion_tokens=count,
        time_to_first_token=first,
        inter_token_latency=between,
        mean_logprob=mean,
        min_logprob=lowest,
        mean_margin=margin,
    )


def _telemetry(flat: object, count: int) -> tuple[float, float, float] | tuple[None, None, None]:
    """Mean and lowest log-probability (nats) and mean margin p(top1) - p(top2) of the first `count`
    tokens; None where vLLM was not asked for them.

    Of each token `flat` has the chosen one's, then the two best ones', all of the model itself:
    before penalty, temperature and top_p (vLLM's logprobs_mode raw_logprobs).
    """
    if flat is None:
        return None, None, None
    assert isinstance(flat, FlatLogprobs)
    starts = flat.start_indices[:count]
    if any(math.isnan(flat.logprobs[start]) for start in starts):
        raise EngineError("generation failed: the model computed NaN instead of probabilities")
    chosen = [flat.logprobs[start] for start in starts]
    margins = [math.exp(flat.logprobs[at + 1]) - math.exp(flat.logprobs[at + 2]) for at in starts]
    return math.fsum(chosen) / count, min(chosen), math.fsum(margins) / count


def _times(stats: RequestStateStats | None, count: int) -> tuple[float | None, float | None]:
    """Seconds to the first token and between tokens; None with vLLM's disable_log_stats."""
    if stats is None:
        return None, None
    spread = stats.last_token_ts - stats.first_token_ts
    return stats.first_token_latency, spread / (count - 1) if count > 1 else None


def _ours(error: Exception, failures: Failures) -> HEMError:
    if isinstance(error, GracefulHTTPError):  # max_num_queued_reqs, max_num_queued_tokens
        return Overloaded(first_line(error))
    if isinstance(error, VLLMClientError):
        return InvalidRequest(first_line(error))
    if isinstance(error, EngineDeadError):
        return EngineError(f"generation failed: vLLM has died: {failures.cause(error)}")
    return EngineError(f"generation failed: {first_line(error.__cause__ or error)}")
