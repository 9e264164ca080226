"""The drafter that the settings name, and what turns text into tokens beside it.

torch and transformers are imported when the engine starts.
"""

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from predictors.engines.speculative.base import Drafter
from predictors.engines.speculative.lookup import PromptLookup
from predictors.engines.speculative.settings import SpeculativeSettings
from predictors.errors import ConfigurationError, first_line

if TYPE_CHECKING:
    from predictors.engines.huggingface.loading import Loaded


class Drafting(NamedTuple):
    """`model` has the tokenizer; its weights are None where nothing here needs them."""

    model: "Loaded"
    drafter: Drafter


async def load(settings: SpeculativeSettings) -> Drafting:
    """Raises ConfigurationError."""
    if settings.drafter == "prompt-lookup":
        model = await asyncio.to_thread(tokenizer_alone, settings)
        return Drafting(model, PromptLookup(settings.lookup_longest, settings.lookup_shortest))
    from predictors.engines.huggingface.drafting import ModelDrafter
    from predictors.engines.huggingface.loading import load_to_run

    model = await asyncio.to_thread(load_to_run, settings)
    if model.encoder_decoder:
        raise ConfigurationError(
            f"model_dir {settings.model_dir} can't draft: it is an encoder-decoder"
        )
    room = min(model.context, settings.context_tokens)
    return Drafting(model, ModelDrafter(model, settings.max_batch_size, room, settings.branches))


def tokenizer_alone(settings: SpeculativeSettings) -> "Loaded":
    """Without the weights, whose files need not be there."""
    from transformers import AutoTokenizer

    from predictors.engines.checkpoint import resolve
    from predictors.engines.huggingface.loading import NO_LIMIT, Loaded

    path = resolve(settings.model_dir, settings.revision)
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            path, trust_remote_code=settings.trust_remote_code
        )
    except Exception as error:  # transformers raises whatever its backends do
        raise ConfigurationError(
            f"model_dir {path} has no tokenizer that can be read: {first_line(error)}"
        ) from error
    ends = frozenset([] if tokenizer.eos_token_id is None else [tokenizer.eos_token_id])
    return Loaded(None, tokenizer, NO_LIMIT, ends, len(tokenizer))
