"""Models of a few weights, made on the spot: what each kind of file or directory looks like."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    LlamaConfig,
    PreTrainedTokenizerFast,
    ViTConfig,
    ViTForImageClassification,
    YolosConfig,
    YolosForObjectDetection,
)
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil
from transformers.models.yolos.image_processing_pil_yolos import YolosImageProcessorPil

WEIGHTS = np.array([[1.0, 0.0, -1.0], [0.0, 2.0, 0.0]], dtype=np.float32)
_TINY = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
_WORDS = ["[PAD]", "[UNK]", "good", "bad", "film"]


class Net(torch.nn.Module):
    """FP32 [N, 2] -> logits [N, 3]."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = torch.nn.Parameter(torch.tensor(WEIGHTS))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x @ self.weights


class Sum(torch.nn.Module):
    """Two inputs, and a dict of outputs."""

    def forward(self, left: torch.Tensor, right: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"logits": left + right, "left": left}


def softmax(logits: np.ndarray) -> np.ndarray:
    grown = np.exp(logits - logits.max(axis=1, keepdims=True))
    return grown / grown.sum(axis=1, keepdims=True)


def onnx_model(
    path: Path,
    output: str = "scores",
    softmax: bool = False,
    rows: int | str = "n",
    extra: str | None = None,
) -> Path:
    """x FP32 [rows, 2] -> `output` [rows, 3], and a copy of it named `extra`."""
    nodes = [helper.make_node("MatMul", ["x", "w"], ["product" if softmax else output])]
    if softmax:
        nodes.append(helper.make_node("Softmax", ["product"], [output], axis=1))
    if extra:
        nodes.append(helper.make_node("Identity", [output], [extra]))
    outputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [rows, 3])
        for name in (output, extra)
        if name
    ]
    _save(path, nodes, {"x": (TensorProto.FLOAT, [rows, 2])}, outputs, {"w": WEIGHTS})
    return path


def onnx_identity(
    path: Path, name: str, shape: list[Any], element: int = TensorProto.FLOAT
) -> Path:
    """Gives its input back as output `name`."""
    node = helper.make_node("Identity", ["x"], [name])
    _save(
        path, [node], {"x": (element, shape)}, [helper.make_tensor_value_info(name, element, shape)]
    )
    return path


def _save(
    path: Path,
    nodes: list[Any],
    inputs: dict[str, tuple[int, list[Any]]],
    outputs: list[Any],
    weights: dict[str, np.ndarray] | None = None,
) -> None:
    given = [helper.make_tensor_value_info(name, *each) for name, each in inputs.items()]
    constants = [numpy_helper.from_array(v, name) for name, v in (weights or {}).items()]
    graph = helper.make_graph(nodes, "tiny", given, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.save(model, path)


def torchscript(path: Path, module: torch.nn.Module | None = None) -> Path:
    torch.jit.script(module or Net()).save(str(path))
    return path


def exported(path: Path, rows: int | None = None, least: int = 1) -> Path:
    """Rows free, or exactly `rows` of them."""
    free = None if rows else {"x": {0: torch.export.Dim("n", min=least, max=16)}}
    program = torch.export.export(Net(), (torch.ones(rows or 4, 2),), dynamic_shapes=free)
    torch.export.save(program, path)
    return path


def image_classifier(path: Path, **config: Any) -> Path:
    """8 by 8 pixels in colour, 3 classes."""
    torch.manual_seed(7)
    fields = {"image_size": 8, "patch_size": 4, "num_labels": 3, "intermediate_size": 16, **_TINY}
    ViTForImageClassification(ViTConfig(**{**fields, **config})).save_pretrained(path)
    ViTImageProcessorPil(size={"height": 8, "width": 8}).save_pretrained(path)
    return path


def detector(path: Path) -> Path:
    """At most 5 boxes an image, of 3 labels."""
    torch.manual_seed(7)
    config = YolosConfig(
        image_size=[32, 32],
        patch_size=8,
        num_detection_tokens=5,
        num_labels=3,
        intermediate_size=16,
        **_TINY,
    )
    YolosForObjectDetection(config).save_pretrained(path)
    YolosImageProcessorPil(size={"shortest_edge": 32, "longest_edge": 32}).save_pretrained(path)
    return path


def text_classifier(path: Path, **config: Any) -> Path:
    """Knows the words good, bad and film; 2 classes; 8 tokens at most."""
    torch.manual_seed(7)
    fields = {"vocab_size": len(_WORDS), "max_position_embeddings": 8, "intermediate_size": 16}
    BertForSequenceClassification(
        BertConfig(**{**fields, **_TINY, "num_labels": 2, **config})
    ).save_pretrained(path)
    words = Tokenizer(models.WordLevel({w: i for i, w in enumerate(_WORDS)}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="[PAD]", unk_token="[UNK]"
    ).save_pretrained(path)
    return path


def language_model(path: Path) -> Path:
    """Its config.json and an empty file of weights."""
    path.mkdir()
    config = {**LlamaConfig().to_dict(), "architectures": ["LlamaForCausalLM"]}
    (path / "config.json").write_text(json.dumps(config))
    (path / "model.safetensors").touch()
    return path
