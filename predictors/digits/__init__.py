"""The pair of digit classifiers that ships with the project: `digits:edge` and `digits:cloud`.

edge/, triton/   the models, as ONNX files; the cloud's is in a model repository for Triton
README.md        the card: data, accuracy, threshold, how to make them again
workshop/        what made them; not installed
"""

from pathlib import Path
from typing import Final

from predictors.errors import ConfigurationError, known

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
        hint = known(name, (PREFIX + each for each in FILES))
        raise ConfigurationError(f"unknown digits model {name!r}; {hint}")
    return FILES[model]
