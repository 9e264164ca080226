import json
import time

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    """The text reversed; `parameters` shows the request's, `fail` fails, `sleep N` takes N s."""

    def execute(self, requests):
        return [self._answer(request) for request in requests]

    def _answer(self, request):
        texts = pb_utils.get_input_tensor_by_name(request, "text_input").as_numpy()
        parameters = json.loads(request.parameters())
        answers = [self._text(text.decode(), parameters) for text in texts]
        outputs = {
            "text_output": np.array([answer.encode() for answer in answers], dtype=np.object_),
            "completion_tokens": np.array([len(answer) for answer in answers], np.uint32),
            "mean_logprob": np.full(len(answers), -0.5, np.float32),
        }
        return pb_utils.InferenceResponse([pb_utils.Tensor(k, v) for k, v in outputs.items()])

    def _text(self, text, parameters):
        word, _, rest = text.partition(" ")
        if word == "fail":
            raise ValueError("the script says fail")
        if word == "sleep":
            time.sleep(float(rest))
        return json.dumps(parameters, sort_keys=True) if word == "parameters" else text[::-1]
