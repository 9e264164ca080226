"""Both models' weights as ONNX: FP32 `image` [N, 8, 8] in 0 to 16 -> `probabilities` [N, 10]."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from predictors.contract import PROBABILITIES
from predictors.digits.workshop.data import (
    CLASSES,
    LARGEST,
    SIDE,
)

Weights: TypeAlias = Mapping[str, NDArray[np.floating]]

IMAGE: Final = "image"
CONVOLUTIONS: Final = ("first", "second", "third")
_OPSET, _IR = 17, 8  # old enough for any onnxruntime of these years


def write_edge(path: Path, weights: Weights) -> None:
    nodes = [*_scaled("pixels", [-1, SIDE * SIDE]), *_classes("pixels")]
    _write(path, "digits-edge", nodes, weights)


def write_cloud(path: Path, weights: Weights) -> None:
    nodes = _scaled("picture", [-1, 1, SIDE, SIDE])
    given = "picture"
    for name in CONVOLUTIONS:
        pads = [1, 1, 1, 1] if name == CONVOLUTIONS[0] else [0, 0, 0, 0]
        inputs = [given, f"{name}.weight", f"{name}.bias"]
        nodes.append(helper.make_node("Conv", inputs, [f"{name}.sum"], pads=pads))
        nodes.append(helper.make_node("Relu", [f"{name}.sum"], [name]))
        given = name
    nodes.append(helper.make_node("Flatten", [given], ["flat"]))
    _write(path, "digits-cloud", [*nodes, *_classes("flat")], weights)


def _scaled(name: str, shape: list[int]) -> list[Any]:
    return [
        helper.make_node("Div", [IMAGE, "largest"], ["scaled"]),
        helper.make_node("Constant", [], ["shape"], value_ints=shape),
        helper.make_node("Reshape", ["scaled", "shape"], [name]),
    ]


def _classes(features: str) -> list[Any]:
    return [
        helper.make_node("Gemm", [features, "weight", "bias"], ["logits"]),
        helper.make_node("Softmax", ["logits"], [PROBABILITIES], axis=1),
    ]


def _write(path: Path, name: str, nodes: list[Any], weights: Weights) -> None:
    constants = {**weights, "largest": np.array(LARGEST)}
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info(IMAGE, TensorProto.FLOAT, ["n", SIDE, SIDE])],
        [helper.make_tensor_value_info(PROBABILITIES, TensorProto.FLOAT, ["n", CLASSES])],
        [numpy_helper.from_array(v.astype(np.float32), n) for n, v in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)])
    model.ir_version = _IR
    onnx.checker.check_model(model, full_check=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)
