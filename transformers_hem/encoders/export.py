"""Writes model.onnx beside a model's weights: for onnxruntime, in float32 or int8.

Needs the packages onnx and onnxscript, and torch; serving needs onnxruntime alone.
"""

import logging
import warnings
from pathlib import Path
from typing import Any

import torch
from onnx import load_model_from_string
from onnxruntime.quantization import QuantType, quantize_dynamic
from torch import Tensor, nn
from torch.export import Dim

from transformers_hem.encoders.directory import ONNX_FILE


class _FirstOutput(nn.Module):
    """The one output that is served, under the names that an encoder's export has everywhere."""

    def __init__(self, model: nn.Module, head: bool) -> None:
        super().__init__()
        self.model = model
        self.output = "logits" if head else "last_hidden_state"

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Any:
        answered = self.model(input_ids=input_ids, attention_mask=attention_mask)
        return getattr(answered, self.output)


def export_onnx(model: nn.Module, directory: Path, *, head: bool, int8: bool) -> None:
    """Any number of rows and tokens. With `int8` weights are 8 bits, one scale per output channel,
    and activations are scaled as they come (dynamic quantisation); it's a quarter of the size."""
    wrapped = _FirstOutput(model.cpu(), head).eval()
    ids = torch.ones((2, 8), dtype=torch.int64)
    rows, tokens = Dim("rows"), Dim("tokens")
    exporter = logging.getLogger("torch.onnx")
    level = exporter.level
    exporter.setLevel(logging.ERROR)  # it warns of torchvision, which nothing here needs
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                wrapped,
                (ids, torch.ones_like(ids)),
                input_names=["input_ids", "attention_mask"],
                output_names=[wrapped.output],
                dynamic_shapes=({0: rows, 1: tokens}, {0: rows, 1: tokens}),
                dynamo=True,
                verbose=False,
            )
    finally:
        exporter.setLevel(level)
    assert program is not None
    program.save(directory / ONNX_FILE, external_data=False)
    if int8:
        _quantize(directory / ONNX_FILE)


def _quantize(path: Path) -> None:
    model = load_model_from_string(path.read_bytes())
    # The exporter notes shapes of weights before it transposes them; quantisation trips over them.
    del model.graph.value_info[:]
    root = logging.getLogger()
    root.addFilter(_unasked)
    try:
        quantize_dynamic(model, path, weight_type=QuantType.QInt8, per_channel=True)
    finally:
        root.removeFilter(_unasked)


def _unasked(record: logging.LogRecord) -> bool:
    """onnxruntime advises its pre-processing on the root logger; a graph from torch has had it."""
    return "pre-processing before quantization" not in record.getMessage()
