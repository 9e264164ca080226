import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        return [self._answer(request) for request in requests]

    def _answer(self, request):
        outputs = []
        for tensor in request.inputs():
            values = tensor.as_numpy()
            if values.dtype == np.bool_:
                values = ~values
            elif values.dtype == np.object_:
                flat = [item.upper() for item in values.ravel()]
                values = np.array(flat, dtype=np.object_).reshape(values.shape)
            else:
                values = values + values.dtype.type(1)
            outputs.append(pb_utils.Tensor(f"{tensor.name()}_OUT", values))
        return pb_utils.InferenceResponse(outputs)
