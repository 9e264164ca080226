"""A query as the body of a request."""

from typing import Any

from predictors.contract import Query, Sampling
from predictors.engines.openai_api.api import APIS
from predictors.engines.openai_api.settings import NONE, OpenAIAPISettings
from predictors.errors import InvalidRequest


def request_body(
    query: Query, model: str, settings: OpenAIAPISettings, extra: dict[str, Any]
) -> dict[str, Any]:
    """Raises InvalidRequest for a repetition penalty that the server has no field for."""
    api, sampling = APIS[settings.api], query.sampling
    body: dict[str, Any] = {
        "model": model,
        **api.prompt(query.text),
        settings.max_tokens_field: sampling.max_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        **_repetition_penalty(sampling, settings.repetition_penalty_field),
    }
    if sampling.stop:
        body["stop"] = list(sampling.stop)
    if sampling.seed is not None:
        body["seed"] = sampling.seed
    if settings.top_logprobs:
        body.update(api.logprobs(settings.top_logprobs))
    if settings.stream:
        body.update(stream=True, stream_options={"include_usage": True})
    body.update(extra)
    return {name: value for name, value in body.items() if value is not None}


def _repetition_penalty(sampling: Sampling, field: str) -> dict[str, float]:
    """OpenAI's `frequency_penalty` adds, this one multiplies: the one can't stand for the other."""
    if sampling.repetition_penalty == 1.0:
        return {}
    if field == NONE:
        raise InvalidRequest(
            f"this model has no repetition_penalty ({sampling.repetition_penalty:g} was asked): "
            "send 1, or start the predictor with --repetition_penalty 1"
        )
    return {field: sampling.repetition_penalty}
