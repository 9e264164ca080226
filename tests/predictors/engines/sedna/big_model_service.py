"""A big-model worker that speaks as Sedna's BigModelService does, on a real socket.

A GET of its path tells that it is there; `POST /NAME/predict` of {"data": [...]} is answered by
{"result": [...]}, 422 where `data` is no list, and 500 where the Estimator fails or its result is
no list.
"""

from collections.abc import Callable
from typing import Any

from tests.loopback import Handler, LoopbackServer


class BigModelServer(LoopbackServer):
    """`bodies` holds each request's."""

    def __init__(self, predict: Callable[[Any], Any], name: str = "sedna") -> None:
        super().__init__(_Handler)
        self.predict = predict
        self.name = name
        self.bodies: list[Any] = []

    @property
    def url(self) -> str:
        return self.origin


class _Handler(Handler):
    server: BigModelServer

    def do_GET(self) -> None:
        known = self.path == f"/{self.server.name}"
        self.say(*((200, {"infos": []}) if known else (404, {"detail": "Not Found"})))

    def do_POST(self) -> None:
        body = self.read_json()
        self.server.bodies.append(body)
        if self.path != f"/{self.server.name}/predict":
            return self.say(404, {"detail": "Not Found"})
        if not isinstance(body.get("data"), list):
            fault = {"loc": ["body", "data"], "msg": "value is not a valid list"}
            return self.say(422, {"detail": [fault]})
        try:
            result = self.server.predict(body["data"])
        except Exception:
            return self.say(500, "Internal Server Error")
        if not isinstance(result, list):
            return self.say(500, "Internal Server Error")
        self.say(200, {"result": result})
