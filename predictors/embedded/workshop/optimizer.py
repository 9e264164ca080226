"""Muon for the weight matrices, AdamW for embeddings and norms, seen by the Trainer as one.

Muon (Keller Jordan, https://kellerjordan.github.io/posts/muon/) needs far fewer questions than
AdamW alone to learn sums and reversals, at a few percent more time per step.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

_MATRIX_RATE = 0.02
_VECTOR_RATE = 0.0015


class MuonWithAdamW(torch.optim.Optimizer):
    """Shares its groups with the two optimizers, so that schedulers reach both."""

    def __init__(self, model: nn.Module) -> None:
        named = dict(model.named_parameters())
        matrices = [p for name, p in named.items() if p.ndim == 2 and "embed" not in name]
        others = [p for name, p in named.items() if p.ndim != 2 or "embed" in name]
        self._parts: list[torch.optim.Optimizer] = [
            torch.optim.Muon(matrices, lr=_MATRIX_RATE, weight_decay=0.01),
            torch.optim.AdamW(
                others, lr=_VECTOR_RATE, betas=(0.9, 0.98), weight_decay=0.01, fused=True
            ),
        ]
        super().__init__([*matrices, *others], {"lr": _MATRIX_RATE})
        self.param_groups = [group for part in self._parts for group in part.param_groups]

    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        if closure is not None:
            raise ValueError("MuonWithAdamW takes no closure")
        for part in self._parts:
            part.step()

    def state_dict(self) -> dict[str, Any]:
        return {"parts": [part.state_dict() for part in self._parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for part, state in zip(self._parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        self.param_groups = [group for part in self._parts for group in part.param_groups]
