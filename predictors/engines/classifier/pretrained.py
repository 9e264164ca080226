"""What the Hugging Face sources share: loading a whole model, and running it."""

from pathlib import Path
from typing import Any

import torch
from transformers.utils import logging

from predictors.engines.classifier.settings import Activation, ClassifierSettings
from predictors.engines.classifier.torch_runtime import prepare
from predictors.errors import ConfigurationError, first_line


class Pretrained:
    """A model of one `auto` class of transformers, on its device.

    Only from safetensors, as other weights could run code. Raises ConfigurationError.
    """

    def __init__(self, auto: Any, path: Path, settings: ClassifierSettings) -> None:
        self.device = prepare(settings)
        logging.disable_progress_bar()
        logging.set_verbosity_error()  # what it would tell of missing weights is told below
        try:
            model, told = auto.from_pretrained(
                path,
                dtype="auto" if self.device == "cuda" else torch.float32,
                use_safetensors=True,
                output_loading_info=True,
            )
        except Exception as error:  # transformers raises whatever a config's class does
            raise _unloadable(path, error) from error
        if missing := sorted(told["missing_keys"]):
            raise ConfigurationError(
                f"model_dir {path}: {len(missing)} weights are missing, {missing[0]} the first: "
                "it was not trained for this"
            )
        self.model = model.to(self.device).eval()

    def __call__(self, features: Any) -> Any:
        moved = {name: value.to(self.device) for name, value in features.items()}
        if self.model.dtype != torch.float32:
            moved = {
                n: v.to(self.model.dtype) if v.is_floating_point() else v for n, v in moved.items()
            }
        with torch.inference_mode():
            return self.model(**moved)

    def classes(self) -> int:
        return int(self.model.config.num_labels)

    def activation(self, path: Path, wanted: Activation) -> Activation:
        """The one that the model was trained with, unless the settings say another."""
        problem = getattr(self.model.config, "problem_type", None)
        if problem == "regression" or self.classes() < 2:
            raise ConfigurationError(
                f"model_dir {path}: a regression of {self.classes()} value(s), no classes"
            )
        if wanted != "auto":
            return wanted
        return "sigmoid" if problem == "multi_label_classification" else "softmax"


def part(auto: Any, path: Path, what: str) -> Any:
    """The directory's image processor or tokenizer. Raises ConfigurationError."""
    try:
        return auto.from_pretrained(path)
    except Exception as error:  # transformers raises whatever a config's class does
        raise ConfigurationError(f"model_dir {path}: no {what}: {first_line(error)}") from error


def _unloadable(path: Path, error: Exception) -> ConfigurationError:
    return ConfigurationError(f"model_dir {path} can't be loaded: {first_line(error)}")
