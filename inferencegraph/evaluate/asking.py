"""Puts every question to a graph, so many at a time."""

import asyncio
import time
from collections.abc import Callable, Sequence

import httpx

from inferencegraph.evaluate.ask import infer
from inferencegraph.evaluate.outcome import Item, Outcome, read_answer
from predictors.contract import HEM_PREFER, Scalar
from predictors.errors import HEMError, UpstreamError
from predictors.upstream.client import build_client

TIMEOUT_SECONDS = 120.0


async def ask_all(
    url: str,
    items: Sequence[Item],
    prefer: str | None,
    concurrency: int,
    on_answer: Callable[[], None],
) -> list[Outcome]:
    """One outcome per item, in their order; `prefer` overrules mining.

    A question that fails becomes an outcome with an error. Raises the HEMError of the first
    question, which goes ahead alone: where that one fails, so would all.
    """
    parameters: dict[str, Scalar] = {} if prefer is None else {HEM_PREFER: prefer}
    places = asyncio.Semaphore(concurrency)
    async with build_client(httpx.Timeout(TIMEOUT_SECONDS, connect=5.0)) as client:

        async def one(item: Item) -> Outcome:
            async with places:
                outcome = await _ask_one(client, url, item, parameters)
                on_answer()
                return outcome

        await _answer(client, url, items[0], parameters)
        return list(await asyncio.gather(*(one(item) for item in items)))


async def _ask_one(
    client: httpx.AsyncClient, url: str, item: Item, parameters: dict[str, Scalar]
) -> Outcome:
    began = time.perf_counter()
    try:
        return await _answer(client, url, item, parameters)
    except HEMError as error:
        return Outcome(item, time.perf_counter() - began, error=str(error))


async def _answer(
    client: httpx.AsyncClient, url: str, item: Item, parameters: dict[str, Scalar]
) -> Outcome:
    body, seconds = await infer(client, url, item.request(parameters))
    try:
        read = read_answer(body)
    except ValueError as error:
        raise UpstreamError(f"{url} answered 200 with {error}") from None
    return Outcome(item, seconds, read.text, read.route, read.served_by)
