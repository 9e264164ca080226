"""The two models: for the edge a logistic regression, 650 numbers; for the cloud a small
convolutional network, trained on turned and shifted digits. Both are written as ONNX: FP32 `image`
[N, 8, 8] in 0 to 16 -> `probabilities` [N, 10]."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from sklearn.linear_model import LogisticRegressionCV
from torch import Tensor, nn
from torch.nn import functional

from predictors.contract import PROBABILITIES
from predictors.digits.workshop.data import CLASSES, LARGEST, SIDE, SPLIT_SEED, Digits

Weights: TypeAlias = Mapping[str, NDArray[np.floating]]

IMAGE: Final = "image"
CONVOLUTIONS: Final = ("first", "second", "third")
_OPSET, _IR = 17, 8  # old enough for any onnxruntime of these years
# Inverse strengths of regularisation to choose from, by log-loss on folds of the training images.
STRENGTHS: Final = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)


def fit_edge(train: Digits) -> Weights:
    """Multinomial logistic regression on the pixels: `weight` [64, 10] and `bias` [10], for pixels
    in [0, 1]."""
    model = LogisticRegressionCV(
        Cs=STRENGTHS,
        cv=[(np.setdiff1d(np.arange(len(train)), held), held) for _, held in train.folds()],
        scoring="neg_log_loss",
        l1_ratios=(0.0,),
        use_legacy_attributes=False,
        max_iter=2000,
        random_state=SPLIT_SEED,
    )
    model.fit(_flat(train), train.labels)
    return {
        "weight": model.coef_.T.astype(np.float32),
        "bias": model.intercept_.astype(np.float32),
    }


def edge_probabilities(weights: Weights, digits: Digits) -> NDArray[np.float64]:
    logits = _flat(digits) @ weights["weight"] + weights["bias"]
    grown = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities: NDArray[np.float64] = grown / grown.sum(axis=1, keepdims=True)
    return probabilities


def _flat(digits: Digits) -> NDArray[np.float32]:
    return digits.images.reshape(len(digits), -1) / np.float32(LARGEST)


CHANNELS: Final = (32, 32, 32)
EPOCHS: Final = 60
BATCH: Final = 64
LEARNING_RATE: Final = 4e-3
# Largest changes of a training image: radians, and shares of its side.
TURN, SHIFT, STRETCH, SHEAR = 0.2, 0.12, 0.12, 0.15


class Network(nn.Module):
    """FP32 [N, 1, 8, 8] in [0, 1] -> logits [N, 10]."""

    def __init__(self) -> None:
        super().__init__()
        first, second, third = CHANNELS
        self.first = nn.Conv2d(1, first, 3, padding=1)
        self.second = nn.Conv2d(first, second, 3)
        self.third = nn.Conv2d(second, third, 3)
        self.dropped = nn.Dropout(0.3)
        self.classes = nn.Linear(third * 4 * 4, CLASSES)

    def forward(self, picture: Tensor) -> Tensor:
        for name in CONVOLUTIONS:
            picture = torch.relu(getattr(self, name)(picture))
        logits: Tensor = self.classes(self.dropped(picture.flatten(1)))
        return logits

    def weights(self) -> Weights:
        """By the names of ONNX's graph; `weight` is [features, classes]."""
        named = {
            "weight": self.classes.weight.T,
            "bias": self.classes.bias,
            **{n: p for n, p in self.named_parameters() if n.split(".")[0] in CONVOLUTIONS},
        }
        return {name: value.detach().numpy() for name, value in named.items()}


def fit_cloud(train: Digits, seed: int) -> Network:
    torch.manual_seed(seed)
    network = Network()
    pictures = torch.from_numpy(train.images[:, None] / np.float32(LARGEST))
    labels = torch.from_numpy(train.labels)
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=0.05)
    steps = EPOCHS * -(-len(train) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps)
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(train)).split(BATCH):
            logits = network(varied(pictures[rows]))
            loss = functional.cross_entropy(logits, labels[rows], label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return network.eval()


def varied(pictures: Tensor) -> Tensor:
    """Each turned, shifted, stretched and sheared a little, at random."""

    def amount(most: float) -> Tensor:
        return (torch.rand(len(pictures)) * 2 - 1) * most

    turn, wide, high = amount(TURN), 1 + amount(STRETCH), 1 + amount(STRETCH)
    cosine, sine = turn.cos(), turn.sin()
    rows = [
        torch.stack([cosine * wide, amount(SHEAR) - sine, amount(SHIFT)], dim=1),
        torch.stack([sine, cosine * high, amount(SHIFT)], dim=1),
    ]
    grid = functional.affine_grid(
        torch.stack(rows, dim=1), list(pictures.shape), align_corners=False
    )
    return functional.grid_sample(pictures, grid, align_corners=False)


def cloud_right(network: Network, digits: Digits) -> NDArray[np.bool_]:
    """[N]: whether the largest probability is the label's."""
    pictures = torch.from_numpy(digits.images[:, None] / np.float32(LARGEST))
    with torch.inference_mode():
        classes = network(pictures).argmax(dim=1).numpy()
    right: NDArray[np.bool_] = np.equal(classes, digits.labels)
    return right


def write_edge(path: Path, weights: Weights) -> None:
    nodes = [*_scaled("pixels", [-1, SIDE * SIDE]), *_classes("pixels")]
    _write(path, "digits-edge", nodes, weights)


def write_cloud(path: Path, weights: Weights) -> None:
    nodes = _scaled("picture", [-1, 1, SIDE, SIDE])
    features = "picture"
    for name in CONVOLUTIONS:
        pads = [1, 1, 1, 1] if name == CONVOLUTIONS[0] else [0, 0, 0, 0]
        inputs = [features, f"{name}.weight", f"{name}.bias"]
        nodes.append(helper.make_node("Conv", inputs, [f"{name}.sum"], pads=pads))
        nodes.append(helper.make_node("Relu", [f"{name}.sum"], [name]))
        features = name
    nodes.append(helper.make_node("Flatten", [features], ["flat"]))
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
