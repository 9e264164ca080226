"""Chats in streams at a steady rate through a gateway, and what became of each."""

import asyncio
import json
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import httpx

PATIENCE_SECONDS: Final = 15.0
CONTINUE: Final = {"x-hem-on-break": "continue"}


@dataclass(frozen=True, slots=True)
class Told:
    """One chat. `at`: when it was due (monotonic). `kind`: whole; broken (an error event, no
    [DONE]); refused (an error with a status); wrong (called whole, but no side's answer; or another
    text before it broke); lost (none of these). `first`: seconds to the first token."""

    at: float
    kind: str
    first: float | None = None
    served_by: str = ""
    continued: bool = False
    shared: bool = False
    said: str = ""


class ChatLoad:
    """Asks for each of `texts` (query -> what each side answers) at random, and every second time
    that the other side goes on where a stream breaks off."""

    def __init__(
        self, client: httpx.AsyncClient, texts: Mapping[str, Mapping[str, str]], seed: int
    ) -> None:
        self.told: list[Told] = []
        self._client = client
        self._texts = texts
        self._random = random.Random(seed)
        self._asked: set[asyncio.Task[None]] = set()
        self._stopped = False

    def stop(self) -> None:
        self._stopped = True

    async def run(self, rate: float) -> None:
        """Until it is to `stop`; then it waits for what is under way."""
        due = time.monotonic()
        while not self._stopped:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            query = self._random.choice(sorted(self._texts))
            task = asyncio.create_task(self._ask(query, due, self._random.random() < 0.5))
            self._asked.add(task)
            task.add_done_callback(self._asked.discard)
            due += 1 / rate
        await asyncio.gather(*self._asked)

    async def _ask(self, query: str, due: float, goes_on: bool) -> None:
        stream = Stream()
        shared = len(set(self._texts[query].values())) == 1
        body = {"model": "qa", "stream": True, "messages": [{"role": "user", "content": query}]}
        try:
            async with (
                asyncio.timeout(PATIENCE_SECONDS),
                self._client.stream(
                    "POST", "/v1/chat/completions", json=body, headers=CONTINUE if goes_on else {}
                ) as answer,
            ):
                async for line in answer.aiter_lines():
                    if stream.take(line) and stream.first is None:
                        stream.first = time.monotonic() - due
            kind = stream.kind(answer.status_code, self._texts[query])
        except (httpx.HTTPError, OSError) as error:
            kind, stream.said = "lost", f"{error!r} behind {stream.text[:80]!r}"
        self.told.append(
            Told(due, kind, stream.first, stream.served_by, goes_on, shared, stream.said)
        )


class Stream:
    """What has come of one."""

    def __init__(self) -> None:
        self.text = ""
        self.first: float | None = None
        self.served_by = ""
        self.said = ""
        self._error: Any = None
        self._finished = self._done = False

    def take(self, line: str) -> bool:
        """Whether it has a part of the text."""
        if line == "data: [DONE]":
            self._done = True
            return False
        if line.startswith("{"):
            self._error = json.loads(line).get("error")
        if not line.startswith("data: "):
            return False
        event = json.loads(line[6:])
        self._error = self._error or event.get("error")
        if "hem" in event:
            self.served_by = event["hem"]["served_by"]
        text = ""
        for choice in event.get("choices") or ():
            text += choice["delta"].get("content") or ""
            self._finished = self._finished or choice.get("finish_reason") == "stop"
        self.text += text
        return text != ""

    def kind(self, status: int, texts: Mapping[str, str]) -> str:
        self.said = f"{status}, {self.text[:80]!r}, {self._error}"
        if status != 200:
            return "refused" if self._error and not self.text else "lost"
        if self._done:
            whole = self._finished and not self._error and self.text == texts.get(self.served_by)
            return "whole" if whole else "wrong"
        if not self._error:
            return "lost"
        begins = any(text.startswith(self.text) for text in texts.values())
        return "broken" if begins and not self._finished else "wrong"
