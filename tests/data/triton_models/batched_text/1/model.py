import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    """Answers each row with its text and the options that came with it."""

    def execute(self, requests):
        return [self._answer(request) for request in requests]

    def _answer(self, request):
        columns = {tensor.name(): tensor.as_numpy() for tensor in request.inputs()}
        texts = columns.pop("text_input")
        answers = []
        for row, text in enumerate(texts):
            options = {k: v[row].tolist() for k, v in sorted(columns.items())}
            answers.append([f"{text[0].decode()} {options}".encode()])
        output = pb_utils.Tensor("text_output", np.array(answers, dtype=np.object_))
        return pb_utils.InferenceResponse([output])
