import json
import threading
import time

import numpy as np
import triton_python_backend_utils as pb_utils

FINAL = pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL


class TritonPythonModel:
    """Streams the query's words in capitals, two in the first response, then one by one.

    `options` answers with the sampling parameters, `fail` breaks off after one word, `slow` sends a
    word a tenth of a second for a minute.
    """

    def execute(self, requests):
        for request in requests:
            threading.Thread(
                target=self._answer, args=(request, request.get_response_sender()), daemon=True
            ).start()

    def _answer(self, request, sender):
        text = _value(request, "text_input").decode()
        options = json.loads(_value(request, "sampling_parameters"))
        assert _value(request, "stream") and _value(request, "exclude_input_in_output")
        words = text.upper().split()[: options["max_tokens"]]
        if text == "options":
            words = [json.dumps(options, sort_keys=True)]
        if text == "slow":
            self._slowly(sender)
            return
        steps = [words[:2], *[[word] for word in words[2:]]]
        for index, step in enumerate(steps):
            sender.send(_response(request, step, index == 0, len(text.split())))
            if text.startswith("fail"):
                error = pb_utils.TritonError("Error generating stream: the script says fail")
                sender.send(pb_utils.InferenceResponse(error=error), flags=FINAL)
                return
        sender.send(flags=FINAL)

    def _slowly(self, sender):
        for _ in range(600):
            if sender.is_cancelled():
                pb_utils.Logger.log_info("vllm_like: cancelled")
                break
            tensor = pb_utils.Tensor("text_output", np.array([b"word "], dtype=np.object_))
            sender.send(pb_utils.InferenceResponse([tensor]))
            time.sleep(0.1)
        sender.send(flags=FINAL)


def _value(request, name):
    tensor = pb_utils.get_input_tensor_by_name(request, name)
    return None if tensor is None else tensor.as_numpy()[0]


def _response(request, words, first, prompt_tokens):
    text = " ".join(words) if first else f" {words[0]}"
    outputs = {"text_output": np.array([text.encode()], dtype=np.object_)}
    if _value(request, "return_logprobs"):
        token = {"7": _entry(-0.5, 2), "3": _entry(-0.25, 1), "9": _entry(-1.5, 3)}
        data = json.dumps([token] * len(words)).encode()
        outputs["logprobs"] = np.array([data], dtype=np.object_)
    if _value(request, "return_num_input_tokens"):
        outputs["num_input_tokens"] = np.asarray(prompt_tokens, dtype=np.uint32)
    if _value(request, "return_num_output_tokens"):
        outputs["num_output_tokens"] = np.asarray([len(words)], dtype=np.uint32)
    return pb_utils.InferenceResponse([pb_utils.Tensor(k, v) for k, v in outputs.items()])


def _entry(logprob, rank):
    return {"logprob": logprob, "rank": rank, "decoded_token": "x"}
