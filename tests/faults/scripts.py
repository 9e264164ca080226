"""What a provider does wrong: one script a fault. Seconds are those of the clock."""

import asyncio
import math
import time
from collections.abc import Mapping
from typing import Any, Final

from tests.faults.provider import END, Exchange, Script, chunk
from tests.soak.wire import reset

BROKEN: Final = {"message": "The server had an error", "type": "server_error"}
TOO_MANY: Final = {
    "message": "Rate limit reached for requests",
    "type": "requests",
    "code": "rate_limit_exceeded",
}
TOO_LONG: Final = {
    "message": "This model's maximum context length is 8192 tokens. However, your messages "
    "resulted in 9001 tokens. Please reduce the length of the messages.",
    "type": "invalid_request_error",
    "param": "messages",
    "code": "context_length_exceeded",
}
FILTERED: Final = {
    "message": "The response was filtered due to the prompt triggering the content management "
    "policy. Please modify your prompt and retry.",
    "type": None,
    "param": "prompt",
    "code": "content_filter",
}
NO_PREFIX: Final = {
    "message": "messages: the last message must be the user's, not the assistant's",
    "type": "invalid_request_error",
    "param": "messages",
}


async def well(exchange: Exchange) -> None:
    await exchange.answer()


def refusing(status: int, error: Mapping[str, Any], times: float = math.inf) -> Script:
    """So many times, and then well."""

    async def play(exchange: Exchange) -> None:
        if exchange.number < times:
            return await exchange.refuse(status, error)
        await exchange.answer()

    return play


def throttling(seconds: int) -> Script:
    """429 until the seconds are over, since it was asked first, that it tells by Retry-After."""

    async def play(exchange: Exchange) -> None:
        if time.perf_counter() - exchange.provider.calls[0].at < seconds:
            return await exchange.refuse(429, TOO_MANY, retry_after=str(seconds))
        await exchange.answer()

    return play


async def resetting(exchange: Exchange) -> None:
    """Before a byte of its answer."""
    reset(exchange.writer)


async def silent(exchange: Exchange) -> None:
    await exchange.left()


def late(seconds: float) -> Script:
    """A stream's head and role come at once, its first token so late; so does a whole answer."""

    async def play(exchange: Exchange) -> None:
        if exchange.streams:
            await exchange.open()
        await asyncio.sleep(seconds)
        await exchange.answer()

    return play


async def cut(exchange: Exchange) -> None:
    """The connection ends behind two thirds of the text."""
    await exchange.open()
    await exchange.say(exchange.words[: len(exchange.words) * 2 // 3])


async def stalling(exchange: Exchange) -> None:
    """Behind two thirds of the text nothing more comes, and the connection stays."""
    await cut(exchange)
    await exchange.left()


async def malformed(exchange: Exchange) -> None:
    """Of the event in the middle comes one half: who leaves it out has a hole in the text."""
    words, middle = exchange.words, len(exchange.words) // 2
    await exchange.open()
    await exchange.say(words[:middle])
    await exchange.send(chunk(b'data: {"id": "c", "choices": [{"index": 0, "delta": {"cont\n\n'))
    await exchange.say(words[middle + 1 :])
    await exchange.done()


async def without_done(exchange: Exchange) -> None:
    await exchange.open()
    await exchange.say(exchange.words)
    await exchange.finish()
    await exchange.send(END)


async def no_prefix(exchange: Exchange) -> None:
    """Refuses to go on with an answer that has begun."""
    if exchange.call.prefix:
        return await exchange.refuse(400, NO_PREFIX)
    await exchange.answer()


async def spending(exchange: Exchange) -> None:
    """Fails before its first token, and tells what it has used."""
    used = exchange.provider.usage
    if not exchange.streams:
        return await exchange.refuse(500, BROKEN, usage=used)
    await exchange.open(usage=used)
    await exchange.object(error=BROKEN, usage=used)
    await exchange.send(END)
