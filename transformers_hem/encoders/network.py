"""What runs a model: padded token rows in, its first output out."""

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from transformers_hem.encoders.directory import BackendChoice, EncoderDirectory
from transformers_hem.encoders.tokens import Padded

Output = NDArray[np.float32]


class Network(ABC):
    """Safe to call from one thread at a time."""

    # Rows are put together up to this many tokens, padding included; 0 runs each row alone.
    batch_tokens: ClassVar[int]

    @abstractmethod
    def run(self, padded: Padded) -> Output:
        """Logits [N, C] of a model with a head, or last hidden states [N, T, D] of one without."""


def open_network(
    directory: EncoderDirectory, backend: BackendChoice, *, head: bool, threads: int
) -> Network:
    """Loads the model's weights. `threads` 0 leaves their number to the library.

    Raises ConfigurationError where the directory or the backend is unusable.
    """
    if directory.backend(backend) == "onnxruntime":
        from transformers_hem.encoders.onnx_network import OnnxNetwork

        return OnnxNetwork(directory, threads)
    from transformers_hem.encoders.torch_network import TorchNetwork

    return TorchNetwork(directory, head, threads)
