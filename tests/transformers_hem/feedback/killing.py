"""Feedback from many callers at once, to a server that is killed in between: what was acknowledged
has to be there."""

import asyncio
import itertools
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from tests.conftest import ServerProcess
from transformers_hem.feedback.place import read_place
from transformers_hem.feedback.reading import reading
from transformers_hem.feedback.tables import FEEDBACK

CALLERS = 16


class Senders:
    """`acknowledged`: the requests' ids whose feedback was answered with 200."""

    def __init__(self) -> None:
        self.acknowledged: set[str] = set()
        self._numbers = itertools.count(1)

    async def send(self, client: httpx.AsyncClient) -> None:
        """Until nobody answers."""
        while True:
            ids = [f"r{next(self._numbers)}" for _ in range(3)]
            body = [{"request_id": each, "thumbs": "up", "key": each} for each in ids]
            try:
                reply = await client.post("/feedback", json=body)
            except httpx.HTTPError:
                return
            if reply.status_code == 200:
                self.acknowledged.update(ids)


async def kills(start: Callable[[], ServerProcess], senders: Senders, count: int) -> None:
    """Each at another moment."""
    for number in range(count):
        server = await asyncio.to_thread(start)
        async with httpx.AsyncClient(base_url=server.url, timeout=20) as client:
            tasks = [asyncio.create_task(senders.send(client)) for _ in range(CALLERS)]
            before = len(senders.acknowledged)
            while len(senders.acknowledged) == before:
                await asyncio.sleep(0.005)
            await asyncio.sleep(0.01 + 0.037 * (number % 10))
            server.process.send_signal(signal.SIGKILL)
            await asyncio.gather(*tasks)
        await asyncio.to_thread(server.process.wait)


def kept(path: Path) -> list[Any]:
    """Ids of the requests, as often as they are there."""
    with reading(read_place(str(path))) as connection:
        return [
            row[0]
            for row in connection.execute(
                FEEDBACK.select().with_only_columns(FEEDBACK.c.request_id)
            )
        ]
