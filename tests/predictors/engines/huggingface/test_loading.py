"""What is wrong with a model directory is named in one line, at start, soon."""

import asyncio
import json
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import BertConfig, BertForSequenceClassification, MambaConfig, MambaForCausalLM

from predictors.contract import Query, Sampling
from predictors.engines.huggingface import HuggingFaceEngine, HuggingFaceSettings
from predictors.errors import ConfigurationError

GREEDY = Sampling(max_tokens=5, temperature=0.0)


def start_error(model_dir: str | Path, **settings: object) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        engine = HuggingFaceEngine(HuggingFaceSettings(model_dir=str(model_dir), **settings))
        asyncio.run(engine.start())
    assert "\n" not in str(caught.value)
    return caught.value


def truncate_weights(path: Path) -> None:
    weights = path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[: weights.stat().st_size // 2])


def drop_a_weight(path: Path) -> None:
    weights = load_file(path / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, path / "model.safetensors", metadata={"format": "pt"})


def name_a_shard_that_is_not_there(path: Path) -> None:
    index = {"weight_map": {"lm_head.weight": "model-00002-of-00002.safetensors"}}
    (path / "model.safetensors.index.json").write_text(json.dumps(index))


def drop_the_tokenizer(path: Path) -> None:
    for file in path.glob("tokenizer*"):
        file.unlink()


def make_it_a_classifier(path: Path) -> None:
    shutil.rmtree(path)
    small = BertConfig(vocab_size=50, hidden_size=8, num_hidden_layers=1, num_attention_heads=1)
    BertForSequenceClassification(small).save_pretrained(path)
    (path / "vocab.txt").write_text("[UNK]\n[PAD]\n")


def shrink_the_embeddings(path: Path) -> None:
    config = json.loads((path / "config.json").read_text())
    weights = load_file(path / "model.safetensors")
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        weights[name] = weights[name][:100].clone()
    config.update(vocab_size=100, eos_token_id=None, pad_token_id=None)
    save_file(weights, path / "model.safetensors", metadata={"format": "pt"})
    (path / "config.json").write_text(json.dumps(config))


FAULTS: list[tuple[Callable[[Path], object], str]] = [
    (lambda path: shutil.rmtree(path), "does not exist"),
    (lambda path: (path / "config.json").unlink(), "no config.json"),
    (lambda path: (path / "config.json").write_text("{"), r"config\.json can't be read: Expecting"),
    (lambda path: (path / "config.json").write_text("[]"), "not a JSON object"),
    (lambda path: (path / "config.json").write_text("{}"), "no model_type"),
    (
        lambda path: (path / "config.json").write_text('{"model_type": "no-such"}'),
        "not a causal language model|does not recognize",
    ),
    (lambda path: (path / "tokenizer.json").write_text("{"), r"tokenizer\.json can't be read"),
    (truncate_weights, r"model\.safetensors is truncated"),
    (lambda path: (path / "model.safetensors").unlink(), "no weights"),
    (name_a_shard_that_is_not_there, "model-00002-of-00002.safetensors is missing"),
    (drop_a_weight, r"1 weights are missing, model\.layers\.1\.mlp\.up_proj\.weight"),
    (drop_the_tokenizer, "no tokenizer"),
    (make_it_a_classifier, "BertForSequenceClassification is not a causal language model"),
    (shrink_the_embeddings, "the tokenizer has 260 tokens, the model embeddings for 100"),
]


@pytest.mark.parametrize(("damage", "message"), FAULTS, ids=[message for _, message in FAULTS])
def test_a_broken_model_directory_is_named_with_its_fault(tiny_llama, tmp_path, damage, message):
    model_dir = tmp_path / "model"
    shutil.copytree(tiny_llama, model_dir)
    damage(model_dir)
    begin = time.process_time()
    error = start_error(model_dir)
    assert str(model_dir) in str(error)
    assert re.search(message, str(error))
    assert time.process_time() - begin < 1


def test_a_hub_id_that_can_not_be_fetched_is_named():
    error = start_error("no-such-owner/no-such-model")
    assert "no-such-owner/no-such-model is not a directory, and as a hub id" in str(error)


def test_a_file_in_place_of_the_directory_is_named(tiny_llama):
    assert "is a file" in str(start_error(tiny_llama / "config.json"))


def test_an_unknown_embedded_model_is_named():
    assert "embedded:fog" in str(start_error("embedded:fog"))


def test_weights_are_float32_on_the_cpu_unless_told_otherwise(tiny_llama):
    async def dtype_of(dtype: str) -> torch.dtype:
        engine = HuggingFaceEngine(HuggingFaceSettings(model_dir=str(tiny_llama), dtype=dtype))
        await engine.start()
        await engine.close()
        return engine.loaded.model.dtype

    if not torch.cuda.is_available():
        assert asyncio.run(dtype_of("auto")) == torch.float32
    assert asyncio.run(dtype_of("bfloat16")) == torch.bfloat16


class TestModelsWithoutPagedAttention:
    @pytest.fixture
    def mamba(self, tiny_llama, tmp_path) -> Path:
        model_dir = tmp_path / "mamba"
        shutil.copytree(tiny_llama, model_dir)
        (model_dir / "model.safetensors").unlink()
        config = MambaConfig(
            vocab_size=260, hidden_size=32, num_hidden_layers=1, eos_token_id=256, pad_token_id=257
        )
        MambaForCausalLM(config).save_pretrained(model_dir)
        return model_dir

    async def test_go_in_groups(self, mamba):
        engine = HuggingFaceEngine(HuggingFaceSettings(model_dir=str(mamba)))
        await engine.start()
        try:
            answers = await engine.generate([Query(text, GREEDY) for text in ("a", "bcd", "a")])
            assert answers[0].text == answers[2].text
        finally:
            await engine.close()

    def test_are_refused_where_continuous_batching_is_demanded(self, mamba):
        error = start_error(mamba, batching="continuous")
        assert "can't be batched continuously" in str(error)
