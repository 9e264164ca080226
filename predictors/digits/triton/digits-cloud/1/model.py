"""Runs model.onnx, all requests that wait as one batch.

Runs inside Triton's Python backend, with nothing but its environment's numpy and onnxruntime.
"""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args: dict[str, str]) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # so small a model waits for its threads longer
        self.session = onnxruntime.InferenceSession(
            Path(__file__).with_name("model.onnx").read_bytes(),
            options,
            providers=["CPUExecutionProvider"],
        )

    def execute(self, requests: list[Any]) -> list[Any]:
        images = [pb_utils.get_input_tensor_by_name(each, "image").as_numpy() for each in requests]
        (probabilities,) = self.session.run(["probabilities"], {"image": np.concatenate(images)})
        ends = np.cumsum([len(each) for each in images])[:-1]
        return [
            pb_utils.InferenceResponse([pb_utils.Tensor("probabilities", rows)])
            for rows in np.split(probabilities, ends)
        ]
