"""A small model's only query, in plain steps on a key-value cache of its own.

The manager of the continuous batch prepares indices, masks and block tables for every token, for
one query as for thirty. That is a good part of a small model's step. So its only query runs here
until it has company; then it goes on in the batch, which computes prompt and answer so far once
more. For a large model that would take longer than was gained.
"""

import threading

import torch
from transformers import DynamicCache

from predictors.engines.huggingface.loading import Loaded
from predictors.engines.huggingface.sampling import Sampler
from predictors.engines.huggingface.sequence import Sequence

SMALL_PARAMETERS = 10_000_000


def gains_alone(model: Loaded) -> bool:
    """Whether the model is small, and on the CPU: on a GPU the batch has taken the memory for
    caches already."""
    parameters: int = model.model.num_parameters()
    return parameters < SMALL_PARAMETERS and model.model.device.type == "cpu"


@torch.no_grad()
def generate_alone(model: Loaded, sequence: Sequence, leave: threading.Event) -> None:
    """Runs a sequence in the calling thread until it has ended, was cancelled, or `leave` is set;
    then it can go on elsewhere. Raises whatever the model does."""
    network = model.model
    options = {"logits_to_keep": 1} if network._supports_logits_to_keep() else {}
    cache, sampler = DynamicCache(config=network.config), Sampler()
    tokens = torch.tensor([sequence.prompt], device=network.device)
    while sequence.running and not leave.is_set():
        logits = network(input_ids=tokens, past_key_values=cache, use_cache=True, **options).logits
        tokens = sampler.choose(logits[:, -1], [sequence]).unsqueeze(-1)
