"""Asks the edge predictor for more answers to the same queries, sampled."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from predictors.contract import (
    SEED,
    TEMPERATURE,
    TEXT_OUTPUT,
    text_request,
)
from predictors.contract.codec import BINARY_PARAMETERS, without
from predictors.errors import HEMError
from predictors.upstream.redaction import logged
from transformers_hem.algorithms.base import ExtraAnswers
from transformers_hem.serving.answer_batch import answer_texts
from transformers_hem.serving.predictor_client import PredictorClient

logger = logging.getLogger("kserve.hem")

Samples = tuple[tuple[str, ...], ...]


async def sample_answers(
    predictor: PredictorClient,
    texts: Sequence[str],
    parameters: Mapping[str, Any],
    extra: ExtraAnswers,
    headers: Mapping[str, str] | None,
) -> Samples:
    """`extra.count` answers to each of the N texts, by one request of N * count rows.

    The caller's parameters hold, but for the temperature, and for the seed, which would make all
    samples of a query the same. Empty where the predictor fails: its first answer is there, and
    goes on without this signal.
    """
    count = extra.count
    repeated = [text for text in texts for _ in range(count)]
    sampled = without(parameters, {SEED, *BINARY_PARAMETERS})
    body = text_request(repeated, {**sampled, TEMPERATURE: extra.temperature})
    body["outputs"] = [{"name": TEXT_OUTPUT}]
    try:
        response = await predictor.infer(orjson.dumps(body), headers or {})
    except HEMError as error:
        logger.warning("no sampled answers: %s", logged(error))
        return ()
    answers = answer_texts(response, len(repeated))
    return tuple(answers[i : i + count] for i in range(0, len(answers), count))
