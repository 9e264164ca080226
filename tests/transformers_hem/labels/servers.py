"""Small servers on loopback that answer by a function of the test's own."""

from collections import Counter
from collections.abc import Callable
from typing import Any

from tests.loopback import Handler, LoopbackServer

Reply = Callable[[dict[str, Any]], tuple[int, Any]]


class Server(LoopbackServer):
    """`requests` holds (headers, body) of every POST."""

    def __init__(self, reply: Reply, path: str) -> None:
        super().__init__(_Handler)
        self.reply = reply
        self.url = self.origin + path
        self.requests: list[tuple[dict[str, str], dict[str, Any]]] = []

    @property
    def asked(self) -> Counter[str]:
        """How often each query of a V2 request was asked."""
        return Counter(body["inputs"][0]["data"][0] for _, body in self.requests)


class _Handler(Handler):
    server: Server

    def do_POST(self) -> None:
        body = self.read_json()
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.requests.append((headers, body))
        self.say(*self.server.reply(body))


def serving(reply: Reply, path: str = "/v2/models/m/infer") -> Server:
    return Server(reply, path)


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
