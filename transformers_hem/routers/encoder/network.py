"""What runs a model: padded token rows in, one output out. `runner.open_network` opens one."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

from transformers_hem.arrays import Indices, Values

Output = Values
# Logits [N, C] of a model with a head; last hidden states [N, T, D] of one without; or features of
# the whole text from the model's layers [N, F], see `torch_network.layer_features`.
OutputKind = Literal["logits", "states", "layers"]


@dataclass(frozen=True, slots=True)
class Padded:
    """Rows of one length: both int64 [N, T], `mask` 1 on tokens and 0 on padding."""

    ids: Indices
    mask: Indices


class Network(ABC):
    """Safe to call from one thread at a time."""

    # Rows are put together up to this many tokens, padding included; 0 runs each row alone.
    batch_tokens: ClassVar[int]

    @abstractmethod
    def run(self, padded: Padded) -> Output:
        """The output of the kind that the network was opened for."""
