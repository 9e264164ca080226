"""A big-model worker that speaks as Sedna's BigModelService does, on a real socket.

A GET of its path tells that it is there; `POST /NAME/predict` of {"data": [...]} is answered by
{"result": [...]}, 422 where `data` is no list, and 500 where the Estimator fails or its result is
no list.
"""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class BigModelServer(ThreadingHTTPServer):
    """`bodies` holds each request's."""

    def __init__(self, predict: Callable[[Any], Any], name: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.predict = predict
        self.name = name
        self.bodies: list[Any] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@contextmanager
def serving(predict: Callable[[Any], Any], name: str = "sedna") -> Iterator[BigModelServer]:
    server = BigModelServer(predict, name)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: BigModelServer

    def do_GET(self) -> None:
        known = self.path == f"/{self.server.name}"
        self._send({"infos": []} if known else {"detail": "Not Found"}, 200 if known else 404)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.bodies.append(body)
        if self.path != f"/{self.server.name}/predict":
            return self._send({"detail": "Not Found"}, 404)
        if not isinstance(body.get("data"), list):
            fault = {"loc": ["body", "data"], "msg": "value is not a valid list"}
            return self._send({"detail": [fault]}, 422)
        try:
            result = self.server.predict(body["data"])
        except Exception:
            return self._send("Internal Server Error", 500)
        if not isinstance(result, list):
            return self._send("Internal Server Error", 500)
        self._send({"result": result}, 200)

    def _send(self, body: object, status: int) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: object) -> None:
        pass
