"""Weights of 8 or 4 bits: bitsandbytes on a GPU, torchao on the CPU.

8 bits: LLM.int8() (arXiv 2208.07339) on a GPU; on the CPU int8 weights with a scale per row.
4 bits: NF4 (QLoRA, arXiv 2305.14314, section 3) on a GPU; on the CPU int4 weights with a scale and
a zero per 32 of them, and 8 bits for a layer whose width 32 doesn't divide.
"""

import importlib.util
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeAlias

import torch

from predictors.errors import ConfigurationError

Bits: TypeAlias = Literal["none", "8bit", "4bit"]

EXTRA = "quantization"
# The smallest group that torchao's int4 kernel of the CPU has: the nearest to the full weights.
GROUP = 32


class Quantization:
    """How weights are loaded and kept on one kind of device; this class leaves them as they are.

    `dtype` is of what is not quantised, and of the computation.
    """

    package: ClassVar[str] = ""

    def __init__(self, bits: Bits, device: str) -> None:
        self.bits = bits
        self.device = device
        self.dtype = "float32" if device == "cpu" else "auto"

    def check(self, path: Path, config: Any) -> None:
        """Raises ConfigurationError where this checkpoint can't be quantised, or not here."""
        if self.bits == "none":
            return
        if importlib.util.find_spec(self.package) is None:
            raise ConfigurationError(
                f"quantization {self.bits} on {self.device} needs the package {self.package!r}, "
                f"which is not installed; try: pip install 'kserve-hem[{EXTRA}]'"
            )
        if own := getattr(config, "quantization_config", None):
            name = own.get("quant_method") if isinstance(own, dict) else own.quant_method
            raise ConfigurationError(
                f"model_dir {path}: the checkpoint is quantised already ({name}); "
                "set quantization to none"
            )

    def loading(self) -> dict[str, Any]:
        """Arguments of `from_pretrained`."""
        return {}

    def apply(self, model: Any) -> Any:
        """The loaded model, quantised and on its device."""
        return model.to(self.device)


class BitsAndBytes(Quantization):
    """Quantises while it loads: the full weights are never all in the device's memory."""

    package = "bitsandbytes"

    def __init__(self, bits: Bits, device: str) -> None:
        super().__init__(bits, device)
        # LLM.int8() computes in float16 whatever the model has.
        self.dtype = "float16" if bits == "8bit" else "bfloat16"

    def loading(self) -> dict[str, Any]:
        from transformers import BitsAndBytesConfig

        if self.bits == "8bit":
            config = BitsAndBytesConfig(load_in_8bit=True)
        else:
            config = BitsAndBytesConfig(
                load_in_4bit=True,
                bnb_4bit_quant_type="nf4",
                bnb_4bit_use_double_quant=True,
                bnb_4bit_compute_dtype=torch.bfloat16,
            )
        return {"quantization_config": config, "device_map": {"": self.device}}

    def apply(self, model: Any) -> Any:
        return model  # where it is already, and can't be moved


class TorchAO(Quantization):
    package = "torchao"

    def __init__(self, bits: Bits, device: str) -> None:
        super().__init__(bits, device)
        # The int4 kernel of the CPU is ten times as slow on float32.
        self.dtype = "float32" if bits == "8bit" else "bfloat16"

    def apply(self, model: Any) -> Any:
        from torchao.quantization import Int8WeightOnlyConfig, quantize_

        head = model.get_output_embeddings()  # gives the logits, and keeps its full weights

        def is_full(module: Any, name: str) -> bool:
            linear = isinstance(module, torch.nn.Linear) and module is not head
            return linear and type(module.weight.data) is torch.Tensor

        def in_groups(module: Any, name: str) -> bool:
            return is_full(module, name) and module.in_features % GROUP == 0

        if self.bits == "4bit":
            # torchao 0.18 has its packed int4 of the CPU here; hence the extra's upper bound.
            from torchao.prototype.quantization.int4 import PrototypeInt4WeightOnlyConfig

            quantize_(model, PrototypeInt4WeightOnlyConfig(group_size=GROUP), in_groups)
        quantize_(model, Int8WeightOnlyConfig(), is_full)
        return model


def method(bits: Bits, device: str) -> Quantization:
    if bits == "none":
        return Quantization(bits, device)
    return (TorchAO if device == "cpu" else BitsAndBytes)(bits, device)
