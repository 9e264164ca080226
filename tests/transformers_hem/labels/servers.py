"""Small servers on loopback that answer by a function of the test's own."""

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Reply = Callable[[dict[str, Any]], tuple[int, Any]]


class Server(ThreadingHTTPServer):
    """`requests` holds (headers, body) of every POST."""

    request_queue_size = 64

    def __init__(self, reply: Reply, path: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.reply = reply
        self.url = f"http://127.0.0.1:{self.server_address[1]}{path}"
        self.requests: list[tuple[dict[str, str], dict[str, Any]]] = []

    @property
    def asked(self) -> Counter[str]:
        """How often each query of a V2 request was asked."""
        return Counter(body["inputs"][0]["data"][0] for _, body in self.requests)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.requests.append((headers, body))
        status, answer = self.server.reply(body)
        content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: object) -> None:
        pass


@contextmanager
def serving(reply: Reply, path: str = "/v2/models/m/infer") -> Iterator[Server]:
    server = Server(reply, path)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def query_of(body: dict[str, Any]) -> str:
    return str(body["inputs"][0]["data"][0])


def answered(text: str, name: str = "m", **parameters: Any) -> tuple[int, dict[str, Any]]:
    outputs = [
        {"name": "text_output", "shape": [1], "datatype": "BYTES", "data": [text]},
        {"name": "mean_logprob", "shape": [1], "datatype": "FP32", "data": [-0.5]},
        {"name": "min_logprob", "shape": [1], "datatype": "FP32", "data": [-1.5]},
    ]
    return 200, {"model_name": name, "outputs": outputs, "parameters": parameters}


def says(text: str) -> tuple[int, dict[str, Any]]:
    """A chat completion."""
    return 200, {"choices": [{"message": {"role": "assistant", "content": text}}]}
