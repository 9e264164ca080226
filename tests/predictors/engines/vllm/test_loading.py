"""What keeps vLLM from starting is named in one line."""

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from predictors.embedded import directory
from predictors.engines.vllm.engine import VLLMEngine
from predictors.engines.vllm.settings import VLLMSettings
from predictors.errors import ConfigurationError

pytestmark = [pytest.mark.engines, pytest.mark.timeout(900)]


def start_error(**settings: Any) -> str:
    async def start() -> None:
        engine = VLLMEngine(VLLMSettings(**{"model_dir": "embedded:edge", **settings}))
        try:
            await engine.start()
        finally:
            await engine.close()

    with pytest.raises(ConfigurationError) as caught:
        asyncio.run(start())
    message = str(caught.value)
    assert "\n" not in message and len(message) < 500
    return message


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model_dir": "/no/such/place"}, "/no/such/place does not exist"),
        ({"model_dir": "no-such/model"}, "as a hub id it can't be fetched"),
        ({"dtype": "float99"}, "dtype 'float99'"),
        ({"quantization": "nope"}, "Unknown quantization method: nope"),
        ({"quantization": "awq"}, "Cannot find the config file for awq"),
        ({"max_model_len": 100_000}, "max_model_len (100000) is greater"),
        ({"tensor_parallel_size": 3}, "must be divisible by tensor parallel size (3)"),
        ({"speculative_config": {"method": "nope", "num_speculative_tokens": 1}}, "'nope'"),
        (
            {"engine_args": {"blok_size": 1}},
            "'blok_size' is not a field of AsyncEngineArgs; did you",
        ),
        ({"engine_args": {"dtype": "half"}}, "'dtype' has an option of its own: --dtype"),
        ({"engine_args": {"block_size": "x"}}, "block_size 'x'"),
    ],
)
def test_a_wrong_setting_is_named(settings: dict[str, Any], message: str) -> None:
    assert message in start_error(**settings)


def changed(into: Path, **config: Any) -> str:
    """A copy of a shipped model whose config.json says something else."""
    shutil.copytree(directory("embedded:edge"), into)
    known = json.loads((into / "config.json").read_text())
    (into / "config.json").write_text(json.dumps({**known, **config}))
    return str(into)


def test_an_architecture_that_vllm_does_not_know_is_named(tmp_path: Path) -> None:
    message = start_error(model_dir=changed(tmp_path / "m", architectures=["NoSuchForCausalLM"]))
    assert "NoSuchForCausalLM" in message and "not supported" in message


def test_a_model_that_does_not_generate_is_refused(tmp_path: Path) -> None:
    bert = {"architectures": ["BertForSequenceClassification"], "model_type": "bert"}
    assert "do not support" in start_error(model_dir=changed(tmp_path / "m", **bert))


def test_no_memory_for_the_cache_is_told_by_the_process_that_found_it() -> None:
    message = start_error(kv_cache_gib=50_000, enforce_eager=True)
    assert "less than requested memory for kv (50000.0 GiB)" in message


def test_weights_that_do_not_fit_the_configuration_are_told(tmp_path: Path) -> None:
    message = start_error(model_dir=changed(tmp_path / "m", hidden_size=64), enforce_eager=True)
    assert "The size of tensor a (64) must match" in message
