"""What runs a model: padded token rows in, one output out."""

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from transformers_hem.routers.encoder.directory import BackendChoice, EncoderDirectory
from transformers_hem.routers.encoder.tokens import Padded

Output = NDArray[np.float32]
# Logits [N, C] of a model with a head; last hidden states [N, T, D] of one without; or what its
# layers say of the whole text [N, F], see `layers.LayerFeatures`.
OutputKind = Literal["logits", "states", "layers"]


class Network(ABC):
    """Safe to call from one thread at a time."""

    # Rows are put together up to this many tokens, padding included; 0 runs each row alone.
    batch_tokens: ClassVar[int]

    @abstractmethod
    def run(self, padded: Padded) -> Output:
        """The output of the kind that the network was opened for."""


def open_network(
    directory: EncoderDirectory, backend: BackendChoice, *, output: OutputKind, threads: int
) -> Network:
    """Loads the model's weights. `threads` 0 leaves their number to the library.

    Raises ConfigurationError where the directory or the backend is unusable.
    """
    if directory.backend(backend) == "onnxruntime":
        from transformers_hem.routers.encoder.onnx_network import OnnxNetwork

        return OnnxNetwork(directory, threads)
    from transformers_hem.routers.encoder.torch_network import TorchNetwork

    return TorchNetwork(directory, output, threads)
