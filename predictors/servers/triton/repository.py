"""Writes model repositories: one copy of `causal_lm` per Hugging Face directory."""

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from predictors import embedded
from predictors.errors import ConfigurationError

CAUSAL_LM = Path(__file__).parent / "causal_lm"
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_NAME = re.compile(r"[A-Za-z0-9][-.\w]*")


def write_repository(directory: Path, models: Mapping[str, str]) -> None:
    """`models`: Triton's name -> Hugging Face directory, `embedded:edge` and the like, or the
    ORG/NAME of a hub, which Triton fetches when it loads the model.

    Raises ConfigurationError for a directory without a model, and for a name that is taken.
    """
    for name, model_dir in models.items():
        source = json.dumps(_model_directory(model_dir))
        if not _NAME.fullmatch(name):
            raise ConfigurationError(f"{name!r} can't be a model's name in Triton")
        try:
            shutil.copytree(CAUSAL_LM, directory / name, ignore=shutil.ignore_patterns("__*"))
            with (directory / name / "config.pbtxt").open("a") as config:
                config.write(
                    f'parameters {{ key: "model_dir" value {{ string_value: {source} }} }}\n'
                )
        except OSError as error:
            raise ConfigurationError(
                f"can't write {directory / name}: {error.strerror or error}"
            ) from None


def _model_directory(model_dir: str) -> str:
    if model_dir.startswith(embedded.PREFIX):
        return str(embedded.directory(model_dir).resolve())
    path = Path(model_dir)
    if _HUB_ID.fullmatch(model_dir) and not path.exists():
        return model_dir
    if not (path / "config.json").is_file():
        raise ConfigurationError(f"{model_dir!r} is not a Hugging Face directory: no config.json")
    return str(path.resolve())
