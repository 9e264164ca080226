"""Finds a model and says which kind it is, before any heavy library is imported."""

import zipfile
from pathlib import Path
from typing import Final

from predictors.digits import PREFIX as DIGITS, model_file
from predictors.engines.checkpoint import read_json, resolve
from predictors.engines.classifier.source import Source
from predictors.errors import ConfigurationError
from predictors.registry import Registry

# The end of an architecture's name in config.json -> kind.
TASKS: Final = {
    "ForImageClassification": "image-classification",
    "ForSequenceClassification": "text-classification",
    "ForObjectDetection": "object-detection",
}
SOURCES: Final[Registry[Source]] = Registry(
    "model format",
    {
        "onnx": "predictors.engines.classifier.onnx:OnnxSource",
        "torchscript": "predictors.engines.classifier.torch_files:TorchScriptSource",
        "torch.export": "predictors.engines.classifier.torch_files:ExportedSource",
        "image-classification": "predictors.engines.classifier.pretrained:ImageSource",
        "text-classification": "predictors.engines.classifier.pretrained:TextSource",
        "object-detection": "predictors.engines.classifier.pretrained:DetectionSource",
    },
    extras=dict.fromkeys(("torchscript", "torch.export", *TASKS.values()), "huggingface"),
)
FILES: Final = (".onnx", ".pt2", ".pt", ".pth", ".ts")
WEIGHTS: Final = ("*.safetensors", "pytorch_model*.bin")
EXPECTED: Final = (
    "the classifier engine takes a Hugging Face directory for "
    f"{', '.join(sorted(TASKS.values()))}, or an .onnx, TorchScript or torch.export file"
)


def find(model: str, revision: str | None) -> tuple[str, Path]:
    """The kind of model, a name of SOURCES, and its directory or file.

    Raises ConfigurationError that names what is there instead of a model of ours.
    """
    if model.startswith(DIGITS):
        return "onnx", model_file(model)
    path = Path(model).expanduser()
    return (_file_kind(path), path) if path.is_file() else _directory(resolve(model, revision))


def _directory(path: Path) -> tuple[str, Path]:
    if (path / "config.json").exists() and any(any(path.glob(name)) for name in WEIGHTS):
        return _task(path), path
    files = sorted(file for file in path.iterdir() if file.suffix in FILES)
    if len(files) == 1:
        return _file_kind(files[0]), files[0]
    if files:
        names = ", ".join(file.name for file in files)
        raise ConfigurationError(f"model_dir {path}: which of {names}? give the file's own path")
    there = ", ".join(sorted(file.name for file in path.iterdir())[:5]) or "nothing"
    raise ConfigurationError(f"model_dir {path} has {there}; {EXPECTED}")


def _task(path: Path) -> str:
    config = read_json(path, "config.json")
    architecture = str((config.get("architectures") or [""])[0])
    for ending, task in TASKS.items():
        if architecture.endswith(ending):
            return task
    what = architecture or "config.json names no architecture"
    hint = "; --engine huggingface serves it" if architecture.endswith("ForCausalLM") else ""
    raise ConfigurationError(f"model_dir {path}: found {what}{hint}; {EXPECTED}")


def _file_kind(path: Path) -> str:
    """Of torch, both kinds are zip files, as is what torch.save writes: a pickle, which could run
    code."""
    if path.suffix == ".onnx":
        return "onnx"
    names = zipfile.ZipFile(path).namelist() if zipfile.is_zipfile(path) else []
    inside = {name.partition("/")[2] for name in names}
    if "archive_format" in inside or "serialized_exported_program.json" in names:
        return "torch.export"
    if any(name.startswith("code/") for name in inside):
        return "torchscript"
    what = "a pickle of torch.save" if "data.pkl" in inside else "an unknown kind of file"
    raise ConfigurationError(f"model_dir {path}: found {what}; {EXPECTED}")
