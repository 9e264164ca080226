"""The cloud model: a small convolutional network, trained on turned and shifted digits."""

from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from predictors.digits.workshop.data import (
    CLASSES,
    LARGEST,
    Digits,
)
from predictors.digits.workshop.network import CONVOLUTIONS, Weights

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
        found = {
            "weight": self.classes.weight.T,
            "bias": self.classes.bias,
            **{n: p for n, p in self.named_parameters() if n.split(".")[0] in CONVOLUTIONS},
        }
        return {name: value.detach().numpy() for name, value in found.items()}


def fit(train: Digits, seed: int) -> Network:
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


def right(network: Network, digits: Digits) -> NDArray[np.bool_]:
    """[N]: whether the largest probability is the label's."""
    pictures = torch.from_numpy(digits.images[:, None] / np.float32(LARGEST))
    with torch.inference_mode():
        found = network(pictures).argmax(dim=1).numpy()
    hits: NDArray[np.bool_] = np.equal(found, digits.labels)
    return hits
