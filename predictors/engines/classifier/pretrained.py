"""Hugging Face directories that classify images or texts, or detect objects in images."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import (
    AutoImageProcessor,
    AutoModelForImageClassification,
    AutoModelForObjectDetection,
    AutoModelForSequenceClassification,
    AutoTokenizer,
)
from transformers.utils import logging

from predictors.contract import BOX_FIELDS, BOXES, PROBABILITIES, TEXT_INPUT
from predictors.contract.tensors import BYTES, TensorType
from predictors.engines.classifier.head import activate
from predictors.engines.classifier.rows import decoded, filled
from predictors.engines.classifier.settings import ClassifierSettings
from predictors.engines.classifier.source import Arrays, Port, Source
from predictors.engines.classifier.torch_files import prepare_torch
from predictors.errors import ConfigurationError, InvalidRequest, first_line

IMAGE: Final = "image"
RGB: Final = 3
NO_LIMIT: Final = 1 << 31  # tokenizers without a limit have 1e30


class Pretrained(Source):
    """A model of one `auto` class of transformers, on its device, and how its inputs are made.

    Weights are read from safetensors alone, as other formats could run code.
    """

    auto: Any  # AutoModelFor...
    processor_auto: Any
    processor_name: str

    def __init__(self, path: Path, settings: ClassifierSettings) -> None:
        self.path = path
        self.settings = settings
        self.device = prepare_torch(settings)
        logging.disable_progress_bar()
        logging.set_verbosity_error()  # missing weights are an error of ours, below
        try:
            self.processor = self.processor_auto.from_pretrained(path)
        except Exception as error:  # transformers raises whatever a config's class does
            raise ConfigurationError(
                f"model_dir {path}: no {self.processor_name}: {first_line(error)}"
            ) from error
        self.model = self._loaded().to(self.device).eval()

    def _loaded(self) -> Any:
        try:
            model, report = self.auto.from_pretrained(
                self.path,
                dtype="auto" if self.device == "cuda" else torch.float32,
                use_safetensors=True,
                output_loading_info=True,
            )
        except Exception as error:  # transformers raises whatever a config's class does
            raise ConfigurationError(
                f"model_dir {self.path} can't be loaded: {first_line(error)}"
            ) from error
        if missing := sorted(report["missing_keys"]):
            raise ConfigurationError(
                f"model_dir {self.path}: {len(missing)} weights are missing, {missing[0]} the "
                "first: it was not trained for this"
            )
        return model

    def compute(self, features: Any) -> Any:
        """What the model gives for what its processor made."""
        moved = {name: value.to(self.device) for name, value in features.items()}
        if self.model.dtype != torch.float32:
            moved = {
                n: v.to(self.model.dtype) if v.is_floating_point() else v for n, v in moved.items()
            }
        with torch.inference_mode():
            return self.model(**moved)

    def become_classifier(self) -> None:
        """Sets the output and its activation: that of the model's training, unless the settings
        name another. Raises ConfigurationError for a regression."""
        config = self.model.config
        problem = getattr(config, "problem_type", None)
        if problem == "regression" or config.num_labels < 2:
            raise ConfigurationError(
                f"model_dir {self.path}: a regression of {config.num_labels} value(s), no classes"
            )
        self.outputs = [TensorType(PROBABILITIES, "FP32", (-1, int(config.num_labels)))]
        self.activation = self.settings.activation
        if self.activation == "auto":
            many = problem == "multi_label_classification"
            self.activation = "sigmoid" if many else "softmax"

    def probabilities(self, features: Any) -> dict[str, NDArray[Any]]:
        logits = self.compute(features).logits
        return {PROBABILITIES: activate(logits.float().cpu().numpy(), self.activation)}


class OfPictures(Pretrained):
    """Takes images [N, H, W, C]: UINT8 in 0 to 255, or FP32 in [0, 1], which is then not scaled
    again."""

    processor_auto = AutoImageProcessor
    processor_name = "image processor"
    inputs = (Port(IMAGE, ("UINT8", "FP32"), (-1, -1, -1, -1)),)

    def features(self, images: NDArray[Any]) -> Any:
        """Raises InvalidRequest for other channels, or floats outside [0, 1]."""
        wanted, sent = getattr(self.model.config, "num_channels", None) or RGB, images.shape[3]
        if sent not in {1, wanted} or 0 in images.shape:
            raise InvalidRequest(
                f"{IMAGE!r} is {list(images.shape)}; this model takes [N, H, W, {wanted}]"
                ", or 1 channel of grey"
            )
        if images.dtype == np.float32 and not ((images >= 0) & (images <= 1)).all():
            raise InvalidRequest(f"{IMAGE!r} as FP32 lies in [0, 1]; send 0 to 255 as UINT8")
        rows = np.repeat(images, wanted, axis=3) if sent < wanted else images
        scaled = {"do_rescale": False} if images.dtype == np.float32 else {}
        return self.processor(
            images=list(rows), return_tensors="pt", input_data_format="channels_last", **scaled
        )


class ImageSource(OfPictures):
    auto = AutoModelForImageClassification

    def __init__(self, path: Path, settings: ClassifierSettings) -> None:
        super().__init__(path, settings)
        self.become_classifier()

    def run(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        return self.probabilities(self.features(inputs[IMAGE]))


class DetectionSource(OfPictures):
    """Boxes are in pixels of the image that was sent."""

    auto = AutoModelForObjectDetection
    outputs = (TensorType(BOXES, "FP32", (-1, -1, BOX_FIELDS)),)

    def run(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        images = inputs[IMAGE]
        height, width = images.shape[1:3]
        detected = self.processor.post_process_object_detection(
            self.compute(self.features(images)),
            threshold=self.settings.min_box_score,
            target_sizes=[(height, width)] * len(images),
        )
        return {BOXES: filled([_boxes(each) for each in detected])}


class TextSource(Pretrained):
    """A text longer than the model's positions is cut, as it was in training."""

    auto = AutoModelForSequenceClassification
    processor_auto = AutoTokenizer
    processor_name = "tokenizer"
    inputs = (Port(TEXT_INPUT, (BYTES,), (-1,)),)

    def __init__(self, path: Path, settings: ClassifierSettings) -> None:
        super().__init__(path, settings)
        self.become_classifier()
        positions = getattr(self.model.config, "max_position_embeddings", None) or NO_LIMIT
        self.longest = min(self.processor.model_max_length, positions, NO_LIMIT)

    def run(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        texts = decoded(TEXT_INPUT, inputs[TEXT_INPUT]).tolist()
        return self.probabilities(
            self.processor(
                texts, truncation=True, max_length=self.longest, padding=True, return_tensors="pt"
            )
        )


def _boxes(detected: Mapping[str, Any]) -> NDArray[np.float32]:
    """[boxes, 6] of one image, the surest first."""
    columns = [detected["boxes"], detected["scores"][:, None], detected["labels"][:, None]]
    rows = np.concatenate([each.float().cpu().numpy() for each in columns], axis=1)
    return rows[np.argsort(-rows[:, 4], kind="stable")].astype(np.float32)
