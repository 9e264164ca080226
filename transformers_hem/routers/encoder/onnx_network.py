"""Runs model.onnx by onnxruntime: for edge nodes without torch."""

from typing import ClassVar

import numpy as np
import onnxruntime

from predictors.errors import ConfigurationError, first_line
from transformers_hem.routers.encoder.directory import ONNX_FILE, EncoderDirectory
from transformers_hem.routers.encoder.network import Network, Output, Padded

_IDS, _MASK, _TYPES = "input_ids", "attention_mask", "token_type_ids"


class OnnxNetwork(Network):
    """Takes exports of others too, as long as their inputs are those of a text encoder.

    A row runs alone: on a CPU a batch gains nothing, and an int8 model scales a whole batch by its
    largest value, so that a query's score would depend on who asks beside it.
    """

    batch_tokens: ClassVar[int] = 0

    def __init__(self, directory: EncoderDirectory, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        # Threads that spin for work would take the cores of the edge model beside it.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        path = directory.path / ONNX_FILE
        try:
            self._session = onnxruntime.InferenceSession(
                path.read_bytes(), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime's errors share no base of their own
            raise ConfigurationError(f"{path} can't be loaded: {first_line(error)}") from error
        self._inputs = {each.name for each in self._session.get_inputs()}
        if not {_IDS} <= self._inputs <= {_IDS, _MASK, _TYPES}:
            raise ConfigurationError(
                f"{path} takes {', '.join(sorted(self._inputs))}; an encoder takes {_IDS} and "
                f"{_MASK}, at most {_TYPES} beside them"
            )

    def run(self, padded: Padded) -> Output:
        every = {_IDS: padded.ids, _MASK: padded.mask, _TYPES: np.zeros_like(padded.ids)}
        output: Output = self._session.run(None, {name: every[name] for name in self._inputs})[0]
        return output
