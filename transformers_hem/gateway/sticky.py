"""Conversations that the cloud has answered stay there: it may have their prompts in its cache."""

import hashlib
import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal

import orjson
from cachetools import TTLCache

from predictors.contract.chat import DEVELOPER, SYSTEM, USER

StickyBy = Literal["off", "session", "user", "header", "first_turns"]

MOST: Final = 16_384  # conversations, of which the least recently answered go first
# OpenAI keeps a prompt at most as long: https://platform.openai.com/docs/guides/prompt-caching
SECONDS: Final = 3600.0
KEY_BYTES: Final = 16
OPENING: Final = frozenset({SYSTEM, DEVELOPER, USER})


class Sticky:
    """Remembers them in this process, by keys from which nobody learns what they were made of.
    `header` is the name of the one that tells a conversation."""

    def __init__(
        self,
        by: StickyBy,
        header: str,
        most: int = MOST,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        sources: dict[str, _Source] = {
            "header": lambda _, headers: headers.get(header),
            "user": lambda body, _: body.get("user"),
            "first_turns": lambda body, _: _first_turns(body.get("messages") or ()),
        }
        names = {"off": (), "session": tuple(sources)}.get(by, (by,))
        self._sources = {name: sources[name] for name in names}
        self._secret = os.urandom(KEY_BYTES)
        self._known: TTLCache[bytes, None] = TTLCache(most, SECONDS, timer)

    def key(self, body: Mapping[str, Any], headers: Mapping[str, str]) -> bytes | None:
        """Of the conversation that a checked request belongs to; None where nothing tells it. Two
        callers with keys of their own never share one."""
        for name, source in self._sources.items():
            if told := source(body, headers):
                parts = orjson.dumps([headers.get("authorization"), name, told])
                return hashlib.blake2b(parts, digest_size=KEY_BYTES, key=self._secret).digest()
        return None

    def stays(self, key: bytes | None) -> bool:
        """Whether the cloud has answered this conversation."""
        return key in self._known

    def remember(self, key: bytes | None) -> None:
        if key is not None:
            self._known[key] = None


_Source = Callable[[Mapping[str, Any], Mapping[str, str]], Any]


def _first_turns(messages: Sequence[Mapping[str, Any]]) -> list[Any] | None:
    """What the system says and what the user said first; None without a user's message."""
    turns = []
    for message in messages:
        if message["role"] in OPENING:
            turns.append([message["role"], message.get("content")])
        if message["role"] == USER:
            return turns
    return None
