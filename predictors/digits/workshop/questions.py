"""The test images as rows for `hem evaluate`.

python -m predictors.digits.workshop.questions > manifests/digit-recognition/benchmarks/test.jsonl
"""

import json
from collections.abc import Iterator

from predictors.digits.workshop.data import SIDE, split


def rows() -> Iterator[str]:
    """One JSON row {inputs, answer} per test image; pixels are whole numbers from 0 to 16."""
    _, test = split()
    for image, label in zip(test.images, test.labels, strict=True):
        pixels = image.astype(int).ravel().tolist()
        tensor = {"name": "image", "datatype": "FP32", "shape": [1, SIDE, SIDE], "data": pixels}
        yield json.dumps({"inputs": [tensor], "answer": str(label)}, separators=(",", ":"))


if __name__ == "__main__":
    print(*rows(), sep="\n")
