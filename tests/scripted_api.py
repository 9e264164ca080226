"""An OpenAI-compatible API that answers as a test says, whole or streamed, in a thread of this
process."""

import json
import threading
from collections.abc import Sequence
from typing import Any, Final

from tests.loopback import Handler, LoopbackServer

MODEL: Final = "big"
ANSWER: Final = ("re", "fin", "ed")


class ScriptedAPI(LoopbackServer):
    """Lists `model`, and answers each chat with the parts of `answer`, once it `may`; `asked` holds
    the body of each. `refuses` is the status of chats instead, and `knows_nobody` that of all."""

    def __init__(
        self,
        answer: Sequence[str] = ANSWER,
        model: str = MODEL,
        *,
        refuses: int | None = None,
        knows_nobody: int | None = None,
    ) -> None:
        super().__init__(_Handler)
        self.answer = answer
        self.model = model
        self.refuses = refuses
        self.knows_nobody = knows_nobody
        self.asked: list[dict[str, Any]] = []
        self.may = threading.Event()
        self.may.set()

    @property
    def url(self) -> str:
        return f"{self.origin}/v1"

    def about(self, choice: dict[str, Any]) -> dict[str, Any]:
        completion = len(self.answer)
        usage = {
            "prompt_tokens": 1,
            "completion_tokens": completion,
            "total_tokens": 1 + completion,
        }
        about = {"id": "c", "object": "chat.completion", "created": 1, "model": self.model}
        return {**about, "choices": [choice], "usage": usage}

    def whole(self) -> dict[str, Any]:
        message = {"role": "assistant", "content": "".join(self.answer)}
        return self.about({"index": 0, "message": message, "finish_reason": "stop"})

    def stream(self) -> bytes:
        choices: list[dict[str, Any]] = [
            {"index": 0, "delta": {"content": each}, "finish_reason": None} for each in self.answer
        ]
        choices.append({"index": 0, "delta": {}, "finish_reason": "stop"})
        events = [f"data: {json.dumps(self.about(each))}\n\n" for each in choices]
        return "".join([*events, "data: [DONE]\n\n"]).encode()


class _Handler(Handler):
    server: ScriptedAPI

    def do_GET(self) -> None:
        if self.server.knows_nobody:
            return self.say(self.server.knows_nobody, b"")
        self.say(200, {"data": [{"id": self.server.model}]})

    def do_POST(self) -> None:
        body = self.read_json()
        self.server.asked.append(body)
        self.server.may.wait(60)
        if self.server.knows_nobody:
            return self.say(self.server.knows_nobody, b"")
        if self.server.refuses:
            error = {"message": "no", "type": "x", "param": None}
            return self.say(self.server.refuses, {"error": error})
        if body.get("stream"):
            return self.say(200, self.server.stream(), "text/event-stream")
        self.say(200, self.server.whole())
