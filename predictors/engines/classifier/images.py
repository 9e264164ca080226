"""Hugging Face directories that classify images."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from transformers import AutoModelForImageClassification

from predictors.contract import PROBABILITIES
from predictors.contract.tensors import TensorType
from predictors.engines.classifier.head import activate
from predictors.engines.classifier.pictures import IMAGE, PORT, RGB, Pictures
from predictors.engines.classifier.pretrained import Pretrained
from predictors.engines.classifier.settings import ClassifierSettings
from predictors.engines.classifier.source import Arrays, Port, Source


class ImageSource(Source):
    def __init__(self, path: Path, settings: ClassifierSettings) -> None:
        super().__init__(path, settings)
        self._model = Pretrained(AutoModelForImageClassification, path, settings)
        self._activation = self._model.activation(path, settings.activation)
        channels = getattr(self._model.model.config, "num_channels", None) or RGB
        self._pictures = Pictures(path, channels)

    @property
    def inputs(self) -> Sequence[Port]:
        return [PORT]

    @property
    def outputs(self) -> Sequence[TensorType]:
        return [TensorType(PROBABILITIES, "FP32", (-1, self._model.classes()))]

    def run(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        logits = self._model(self._pictures(inputs[IMAGE])).logits
        return {PROBABILITIES: activate(logits.float().cpu().numpy(), self._activation)}
