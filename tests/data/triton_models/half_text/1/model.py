import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        output = pb_utils.Tensor("embedding", np.zeros(2, np.float32))
        return [pb_utils.InferenceResponse([output]) for _ in requests]
