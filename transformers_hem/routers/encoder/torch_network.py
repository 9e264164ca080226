"""Runs a model by torch and transformers, on a GPU where there is one."""

from typing import Any, ClassVar

import torch
from transformers import AutoModel, AutoModelForSequenceClassification
from transformers.utils import logging

from predictors.errors import ConfigurationError, first_line
from transformers_hem.routers.encoder.directory import EncoderDirectory
from transformers_hem.routers.encoder.layers import Served
from transformers_hem.routers.encoder.network import (
    Network,
    Output,
    OutputKind,
)
from transformers_hem.routers.encoder.tokens import Padded


class TorchNetwork(Network):
    batch_tokens: ClassVar[int] = 4096

    def __init__(self, directory: EncoderDirectory, output: OutputKind, threads: int) -> None:
        if threads:
            torch.set_num_threads(threads)
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._model = Served(load_model(directory, output), output).to(self._device).eval()

    def run(self, padded: Padded) -> Output:
        ids = torch.from_numpy(padded.ids).to(self._device)
        mask = torch.from_numpy(padded.mask).to(self._device)
        with torch.inference_mode():
            output: Output = self._model(ids, mask).float().cpu().numpy()
        return output


def load_model(directory: EncoderDirectory, output: OutputKind, **config: Any) -> Any:
    """The directory's model in float32, from safetensors only: other weights could run code.

    A head that the weights lack is an error here, unless `config` asks for a new one. Raises
    ConfigurationError.
    """
    head = output == "logits"
    kind = AutoModelForSequenceClassification if head else AutoModel
    logging.disable_progress_bar()
    logging.set_verbosity_error()  # what it would tell of missing weights is told below
    try:
        model, told = kind.from_pretrained(
            directory.path,
            dtype=torch.float32,
            use_safetensors=True,
            output_loading_info=True,
            **{"pad_token_id": directory.pad_id, **config},
        )
    except Exception as error:  # transformers raises whatever a config's class does
        raise ConfigurationError(
            f"model {directory.path} can't be loaded: {first_line(error)}"
        ) from error
    missing = sorted(told["missing_keys"])
    if head and missing and not config:
        raise ConfigurationError(
            f"model {directory.path} has no weights for {', '.join(missing[:3])}: it was not "
            "trained to classify; `hem train` makes a router of it"
        )
    return model
