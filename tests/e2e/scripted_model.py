"""A model behind V2 whose answer follows from its input, over real HTTP, in a thread of this
process.

text_input   `text_output` is the text itself; a text with "wavering" is answered differently in
             every row; more than one row with "brittle" is 503; where all texts have "certain"
             or "unsure" in them, there are log-probabilities of 99% or 10% a token
image        FP32 [N, 1]: the pixel p gives `probabilities` [p, 1 - p] and two `boxes` of score p;
             a negative pixel gives tensors that are malformed
"""

import math
from typing import Any

from tests.loopback import Handler, LoopbackServer


class ScriptedModel(LoopbackServer):
    """`requests` holds the body of every inference."""

    def __init__(self, name: str) -> None:
        super().__init__(_Handler)
        self.name = name
        self.requests: list[dict[str, Any]] = []


class _Handler(Handler):
    server: ScriptedModel

    def do_GET(self) -> None:
        self.say(200, {"ready": True})

    def do_POST(self) -> None:
        body = self.read_json()
        self.server.requests.append(body)
        rows = body["inputs"][0]["data"]
        if len(rows) > 1 and "brittle" in rows:
            return self.say(503, {"error": "too much"})
        parameters = body.get("parameters") or {}
        hem = {name: value for name, value in parameters.items() if name.startswith("hem_")}
        answer = {
            "model_name": self.server.name,
            "parameters": {**hem, "served_by": self.server.name},
            "outputs": _outputs(body["inputs"][0]),
        }
        self.say(200, answer)


def _outputs(tensor: dict[str, Any]) -> list[dict[str, Any]]:
    if tensor["name"] == "text_input":
        rows = enumerate(tensor["data"])
        texts = [f"{text} {row}" if "wavering" in text else text for row, text in rows]
        return [_output("text_output", "BYTES", [len(texts)], texts), *_log_probabilities(texts)]
    pixels = [row[0] for row in tensor["data"]]
    classes = [[p, 1 - p] for p in pixels]
    boxes = [[[0, 0, 4, 4, p, 1], [1, 1, 2, 2, p, 2]] for p in pixels]
    return [
        _output("probabilities", "FP32", [len(pixels), 2], classes),
        _output("boxes", "FP32", [len(pixels), 2, 6], boxes),
    ]


def _log_probabilities(texts: list[str]) -> list[dict[str, Any]]:
    if not all("certain" in text or "unsure" in text for text in texts):
        return []
    chances = [math.log(0.99 if "certain" in text else 0.1) for text in texts]
    names = ("mean_logprob", "min_logprob")
    return [_output(name, "FP32", [len(texts)], chances) for name in names]


def _output(name: str, datatype: str, shape: list[int], data: list[Any]) -> dict[str, Any]:
    return {"name": name, "shape": shape, "datatype": datatype, "data": data}
