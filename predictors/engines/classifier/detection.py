"""Hugging Face directories that detect objects in images."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from transformers import AutoModelForObjectDetection

from predictors.contract import BOX_FIELDS, BOXES
from predictors.contract.tensors import TensorType
from predictors.engines.classifier.inputs import filled
from predictors.engines.classifier.pictures import IMAGE, PORT, RGB, Pictures
from predictors.engines.classifier.pretrained import Pretrained
from predictors.engines.classifier.settings import ClassifierSettings
from predictors.engines.classifier.source import Arrays, Port, Source


class DetectionSource(Source):
    """Boxes in pixels of the image that was sent."""

    def __init__(self, path: Path, settings: ClassifierSettings) -> None:
        super().__init__(path, settings)
        self._model = Pretrained(AutoModelForObjectDetection, path, settings)
        channels = getattr(self._model.model.config, "num_channels", None) or RGB
        self._pictures = Pictures(path, channels)

    @property
    def inputs(self) -> Sequence[Port]:
        return [PORT]

    @property
    def outputs(self) -> Sequence[TensorType]:
        return [TensorType(BOXES, "FP32", (-1, -1, BOX_FIELDS))]

    def run(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        images = inputs[IMAGE]
        height, width = images.shape[1:3]
        found = self._pictures.processor.post_process_object_detection(
            self._model(self._pictures(images)),
            threshold=self.settings.min_box_score,
            target_sizes=[(height, width)] * len(images),
        )
        return {BOXES: filled([_boxes(each) for each in found])}


def _boxes(found: Mapping[str, Any]) -> NDArray[np.float32]:
    """[boxes, 6], the surest first."""
    columns = [found["boxes"], found["scores"][:, None], found["labels"][:, None]]
    rows = np.concatenate([each.float().cpu().numpy() for each in columns], axis=1)
    return rows[np.argsort(-rows[:, 4], kind="stable")].astype(np.float32)
