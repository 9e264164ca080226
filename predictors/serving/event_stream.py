"""Server-sent events: an answer as it comes, and what is sent where it breaks off."""

import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from enum import Enum
from typing import Final

import orjson
from fastapi.sse import KEEPALIVE_COMMENT, EventSourceResponse, format_sse_event

from predictors.contract.openai.errors import error_body
from predictors.contract.openai.responses import DONE, Writer
from predictors.errors import EngineError, HEMError
from predictors.serving.choices import Arrived, Choices

logger = logging.getLogger("kserve.hem")


class End(Enum):
    END = "end"


END: Final = End.END
# nginx and its kin pass events on as they come where this is said.
HEADERS = {"X-Accel-Buffering": "no", "Cache-Control": "no-cache"}


async def event_stream(
    choices: Choices, writer: Writer, usage: bool, patience: float
) -> EventSourceResponse:
    """Returns once the first part of the answer is there, at the latest after `patience` seconds;
    then comments tell the client, as often, that there is more to come.

    Raises what fails before that. What fails later is an event with an `error`, and the stream ends
    without [DONE].
    """
    stack = AsyncExitStack()
    try:
        await stack.enter_async_context(choices)
        arrivals = choices.arrivals(patience)
        first = await anext(arrivals, END)
    except BaseException:
        await stack.aclose()
        raise
    body = _events(first, arrivals, writer, usage)
    return OwnedEventSource(body, stack, headers=HEADERS)


class OwnedEventSource(EventSourceResponse):
    """Ends what it reads, also where its first byte was never asked for."""

    def __init__(
        self, body: AsyncIterator[bytes], stack: AsyncExitStack, headers: dict[str, str]
    ) -> None:
        super().__init__(body, headers=headers)
        self._stack = stack

    async def __call__(self, *asgi: object) -> None:
        try:
            await super().__call__(*asgi)  # type: ignore[arg-type]
        finally:
            await self._stack.aclose()


async def _events(
    arrived: Arrived | End | None,
    arrivals: AsyncIterator[Arrived | None],
    writer: Writer,
    usage: bool,
) -> AsyncIterator[bytes]:
    try:
        while arrived is not END:
            if arrived is None:
                yield KEEPALIVE_COMMENT
            elif data := writer.event(arrived.choice, arrived.delta):
                yield format_sse_event(data_str=data)
            arrived = await anext(arrivals, END)
        if usage:
            yield format_sse_event(data_str=writer.usage())
        yield format_sse_event(data_str=DONE)
    except HEMError as error:
        yield format_sse_event(data_str=orjson.dumps(error_body(error)).decode())
    except Exception as error:
        logger.exception("a stream broke off")
        failure = EngineError(f"the answer broke off: {type(error).__name__}")
        yield format_sse_event(data_str=orjson.dumps(error_body(failure)).decode())
