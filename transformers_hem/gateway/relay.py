"""One answer, whole or streamed, passed on as it comes, with the decision in headers and body."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson
from starlette.types import Send

from predictors.contract.openai.errors import error_body
from predictors.errors import HEMError
from predictors.upstream.client import Response as Answer
from predictors.upstream.json_body import parse_json
from transformers_hem.gateway.events import Events, event_of, is_done, may_end, payload
from transformers_hem.gateway.site import Target
from transformers_hem.serving.decision import Decision

logger = logging.getLogger("kserve.hem")

HEM: Final = "hem"  # the field of the last chunk, and of a whole answer
DONE: Final = b"data: [DONE]\n\n"
COMMENT: Final = b": waiting\n\n"
STREAM_HEADERS: Final = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache",
    "x-accel-buffering": "no",
}


@dataclass(frozen=True, slots=True)
class Served:
    """Who answers, and why."""

    decision: Decision
    model: str

    def headers(self) -> dict[str, str]:
        score = self.decision.score
        return {
            "x-hem-route": self.decision.route,
            "x-hem-reason": self.decision.reason,
            "x-hem-served-by": self.model,
            **({} if score is None else {"x-hem-score": f"{score:.4f}"}),
        }

    def as_json(self) -> dict[str, Any]:
        return {
            "route": self.decision.route,
            "score": self.decision.score,
            "threshold": self.decision.threshold,
            "algorithm": self.decision.algorithm,
            "reason": self.decision.reason,
            "served_by": self.model,
        }


class Relay:
    """Asks `target`, and sends what it answers.

    The task that serves the client is the one that reads the answer: nothing waits in between, and
    a client that leaves ends it all. The status and the headers wait for the first byte of the
    answer, at most `patience` seconds; then comments tell the client that there is more to come.
    Until then an error has a status of its own; later it is an event, and there is no [DONE].
    """

    def __init__(
        self,
        target: Target,
        path: str,
        body: Mapping[str, Any],
        served: Served,
        send: Send,
        patience: float,
    ) -> None:
        self._send = send
        self._target = target
        self._path = path
        self._asked = body
        self._served = served
        self._patience = patience
        self._begun = False

    async def run(self) -> None:
        """Raises HEMError as long as nothing was sent."""
        waiting = asyncio.create_task(self._wait()) if self._asked.get("stream") else None
        try:
            await self._target.http.stream(
                self._path,
                self._asked,
                self._read,
                streams=bool(self._asked.get("stream")),
                given=lambda: self._begun,
            )
        except HEMError as error:
            if not self._begun:
                raise
            await self._fail(error)
        finally:
            if waiting is not None:
                waiting.cancel()

    async def _read(self, answer: Answer, began: float) -> None:
        kind = answer.headers.get("content-type", "")
        if kind.startswith("text/event-stream"):
            await self._pass_on(answer)
        else:
            await self._whole(answer)

    async def _whole(self, answer: Answer) -> None:
        body = parse_json(await answer.aread())
        if not isinstance(body, dict) or not body.get("choices"):
            raise ValueError("not a completion: it has no choices")
        body[HEM] = self._served.as_json()
        if self._asked.get("stream"):
            raise ValueError("a whole answer where a stream was asked for")
        content = orjson.dumps(body)
        headers = {**self._served.headers(), "content-type": "application/json"}
        await self._begin({**headers, "content-length": str(len(content))})
        await self._send({"type": "http.response.body", "body": content})

    async def _pass_on(self, answer: Answer) -> None:
        events, ended, done = Events(), False, False
        async for chunk in answer.aiter_bytes():
            whole: list[bytes] = []
            for event in events.cut(chunk):
                if is_done(event):
                    done = True
                    break
                if may_end(event):
                    event, failed = self._described(event)
                    if failed:
                        await self._more(b"".join([*whole, event]))
                        await self._end()
                        return
                    ended = True
                whole.append(event)
            await self._more(b"".join(whole))
            if done:
                break
        if not (done or ended):
            raise ValueError("a stream that broke off")
        await self._more(DONE)
        await self._end()

    def _described(self, event: bytes) -> tuple[bytes, bool]:
        """The event with the decision in it, and whether it is an error."""
        data = payload(event)
        if data is None:
            return event, False
        if data.get("error"):
            return event, True
        choices = data.get("choices") or []
        ends = any(isinstance(c, dict) and c.get("finish_reason") for c in choices)
        if not ends and not data.get("usage"):
            return event, False
        return event_of({**data, HEM: self._served.as_json()}), False

    async def _wait(self) -> None:
        while True:
            await asyncio.sleep(self._patience)
            await self._more(COMMENT)

    async def _more(self, data: bytes) -> None:
        if not data:
            return
        if not self._begun:
            await self._begin({**self._served.headers(), **STREAM_HEADERS})
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def _begin(self, headers: Mapping[str, str]) -> None:
        self._begun = True
        raw = [
            (name.encode(), value.encode("latin-1", "replace")) for name, value in headers.items()
        ]
        await self._send({"type": "http.response.start", "status": 200, "headers": raw})

    async def _end(self) -> None:
        await self._send({"type": "http.response.body", "body": b""})

    async def _fail(self, error: HEMError) -> None:
        logger.warning("a stream broke off: %s", error)
        await self._more(event_of(error_body(error)))
        await self._end()
