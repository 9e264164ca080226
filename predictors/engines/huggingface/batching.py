"""Chooses how a model's queries are batched, and tries that way before anyone depends on it."""

import asyncio
import logging
import threading
from typing import TypeAlias

import torch

from predictors.contract import Query, Sampling
from predictors.contract.speculation import Drawing, Round, Whole
from predictors.engines.huggingface.alone import gains_alone, generate_alone
from predictors.engines.huggingface.continuous import ContinuousBatches
from predictors.engines.huggingface.loading import Loaded
from predictors.engines.huggingface.plain import PlainGroups, generate_group
from predictors.engines.huggingface.scoring import PART_TOKENS, PromptScorer, Scores
from predictors.engines.huggingface.sequence import Sequence
from predictors.engines.huggingface.settings import CPU_CACHE_TOKENS, HuggingFaceSettings
from predictors.engines.huggingface.verifying import Verifier
from predictors.errors import ConfigurationError, EngineError, HEMError, first_line

log = logging.getLogger(__name__)

# The query that every model answers before it is ready, on both paths where it can.
PROBE = Query("1 + 1 =", Sampling(max_tokens=8, temperature=0.0, repetition_penalty=1.0))
# How far (nats) both paths may be apart there: well above rounding, well below what a wrong
# position or mask does.
PROBE_TOLERANCE = {torch.float32: 1e-3, torch.float16: 0.05, torch.bfloat16: 0.2}


Batches: TypeAlias = ContinuousBatches | PlainGroups


async def start_batches(model: Loaded, settings: HuggingFaceSettings) -> Batches:
    """Returns once a query was answered. Raises ConfigurationError where the model can't."""
    if settings.batching != "plain":
        batches = await _try_continuous(model, settings)
        if not isinstance(batches, str):
            return batches
        if settings.batching == "continuous":
            raise ConfigurationError(
                f"model_dir {settings.model_dir} can't be batched continuously: {batches}; "
                "set batching to auto or plain"
            )
        log.warning("no continuous batching, queries go in groups: %s", batches)
    groups = PlainGroups(model, settings.max_batch_size)
    try:
        await groups.start()
        await groups.run(await Sequence.of(PROBE, model, model.context))
    except EngineError as error:
        await groups.close()
        raise ConfigurationError(f"model_dir {settings.model_dir} can't answer: {error}") from error
    return groups


async def _try_continuous(model: Loaded, settings: HuggingFaceSettings) -> ContinuousBatches | str:
    """Running, or why this model can't: transformers may refuse it, or compute nonsense for
    a kind of attention that it takes for another."""
    if model.encoder_decoder:
        return "it is an encoder-decoder"
    if not model.model.is_backend_compatible():
        return "its attention can't be replaced by the paged one"
    plain = await Sequence.of(PROBE, model, model.context)
    probe = await Sequence.of(PROBE, model, model.context)
    batches = ContinuousBatches(model, _cache_tokens(model, settings), settings.max_batch_size)
    try:
        await asyncio.to_thread(generate_group, model, [plain])
        await batches.start()
        await batches.run(probe)
    except Exception as error:  # transformers raises whatever its parts do
        await batches.close()
        return first_line(error)
    if not _agree(plain, probe, _tolerance(model)):
        await batches.close()
        return "its probabilities there are not those of plain generation"
    batches.alone = gains_alone(model) and await _runs_alone(model, plain)
    return batches


async def _runs_alone(model: Loaded, plain: Sequence) -> bool:
    """Whether the model, which is made ready for the batch by now, also runs without it."""
    probe = await Sequence.of(PROBE, model, model.context)
    try:
        await asyncio.to_thread(generate_alone, model, probe, threading.Event())
    except Exception as error:  # transformers raises whatever its parts do
        log.info("a single query runs in the batch, too: %s", first_line(error))
        return False
    return _agree(plain, probe, _tolerance(model))


async def start_scorer(model: Loaded, batches: Batches) -> PromptScorer | None:
    """None where this model's prompts can't be scored: an encoder's are not its decoder's, and some
    a model computes otherwise than its batches do."""
    if model.encoder_decoder:
        return None
    probe = await Sequence.of(PROBE, model, batches.context)
    await batches.run(probe)
    tokens = [*probe.prompt, *probe.tokens]
    ways = ((PART_TOKENS, len(tokens) // 2), (None, None))  # the probe itself has two parts
    # Of state-space models some lose a little of their state between two parts.
    for part, tried in ways[1:] if model.model._is_stateful else ways:
        scorer, scores = PromptScorer(model, batches, tried), Scores()
        try:
            await scorer.score(tokens, scores)
        except HEMError as error:
            log.info("prompts are not scored in parts of %s: %s", tried, error)
            continue
        finally:
            await scorer.close()
        pairs = zip(scores.logprobs[len(probe.prompt) - 1 :], probe.logprobs, strict=True)
        if all(abs(one - other) <= _tolerance(model) for one, other in pairs):
            return PromptScorer(model, batches, part)
    log.warning("no prompt is scored, echo is refused: the probabilities are not the batches'")
    return None


async def start_verifier(
    model: Loaded, batches: Batches, model_dir: str, count: int, room: int
) -> Verifier:
    """For drafts of `count` sequences of at most `room` tokens. Raises ConfigurationError where the
    model can't check drafts: an encoder-decoder, one that keeps a state, or sees a window alone."""
    text = model.model.config.get_text_config()
    kinds = set(getattr(text, "layer_types", None) or ["full_attention"])
    if model.encoder_decoder or model.model._is_stateful or kinds != {"full_attention"}:
        raise ConfigurationError(
            f"model_dir {model_dir} can't check drafts, as not all of its layers see the whole "
            "text: leave verify_slots and assistant_dir out"
        )
    verifier = Verifier(model, count, room, batches.apart)
    await verifier.start()
    probe = await Sequence.of(PROBE, model, batches.context)
    await batches.run(probe)
    try:
        drawing = Drawing.of(PROBE.sampling, probe.key, coupled=True)
        whole = Whole(tokens=probe.prompt, prompt=len(probe.prompt), drawing=drawing)
        drafted = probe.tokens[:-1]
        round = Round(id="probe", at=len(probe.prompt), draft=drafted, whole=whole)
        verdict = await verifier.check(round)
    except Exception as error:  # transformers raises whatever its parts do
        await verifier.close()
        raise ConfigurationError(
            f"model_dir {model_dir} can't check drafts: {first_line(error)}"
        ) from error
    pairs = zip(probe.logprobs, verdict.logprobs, strict=False)
    if any(abs(one - other) > _tolerance(model) for one, other in pairs):
        await verifier.close()
        raise ConfigurationError(
            f"model_dir {model_dir} can't check drafts: its probabilities there are not "
            "those of its answers"
        )
    return verifier


def _cache_tokens(model: Loaded, settings: HuggingFaceSettings) -> int | None:
    if settings.kv_cache_tokens is None and model.model.device.type == "cpu":
        return CPU_CACHE_TOKENS
    return settings.kv_cache_tokens


def _tolerance(model: Loaded) -> float:
    return PROBE_TOLERANCE.get(model.model.dtype, 0.2)


def _agree(one: Sequence, other: Sequence, tolerance: float) -> bool:
    """Whether both saw the same distributions, up to where a tie was broken differently."""
    for index, (token, logprob) in enumerate(zip(one.tokens, one.logprobs, strict=True)):
        if index == len(other.tokens) or abs(logprob - other.logprobs[index]) > tolerance:
            return False
        if token != other.tokens[index]:
            return True
    return True
