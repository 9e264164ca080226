"""Images as V2 tensors -> what a directory's image processor makes of them."""

from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from transformers import AutoImageProcessor

from predictors.engines.classifier.pretrained import part
from predictors.engines.classifier.source import Port
from predictors.errors import InvalidRequest

IMAGE: Final = "image"
PORT: Final = Port(IMAGE, ("UINT8", "FP32"), (-1, -1, -1, -1))  # [N, H, W, C]
RGB: Final = 3


class Pictures:
    """UINT8 in 0..255, or FP32 in [0, 1], which is then not scaled again."""

    def __init__(self, path: Path, channels: int) -> None:
        self._channels = channels
        self.processor = part(AutoImageProcessor, path, "image processor")

    def __call__(self, images: NDArray[Any]) -> Any:
        """The model's features. Raises InvalidRequest for other channels, or floats above 1."""
        found = images.shape[3]
        if found not in {1, self._channels} or 0 in images.shape:
            raise InvalidRequest(
                f"{IMAGE!r} is {list(images.shape)}; this model takes [N, H, W, {self._channels}]"
                ", or 1 channel of grey"
            )
        if images.dtype == np.float32 and not ((images >= 0) & (images <= 1)).all():
            raise InvalidRequest(f"{IMAGE!r} as FP32 lies in [0, 1]; send 0 to 255 as UINT8")
        rows = np.repeat(images, self._channels, axis=3) if found < self._channels else images
        scaled = {"do_rescale": False} if images.dtype == np.float32 else {}
        return self.processor(
            images=list(rows), return_tensors="pt", input_data_format="channels_last", **scaled
        )
