"""The configuration blocks say what the engines' own settings say: names, types and bounds."""

from importlib import import_module
from typing import Any

import pytest
from pydantic import BaseModel

from inferencegraph.spec.engines import BLOCKS, InferenceConfig
from predictors.engines import ENGINES

# vLLM's engine imports vLLM, its settings don't.
VLLM = import_module("predictors.engines.vllm.settings").VLLMSettings
ENGINES_WITH_BLOCKS = [name for name, block in BLOCKS.items() if block and name in ENGINES.names()]
# Settings that belong elsewhere, and where.
ELSEWHERE = {
    "model_dir": "model: hub, file, storageUri or image",
    "url": "model.url",
    "verifier": "the cloudWorker's model: a vLLM server, or none",
    "upstream_model": "model.name",
    "connect_timeout": "timeouts.cloudConnect",
    "timeout": "timeouts.cloud",
    "api_key": "model.secret",
    "api_key_file": "model.secret",
    "proxy": "it may hold a password: template's env, from a Secret",
    "extra_headers": "they may hold a key: template's env, from a Secret",
    "extra_body": "it may hold a key: template's env, from a Secret",
    "estimator_parameters": "they may hold a key: template's env, from a Secret",
    "ledger": "a file on a volume: template's env and volumes",
    "ledger_segment_bytes": "with ledger",
    "ledger_fsync_seconds": "with ledger",
    "ledger_key": "with ledger",
}


def settings_of(engine: str) -> type[BaseModel]:
    return VLLM if engine == "vllm" else ENGINES.load(engine).Settings


def block_of(engine: str) -> type[BaseModel]:
    field = BLOCKS[engine]
    assert field
    (kind, _) = InferenceConfig.model_fields[field].annotation.__args__  # type: ignore[union-attr]
    return kind  # type: ignore[no-any-return]


def fields_of(model: type[BaseModel]) -> dict[str, Any]:
    """Name -> type and bounds, whether or not it may be absent."""
    properties = model.model_json_schema(by_alias=False)["properties"]
    return {name: _plain(schema) for name, schema in properties.items()}


def _plain(schema: dict[str, Any]) -> dict[str, Any]:
    options = [each for each in schema.get("anyOf", []) if each != {"type": "null"}]
    if len(options) == 1:
        schema = {**schema, **options[0]}
    return {
        key: value
        for key, value in schema.items()
        if key not in ("anyOf", "title", "default", "description")
    }


@pytest.mark.parametrize("engine", ENGINES_WITH_BLOCKS)
def test_a_block_has_the_engines_own_settings(engine: str) -> None:
    ours, engines = fields_of(block_of(engine)), fields_of(settings_of(engine))
    ours.pop("extra_args")

    assert {name: ours[name] for name in ours} == {name: engines.get(name) for name in ours}


@pytest.mark.parametrize("engine", ENGINES_WITH_BLOCKS)
def test_every_setting_is_in_the_block_or_somewhere_else(engine: str) -> None:
    missing = set(settings_of(engine).model_fields) - set(block_of(engine).model_fields)

    assert missing <= ELSEWHERE.keys()


def test_all_engines_with_blocks_are_looked_at() -> None:
    assert ENGINES_WITH_BLOCKS == [
        "classifier",
        "huggingface",
        "openai_api",
        "sedna",
        "sedna_worker",
        "speculative",
        "triton",
        "vllm",
    ]


def test_nothing_is_said_to_be_elsewhere_that_no_engine_has() -> None:
    named = {name for engine in ENGINES_WITH_BLOCKS for name in settings_of(engine).model_fields}

    assert ELSEWHERE.keys() <= named
