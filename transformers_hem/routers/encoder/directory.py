"""A model's directory as both backends need it, checked before anything heavy is loaded."""

import json
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from predictors.engines.checkpoint import check, resolve
from predictors.errors import ConfigurationError

Backend = Literal["onnxruntime", "torch"]
BackendChoice = Literal["auto", "onnxruntime", "torch"]

ONNX_FILE = "model.onnx"
TOKENIZER_FILE = "tokenizer.json"
DEFAULT_TOKENS = 512
# Their positions start behind the padding token's, so that many of them can't be used.
_OFFSET_POSITIONS = ("roberta", "xlm-roberta", "camembert", "xlm-roberta-xl", "mpnet")


@dataclass(frozen=True, slots=True)
class EncoderDirectory:
    """`labels`: names of the outputs, by index; empty for a model without a head."""

    path: Path
    labels: tuple[str, ...]
    pad_id: int
    max_tokens: int

    @classmethod
    def open(cls, model: str, max_tokens: int | None = None) -> "EncoderDirectory":
        """`model`: a directory or a hub id. Queries are cut to `max_tokens`, by default as many
        as the model has positions for, at most 512. Raises ConfigurationError."""
        path = resolve(model, None)
        config = _read(path / "config.json")
        return cls(path, _labels(path, config), _pad_id(config), _limit(path, config, max_tokens))

    def backend(self, choice: BackendChoice) -> Backend:
        """`auto` takes onnxruntime where model.onnx and the library are there.

        Raises ConfigurationError where the backend's files or libraries are missing.
        """
        has_onnx = (self.path / ONNX_FILE).is_file()
        if choice == "auto":
            choice = "onnxruntime" if has_onnx and find_spec("onnxruntime") else "torch"
        needed = ("onnxruntime", "tokenizers") if choice == "onnxruntime" else ("transformers",)
        missing = [name for name in needed if find_spec(name) is None]
        if missing:
            extra = "onnx" if choice == "onnxruntime" else "huggingface"
            raise ConfigurationError(
                f"model {self.path} needs {' and '.join(missing)} for backend {choice}: install "
                f"kserve-hem[{extra}]"
            )
        if choice == "torch":
            check(self.path)
        elif not has_onnx:
            raise ConfigurationError(f"model {self.path}: no {ONNX_FILE}, which onnxruntime runs")
        elif not (self.path / TOKENIZER_FILE).is_file():
            raise ConfigurationError(f"model {self.path}: no {TOKENIZER_FILE} beside {ONNX_FILE}")
        return choice


def _read(path: Path) -> dict[str, Any]:
    try:
        config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(config, dict):
            raise ValueError("it must be an object")
    except OSError as error:
        raise ConfigurationError(
            f"model {path.parent}: {path.name}: {error.strerror}; a directory in Hugging Face "
            "format has it"
        ) from error
    except ValueError as error:
        raise ConfigurationError(f"{path} is not JSON of a model: {error}") from error
    return config


def _labels(path: Path, config: dict[str, Any]) -> tuple[str, ...]:
    named = config.get("id2label") or _unnamed(config)
    try:
        return tuple(str(named[str(i)]) for i in range(len(named)))
    except (KeyError, TypeError) as error:
        raise ConfigurationError(f"{path}: config.json's id2label must name 0, 1, ...") from error


def _unnamed(config: dict[str, Any]) -> dict[str, str]:
    """transformers writes no names where there are two without any."""
    architectures = config.get("architectures") or [""]
    classifies = str(architectures[0]).endswith("ForSequenceClassification")
    count = config.get("num_labels", 2) if classifies else 0
    return {str(index): f"LABEL_{index}" for index in range(count)}


def _pad_id(config: dict[str, Any]) -> int:
    """A causal model without one is padded with its end token, as transformers advises."""
    for name in ("pad_token_id", "eos_token_id"):
        value = config.get(name)
        first = value[0] if isinstance(value, list) and value else value
        if isinstance(first, int) and first >= 0:
            return first
    return 0


def _limit(path: Path, config: dict[str, Any], asked: int | None) -> int:
    positions = config.get("max_position_embeddings")
    if not isinstance(positions, int) or positions < 1:
        return asked or DEFAULT_TOKENS
    if config.get("model_type") in _OFFSET_POSITIONS:
        positions -= _pad_id(config) + 1
    if asked is not None and asked > positions:
        raise ConfigurationError(
            f"max_tokens is {asked}, but model {path} has {positions} positions only"
        )
    return asked or min(positions, DEFAULT_TOKENS)
