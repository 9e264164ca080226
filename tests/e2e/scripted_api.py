"""An OpenAI-compatible API whose every answer is `refined`, whole or streamed, in a thread of this
process."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MODEL = "big"
ANSWER = ("re", "fin", "ed")


class ScriptedAPI(ThreadingHTTPServer):
    """`asked` holds the body of every request. `fails`: it answers 503."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[dict[str, Any]] = []
        self.fails = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


@contextmanager
def running() -> Iterator[ScriptedAPI]:
    server = ScriptedAPI()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ScriptedAPI

    def do_GET(self) -> None:
        self._send(200, "application/json", json.dumps({"data": [{"id": MODEL}]}))

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(body)
        if self.server.fails:
            error = {"error": {"message": "no", "type": "x", "param": None}}
            return self._send(503, "application/json", json.dumps(error))
        if not body.get("stream"):
            message = {"role": "assistant", "content": "".join(ANSWER)}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            return self._send(200, "application/json", json.dumps(_about(choice)))
        choices = [
            {"index": 0, "delta": {"content": each}, "finish_reason": None} for each in ANSWER
        ]
        choices.append({"index": 0, "delta": {}, "finish_reason": "stop"})
        events = [f"data: {json.dumps(_about(each))}\n\n" for each in choices]
        self._send(200, "text/event-stream", "".join([*events, "data: [DONE]\n\n"]))

    def _send(self, status: int, kind: str, text: str) -> None:
        content = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: object) -> None:
        pass


def _about(choice: dict[str, Any]) -> dict[str, Any]:
    usage = {"prompt_tokens": 1, "completion_tokens": len(ANSWER), "total_tokens": 4}
    about = {"id": "c", "object": "chat.completion", "created": 1, "model": MODEL}
    return {**about, "choices": [choice], "usage": usage}
