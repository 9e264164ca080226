"""Finds a model and says which kind it is, before any heavy library is imported."""

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from predictors.digits import PREFIX as DIGITS
from predictors.digits import model_file
from predictors.engines.checkpoint import resolve
from predictors.engines.classifier.source import Source
from predictors.errors import ConfigurationError, first_line
from predictors.registry import Registry

SOURCES: Final[Registry[Source]] = Registry(
    "model format",
    {
        "onnx": "predictors.engines.classifier.onnx:OnnxSource",
        "torchscript": "predictors.engines.classifier.torchscript:TorchScriptSource",
        "torch.export": "predictors.engines.classifier.exported:ExportedSource",
        "image-classification": "predictors.engines.classifier.images:ImageSource",
        "text-classification": "predictors.engines.classifier.texts:TextSource",
        "object-detection": "predictors.engines.classifier.detection:DetectionSource",
    },
    extras={
        "torchscript": "huggingface",
        "torch.export": "huggingface",
        "image-classification": "huggingface",
        "text-classification": "huggingface",
        "object-detection": "huggingface",
    },
)
# The end of an architecture's name in config.json -> kind.
TASKS: Final = {
    "ForImageClassification": "image-classification",
    "ForSequenceClassification": "text-classification",
    "ForObjectDetection": "object-detection",
}
FILES: Final = (".onnx", ".pt2", ".pt", ".pth", ".ts")
WEIGHTS: Final = ("*.safetensors", "pytorch_model*.bin")
EXPECTED: Final = (
    "the classifier engine takes a Hugging Face directory for "
    f"{', '.join(sorted(TASKS.values()))}, or an .onnx, TorchScript or torch.export file"
)


@dataclass(frozen=True, slots=True)
class Found:
    """`kind` is a name of SOURCES; `path` the directory or the file."""

    kind: str
    path: Path


def find(model: str, revision: str | None) -> Found:
    """Raises ConfigurationError that says what was found instead of a model of ours."""
    if model.startswith(DIGITS):
        return Found("onnx", model_file(model))
    path = Path(model).expanduser()
    return _file(path) if path.is_file() else _directory(resolve(model, revision))


def _directory(path: Path) -> Found:
    if (path / "config.json").exists() and any(any(path.glob(name)) for name in WEIGHTS):
        return Found(_task(path), path)
    files = sorted(file for file in path.iterdir() if file.suffix in FILES)
    if len(files) == 1:
        return _file(files[0])
    if files:
        names = ", ".join(file.name for file in files)
        raise ConfigurationError(f"model_dir {path}: which of {names}? give the file's own path")
    there = ", ".join(sorted(file.name for file in path.iterdir())[:5]) or "nothing"
    raise ConfigurationError(f"model_dir {path} has {there}; {EXPECTED}")


def _task(path: Path) -> str:
    try:
        config = json.loads((path / "config.json").read_text(encoding="utf-8"))
        architecture = str((config.get("architectures") or [""])[0])
    except (ValueError, OSError, AttributeError) as error:
        raise ConfigurationError(
            f"model_dir {path}: config.json can't be read: {first_line(error)}"
        ) from error
    for ending, task in TASKS.items():
        if architecture.endswith(ending):
            return task
    what = architecture or "config.json names no architecture"
    hint = "; --engine huggingface serves it" if architecture.endswith("ForCausalLM") else ""
    raise ConfigurationError(f"model_dir {path}: found {what}{hint}; {EXPECTED}")


def _file(path: Path) -> Found:
    if path.suffix == ".onnx":
        return Found("onnx", path)
    return Found(_torch_kind(path), path)


def _torch_kind(path: Path) -> str:
    """Both are zip files, as is what torch.save writes, which is a pickle that could run code."""
    names = zipfile.ZipFile(path).namelist() if zipfile.is_zipfile(path) else []
    inside = {name.partition("/")[2] for name in names}
    if "archive_format" in inside or "serialized_exported_program.json" in names:
        return "torch.export"
    if any(name.startswith("code/") for name in inside):
        return "torchscript"
    what = "a pickle of torch.save" if "data.pkl" in inside else "no model file that we know"
    raise ConfigurationError(f"model_dir {path}: found {what}; {EXPECTED}")
