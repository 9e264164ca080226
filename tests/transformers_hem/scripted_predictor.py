"""A predictor that answers by script over real HTTP; the query says how.

"logprob X"     both rows' telemetry is X
"status N"      an error body of that status;  "detail N": the same without a top-level `error`
"garbage"       200 with something that is no V2 response
"bare"          an answer without telemetry
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class ScriptedPredictor(ThreadingHTTPServer):
    """`requests` holds (headers, body) of every inference it was asked for."""

    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: list[tuple[dict[str, str], dict[str, Any]]] = []
        self.ready = True

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"


@contextmanager
def running() -> Iterator[ScriptedPredictor]:
    server = ScriptedPredictor()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ScriptedPredictor

    def do_GET(self) -> None:
        self._send(200 if self.server.ready else 503, {"ready": self.server.ready})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.requests.append((headers, body))
        texts = body["inputs"][0]["data"]
        match str(texts[0]).split():
            case ["status", number]:
                self._send(int(number), {"error": f"scripted {number}", "retry": True})
            case ["detail", number]:
                self._send(int(number), {"detail": "scripted"})
            case ["garbage"]:
                self._send(200, ["no", "response"])
            case ["bare"]:
                self._send(200, _response(body, texts, None))
            case _:
                self._send(200, _response(body, texts, [float(t.split()[-1]) for t in texts]))

    def _send(self, status: int, body: object) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: object) -> None:
        pass


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
