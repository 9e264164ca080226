"""Weights of 8 and 4 bits: by torchao as the CPU has it, by bitsandbytes as a GPU would."""

import asyncio
import importlib.util
import json
import shutil
import subprocess
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest
import torch

from predictors.contract import Query, Sampling
from predictors.embedded import directory
from predictors.embedded.workshop.questions import is_right, test_questions
from predictors.engines.huggingface import (
    HuggingFaceEngine,
    HuggingFaceSettings,
    quantization as quantizing,
)
from predictors.engines.huggingface.loading import load
from predictors.engines.huggingface.quantization import BitsAndBytes
from predictors.errors import ConfigurationError

QUESTIONS = test_questions()[:300]
GREEDY = Sampling(max_tokens=64, temperature=0.0, repetition_penalty=1.0)


async def answered(quantization: str) -> tuple[float, torch.nn.Module, str]:
    """Accuracy of the embedded cloud model on the questions, the model, and its batching."""
    settings = HuggingFaceSettings(
        model_dir="embedded:cloud", quantization=quantization, threads=1, max_batch_size=64
    )
    engine = HuggingFaceEngine(settings)
    await engine.start()
    try:
        answers = await engine.generate([Query(q.query, GREEDY) for q in QUESTIONS])
        assert engine.loaded is not None
        right = [is_right(a.text, q) for a, q in zip(answers, QUESTIONS, strict=True)]
        return sum(right) / len(right), engine.loaded.model, type(engine.batches).__name__
    finally:
        await engine.close()


def stored_bytes(model: torch.nn.Module) -> int:
    """Of the linear layers that may be quantised, as they lie in memory."""
    total = 0
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear) and "lm_head" not in name:
            weight = module.weight.data
            parts = getattr(weight, "tensor_data_names", None)
            tensors = [getattr(weight, part) for part in parts] if parts else [weight]
            total += sum(tensor.nbytes for tensor in tensors)
    return total


@pytest.mark.skipif(torch.cuda.is_available(), reason="torchao is what the CPU has")
async def test_eight_bits_are_as_right_as_full_precision_and_four_nearly(capsys) -> None:
    full, model, _ = await answered("none")
    eight, model8, batching8 = await answered("8bit")
    four, model4, _ = await answered("4bit")
    sizes = [stored_bytes(m) / stored_bytes(model) for m in (model8, model4)]
    print(json.dumps({"none": full, "8bit": eight, "4bit": four, "bytes": sizes}))
    assert full > 0.8
    assert eight >= full - 0.02
    assert four >= full - 0.1
    assert sizes[0] < 0.27
    assert sizes[1] < 0.22
    assert batching8 == "ContinuousBatches"


@pytest.mark.parametrize("bits", ["8bit", "4bit"])
def test_a_gpus_way_loads_and_keeps_the_logits(bits: str, tiny_llama: Path, monkeypatch) -> None:
    """bitsandbytes runs on the CPU too, only slowly: the real library, told of no GPU."""
    monkeypatch.setattr(quantizing, "TorchAO", BitsAndBytes)
    full = load(HuggingFaceSettings(model_dir=str(tiny_llama))).model
    loaded = load(HuggingFaceSettings(model_dir=str(tiny_llama), quantization=bits)).model
    assert type(loaded.model.layers[0].mlp.up_proj).__module__.startswith("bitsandbytes")
    tokens = torch.arange(60).reshape(1, -1)
    with torch.no_grad():
        one = full(tokens).logits.float().softmax(-1)
        other = loaded(tokens).logits.float().softmax(-1)
    # Weights as wide apart as these make much of rounding; unrelated answers are at 0.9.
    assert _variation(one, other) < {"8bit": 0.1, "4bit": 0.6}[bits]
    assert _variation(one, other.roll(1, dims=1)) > 0.85


def _variation(one: torch.Tensor, other: torch.Tensor) -> float:
    """Mean total variation of distributions, 0 to 1."""
    return float((one - other).abs().sum(-1).mean() / 2)


def start_error(model_dir: Path | str, **settings: object) -> str:
    with pytest.raises(ConfigurationError) as caught:
        engine = HuggingFaceEngine(HuggingFaceSettings(model_dir=str(model_dir), **settings))
        asyncio.run(engine.start())
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_package_that_is_missing_is_named_with_its_extra(monkeypatch) -> None:
    real = importlib.util.find_spec

    def find_spec(name: str, package: str | None = None) -> ModuleSpec | None:
        return None if name in ("torchao", "bitsandbytes") else real(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", find_spec)
    package, device = ("bitsandbytes", "cuda") if torch.cuda.is_available() else ("torchao", "cpu")
    assert start_error("embedded:edge", quantization="8bit") == (
        f"quantization 8bit on {device} needs the package {package!r}, which is not installed; "
        "try: pip install 'kserve-hem[quantization]'"
    )


def test_a_checkpoint_that_is_quantised_already_is_refused(tmp_path: Path) -> None:
    model_dir = tmp_path / "model"
    shutil.copytree(directory("edge"), model_dir)
    config = json.loads((model_dir / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "gptq", "bits": 4}
    (model_dir / "config.json").write_text(json.dumps(config))
    assert start_error(model_dir, quantization="4bit") == (
        f"model_dir {model_dir}: the checkpoint is quantised already (gptq); "
        "set quantization to none"
    )


def test_an_unknown_number_of_bits_is_refused() -> None:
    with pytest.raises(ValueError, match="'none', '8bit' or '4bit'"):
        HuggingFaceSettings(model_dir="embedded:edge", quantization="3bit")


def test_torchao_does_not_print_which_kernels_it_lacks() -> None:
    """transformers imports it with every model, here for a process that only imports a model."""
    importing = "import predictors, transformers.models.llama.modeling_llama, torchao"
    said = subprocess.run([sys.executable, "-c", importing], capture_output=True, text=True)
    assert (said.returncode, said.stdout + said.stderr) == (0, "")
