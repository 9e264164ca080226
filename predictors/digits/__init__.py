"""The pair of digit classifiers that ships with the project: digits:edge and digits:cloud."""

from pathlib import Path
from typing import Final

from predictors.errors import ConfigurationError

PREFIX: Final = "digits:"
MODELS: Final = ("edge", "cloud")


def model_file(name: str) -> Path:
    """The ONNX file of a shipped model; `edge` and `digits:edge` are the same."""
    model = name.removeprefix(PREFIX)
    if model not in MODELS:
        known = ", ".join(PREFIX + known for known in MODELS)
        raise ConfigurationError(f"unknown digits model {name!r}; known: {known}")
    return Path(__file__).parent / model / "model.onnx"
