"""Writes model.onnx beside a model's weights: for onnxruntime, in float32 or int8.

Needs the packages onnx and onnxscript, and torch; serving needs onnxruntime alone.
"""

import logging
import warnings
from pathlib import Path

import torch
from onnx import ModelProto
from onnxruntime.quantization import QuantType, quantize_dynamic
from torch import nn
from torch.export import Dim

from transformers_hem.routers.encoder.directory import ONNX_FILE
from transformers_hem.routers.encoder.network import OutputKind
from transformers_hem.routers.encoder.torch_network import Served

# The name that the output has in exports everywhere.
_NAMES: dict[OutputKind, str] = {"states": "last_hidden_state"}


def export_onnx(model: nn.Module, directory: Path, *, output: OutputKind, int8: bool) -> None:
    """Any number of rows and tokens; layers that the output doesn't need are left out.

    With `int8` weights are 8 bits, one scale per output channel, and activations are scaled as they
    come (dynamic quantisation); it's a quarter of the size.
    """
    wrapped = Served(model.cpu(), output).eval()
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
                output_names=[_NAMES.get(output, output)],
                dynamic_shapes=({0: rows, 1: tokens}, {0: rows, 1: tokens}),
                dynamo=True,
                verbose=False,
            )
    finally:
        exporter.setLevel(level)
    assert program is not None
    exported = program.model_proto
    _forget_traces(exported)
    if int8:
        _quantize(exported, directory / ONNX_FILE)
    else:
        (directory / ONNX_FILE).write_bytes(exported.SerializeToString(deterministic=True))


def _forget_traces(model: ModelProto) -> None:
    """The exporter notes at each node where on this machine the code behind it stands."""
    graph = model.graph
    for noted in (graph, *graph.node, *graph.input, *graph.output, *graph.value_info):
        noted.ClearField("metadata_props")
        noted.ClearField("doc_string")


def _quantize(model: ModelProto, path: Path) -> None:
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
