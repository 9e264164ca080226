"""A predictor that answers by script over real HTTP; the query says how.

"logprob X"     both rows' telemetry is X
"status N"      an error body of that status;  "detail N": the same without a top-level `error`
"garbage"       200 with something that is no V2 response
"bare"          an answer without telemetry
"""

from typing import Any

from tests.loopback import Handler, LoopbackServer


class ScriptedPredictor(LoopbackServer):
    """`requests` holds (headers, body) of every inference it was asked for."""

    def __init__(self) -> None:
        super().__init__(_Handler)
        self.requests: list[tuple[dict[str, str], dict[str, Any]]] = []
        self.ready = True


class _Handler(Handler):
    server: ScriptedPredictor

    def do_GET(self) -> None:
        self.say(200 if self.server.ready else 503, {"ready": self.server.ready})

    def do_POST(self) -> None:
        body = self.read_json()
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.requests.append((headers, body))
        texts = body["inputs"][0]["data"]
        match str(texts[0]).split():
            case ["status", number]:
                self.say(int(number), {"error": f"scripted {number}", "retry": True})
            case ["detail", number]:
                self.say(int(number), {"detail": "scripted"})
            case ["garbage"]:
                self.say(200, ["no", "response"])
            case ["bare"]:
                self.say(200, _response(body, texts, None))
            case _:
                self.say(200, _response(body, texts, [float(t.split()[-1]) for t in texts]))


def _response(body: dict[str, Any], texts: list[str], logprobs: list[float] | None) -> dict:
    outputs = [_output("text_output", "BYTES", [f"answer to {text}" for text in texts])]
    if logprobs is not None:
        outputs.append(_output("mean_logprob", "FP32", logprobs))
        outputs.append(_output("min_logprob", "FP32", logprobs))
    parameters = {"served_by": "scripted", "hem_route": "stale", "confidence": 0.5}
    return {
        "id": body.get("id", "made-up"),
        "model_name": "m",
        "parameters": parameters,
        "outputs": outputs,
    }


def _output(name: str, datatype: str, data: list[Any]) -> dict[str, Any]:
    return {"name": name, "shape": [len(data)], "datatype": datatype, "data": data}
