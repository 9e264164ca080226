"""Finds a model's directory and checks that it is whole, before anything heavy is loaded.

The errors of transformers about a broken directory are many lines long, or come late, or (a weight
that is missing) are only warnings; these checks take milliseconds.
"""

import json
import re
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from predictors.embedded import PREFIX as EMBEDDED, directory as embedded_directory
from predictors.errors import ConfigurationError, first_line

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
HUB_FILES = [
    "*.json",
    "*.safetensors",
    "*.model",
    "*.txt",
    "*.jinja",
    "*.py",
    "*.tiktoken",
    "*.spm",
]
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer.model",
    "vocab.json",
    "vocab.txt",
    "tekken.json",
    "spiece.model",
    "sentencepiece.bpe.model",
    "source.spm",
)


def is_local(model: str) -> bool:
    """Whether the model can be checked without a network."""
    return (
        model.startswith(EMBEDDED)
        or Path(model).expanduser().exists()
        or not HUB_ID.fullmatch(model)
    )


def resolve(model: str, revision: str | None) -> Path:
    """The directory of `embedded:NAME`, of a path, or of a hub id (fetched where not yet here).

    Raises ConfigurationError where there is no such directory.
    """
    if model.startswith(EMBEDDED):
        return embedded_directory(model)
    path = Path(model).expanduser()
    if path.is_dir():
        return path
    if path.exists():
        raise ConfigurationError(f"model_dir {model} is a file; give the directory it is in")
    if not HUB_ID.fullmatch(model):
        raise ConfigurationError(f"model_dir {model} does not exist")
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(model, revision=revision, allow_patterns=HUB_FILES))
    except Exception as error:  # the hub client raises errors of several libraries
        raise ConfigurationError(
            f"model_dir {model} is not a directory, and as a hub id it can't be fetched: "
            f"{first_line(error)}"
        ) from error


def check(path: Path) -> None:
    """Raises ConfigurationError that names the file if a checkpoint is not whole."""
    config = read_json(
        path, "config.json", "; this is not a model directory in Hugging Face format"
    )
    if not isinstance(config.get("model_type"), str) and "auto_map" not in config:
        raise ConfigurationError(f"model_dir {path}: config.json names no model_type")
    _check_weights(path)
    if not any((path / name).exists() for name in TOKENIZER_FILES):
        raise ConfigurationError(
            f"model_dir {path}: no tokenizer; expected one of {', '.join(TOKENIZER_FILES)}"
        )
    for name in ("tokenizer.json", "tokenizer_config.json", "generation_config.json"):
        if (path / name).exists():
            read_json(path, name)


def _check_weights(path: Path) -> None:
    shards = sorted(path.glob("*.safetensors"))
    if (path / "model.safetensors.index.json").exists():
        index = read_json(path, "model.safetensors.index.json")
        shards = [path / name for name in sorted(set(index.get("weight_map", {}).values()))]
    elif not shards and not any(path.glob("pytorch_model*.bin")):
        raise ConfigurationError(f"model_dir {path}: no weights; expected model.safetensors")
    for shard in shards:
        _check_safetensors(path, shard)


def _check_safetensors(path: Path, shard: Path) -> None:
    """Opening a file reads its header only, and compares it with the file's length."""
    if not shard.exists():
        raise ConfigurationError(f"model_dir {path}: {shard.name} is missing (the index names it)")
    try:
        with safe_open(shard, framework="numpy"):
            pass
    except (SafetensorError, OSError) as error:
        raise ConfigurationError(
            f"model_dir {path}: {shard.name} is truncated or corrupt: {first_line(error)}"
        ) from error


def read_json(path: Path, name: str, why: str = "") -> dict[str, Any]:
    """The object in a file of a model's directory. Raises ConfigurationError; `why` says what the
    file's absence means."""
    try:
        content = json.loads((path / name).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigurationError(f"model_dir {path}: no {name}{why}") from None
    except (ValueError, OSError) as error:
        raise ConfigurationError(
            f"model_dir {path}: {name} can't be read: {first_line(error)}"
        ) from error
    if not isinstance(content, dict):
        raise ConfigurationError(f"model_dir {path}: {name} is not a JSON object")
    return content
