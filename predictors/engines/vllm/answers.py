"""vLLM's output of one query as an answer with telemetry."""

import math

from vllm.logprobs import FlatLogprobs
from vllm.outputs import RequestOutput
from vllm.v1.metrics.stats import RequestStateStats

from predictors.contract import Answer
from predictors.errors import EngineError


def answer(output: RequestOutput) -> Answer:
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
