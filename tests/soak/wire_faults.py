"""What a far side does wrong on the wire: one function a fault, FAULTS names them.

Each gets the request's real answer as a call (`Ask`), and whether it uses it is its own affair.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from tests.soak.wire import Message, message, reset

Ask = Callable[[], Awaitable[Message]]
Fault = Callable[[Ask, asyncio.StreamWriter], Awaitable[None]]

DELAY_SECONDS: Final = 2.0
DRIP_SECONDS: Final = 1.0
RETRY_AFTER_SECONDS: Final = 30
# Above `max_answer_bytes` of the uplink, 64 MiB.
OVERSIZED_BYTES: Final = 65 << 20
LARGE_BYTES: Final = 63 << 20
CHUNK: Final = b"7" * (1 << 16)


class Leave(Exception):
    """Closes the connection, properly."""


async def send(writer: asyncio.StreamWriter, answer: Message) -> None:
    writer.write(answer.head + answer.body)
    await writer.drain()


async def silent(ask: Ask, writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def dripping(ask: Ask, writer: asyncio.StreamWriter) -> None:
    """Its head at once, its body a byte a second."""
    answer = await ask()
    writer.write(answer.head)
    for byte in answer.body:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(DRIP_SECONDS)


async def dripping_head(ask: Ask, writer: asyncio.StreamWriter) -> None:
    for byte in (await ask()).head:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(DRIP_SECONDS)


async def garbage(ask: Ask, writer: asyncio.StreamWriter) -> None:
    writer.write(b"\x00\x16\x03\x01 no HTTP at all\r\n\r\n")
    await writer.drain()
    raise Leave


async def garbage_body(ask: Ask, writer: asyncio.StreamWriter) -> None:
    await send(writer, message(200, b"\x1f\x8b\x00{]garbage\xff" * 20))


async def truncated(ask: Ask, writer: asyncio.StreamWriter) -> None:
    """Half of the body that its Content-Length promises."""
    answer = await ask()
    await send(writer, Message(answer.head, answer.body[: len(answer.body) // 2]))
    raise Leave


async def cut_short(ask: Ask, writer: asyncio.StreamWriter) -> None:
    """Half of the JSON, with a Content-Length that says so."""
    body = (await ask()).body
    await send(writer, message(200, body[: len(body) // 2]))


def long_text(size: int) -> Fault:
    """One long text, correct but for its size: `size` bytes with all around it."""

    async def play(ask: Ask, writer: asyncio.StreamWriter) -> None:
        begin = b'{"model_name": "far", "outputs": [{"name": "text_output", "datatype": "BYTES", '
        begin, end = begin + b'"shape": [1], "data": ["', b'"]}]}'
        writer.write(message(200, b"", length=size).head + begin)
        left = size - len(begin) - len(end)
        while left:
            writer.write(CHUNK[:left])
            left -= len(CHUNK[:left])
            await writer.drain()
        writer.write(end)

    return play


async def wrong_content_type(ask: Ask, writer: asyncio.StreamWriter) -> None:
    """The login page of whatever stands in between."""
    await send(writer, message(200, b"<html><body>Login</body></html>", "text/html"))


def status(code: int, **headers: str) -> Fault:
    async def play(ask: Ask, writer: asyncio.StreamWriter) -> None:
        body = json.dumps({"error": f"the script says {code}"}).encode()
        await send(writer, message(code, body, **headers))

    return play


async def reset_before_the_headers(ask: Ask, writer: asyncio.StreamWriter) -> None:
    reset(writer)
    raise Leave


async def reset_in_the_body(ask: Ask, writer: asyncio.StreamWriter) -> None:
    answer = await ask()
    await send(writer, Message(answer.head, answer.body[: len(answer.body) // 2]))
    await asyncio.sleep(0.01)  # RST overtakes what the kernel has not sent
    reset(writer)
    raise Leave


async def delayed(ask: Ask, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(DELAY_SECONDS)
    await send(writer, await ask())


FAULTS: Final[Mapping[str, Fault]] = {
    "silent": silent,
    "dripping": dripping,
    "dripping head": dripping_head,
    "garbage": garbage,
    "garbage body": garbage_body,
    "truncated body": truncated,
    "cut short": cut_short,
    "oversized body": long_text(OVERSIZED_BYTES),
    "wrong content type": wrong_content_type,
    "500": status(500),
    "503": status(503),
    "429": status(429),
    "429 Retry-After": status(429, retry_after=str(RETRY_AFTER_SECONDS)),
    "reset before the headers": reset_before_the_headers,
    "reset in the body": reset_in_the_body,
    "2 s of delay": delayed,
}
# A caller can't tell that anything is wrong with these.
PLAUSIBLE: Final[Mapping[str, Fault]] = {"large body": long_text(LARGE_BYTES)}
