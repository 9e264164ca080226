"""Opens connections under a timeout that a busy event loop does not bring about."""

import asyncio
from typing import TYPE_CHECKING, Any, Final

import aiohttp

if TYPE_CHECKING:
    from aiohttp.client_proto import ResponseHandler

# To connect takes a handful of turns of the loop; it has at least these many.
TURNS: Final = 20


class PatientConnector(aiohttp.TCPConnector):
    """A connector whose `sock_connect` timeout passes only while the event loop turns.

    A burst of requests can keep the loop busy for seconds. Its timers then end, all at once,
    connections that the kernel has long made, and a circuit breaker opens to a server that is
    well.
    """

    async def _create_connection(
        self, req: aiohttp.ClientRequest, traces: list[Any], timeout: aiohttp.ClientTimeout
    ) -> "ResponseHandler":
        seconds = timeout.sock_connect
        if seconds is None:
            return await super()._create_connection(req, traces, timeout)
        opening = asyncio.ensure_future(
            super()._create_connection(req, traces, aiohttp.ClientTimeout())
        )
        try:
            for _ in range(TURNS):
                done, _ = await asyncio.wait([opening], timeout=seconds / TURNS)
                if done:
                    return opening.result()
        except asyncio.CancelledError:
            await _give_up(opening)
            raise
        await _give_up(opening)
        raise aiohttp.ConnectionTimeoutError(f"no connection to {req.url} within {seconds:g} s")


async def _give_up(opening: "asyncio.Future[ResponseHandler]") -> None:
    opening.cancel()
    await asyncio.wait([opening])
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()
