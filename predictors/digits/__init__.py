"""The pair of digit classifiers that ships with the project: digits:edge and digits:cloud."""

from pathlib import Path
from typing import Final

from predictors.errors import ConfigurationError

PREFIX: Final = "digits:"
# A model repository for Triton, with the cloud model in it.
TRITON_REPOSITORY: Final = Path(__file__).parent / "triton"
TRITON_MODEL: Final = "digits-cloud"
FILES: Final = {
    "edge": Path(__file__).parent / "edge/model.onnx",
    "cloud": TRITON_REPOSITORY / TRITON_MODEL / "1/model.onnx",
}


def model_file(name: str) -> Path:
    """The ONNX file of a shipped model; `edge` and `digits:edge` are the same."""
    model = name.removeprefix(PREFIX)
    if model not in FILES:
        known = ", ".join(PREFIX + known for known in FILES)
        raise ConfigurationError(f"unknown digits model {name!r}; known: {known}")
    return FILES[model]
