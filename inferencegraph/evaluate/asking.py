"""Puts every question to a graph, so many at a time."""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from inferencegraph.evaluate.outcome import Item, Outcome, read_answer
from predictors.contract import HEM_PREFER, Scalar
from predictors.errors import Cause, HEMError, UpstreamError
from predictors.upstream.ask import infer
from predictors.upstream.client import Client, build_client

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
    async with build_client(TIMEOUT_SECONDS, connect=5.0) as client:

        async def one(item: Item) -> Outcome:
            async with places:
                outcome = await _ask_one(client, url, item, parameters)
                on_answer()
                return outcome

        await _answer(client, url, items[0], parameters)
        return list(await asyncio.gather(*(one(item) for item in items)))


async def _ask_one(client: Client, url: str, item: Item, parameters: dict[str, Scalar]) -> Outcome:
    began = time.perf_counter()
    try:
        return await _answer(client, url, item, parameters)
    except HEMError as error:
        return Outcome(item, time.perf_counter() - began, error=str(error))


async def _answer(client: Client, url: str, item: Item, parameters: dict[str, Scalar]) -> Outcome:
    with hint_where_nobody_listens():
        given = await infer(client, url, item.request(parameters), read_answer)
    outcome = Outcome(item, given.seconds, *given.read)
    return outcome.degraded(given.failure) if given.failure else outcome


@contextmanager
def hint_where_nobody_listens() -> Iterator[None]:
    """Around a call to a graph: adds the way out to the error of one that is not running."""
    try:
        yield
    except UpstreamError as error:
        if error.cause is not Cause.UNREACHABLE or not error.retryable:
            raise
        hint = "is it up? `hem up` starts the example, --url asks another"
        raise UpstreamError(f"{error}; {hint}", error.cause) from None
