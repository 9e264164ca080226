"""Callers who hurt, in a process of their own: what they send costs the good ones no time.

python -m tests.soak.caller_process GRAPH ADDRESSES: each line of stdin is {kind: calls a second};
it is what they do from then on, and each is answered with a line of what the last one got.
"""

import asyncio
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Final

import httpx

from tests.conftest import ROOT
from tests.soak.bad_callers import Address, BadCallers

Statuses = dict[str, dict[int, int]]
NICE: Final = 5


class CallerProcess:
    """Idle at first; a context manager."""

    def __init__(self, graph: str, addresses: Sequence[Address]) -> None:
        about = json.dumps([asdict(address) for address in addresses])
        command = [sys.executable, "-m", "tests.soak.caller_process", graph, about]
        self._process = subprocess.Popen(
            ["nice", "-n", str(NICE), *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        self.change({})

    def change(self, rates: Mapping[str, float]) -> Statuses:
        """What the callers got who were at work until now: kind -> status -> how often."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(rates), file=self._process.stdin, flush=True)
        found = json.loads(self._process.stdout.readline())
        return {kind: {int(n): often for n, often in got.items()} for kind, got in found.items()}

    def __enter__(self) -> "CallerProcess":
        return self

    def __exit__(self, *error: object) -> None:
        self._process.communicate()


async def main(graph: str, addresses: Sequence[Address]) -> None:
    tasks: list[asyncio.Task[None]] = []
    async with httpx.AsyncClient(timeout=60) as client:
        callers = BadCallers(client, graph, addresses)
        while line := await asyncio.to_thread(sys.stdin.readline):
            for task in tasks:
                task.cancel()
            ends = await asyncio.gather(*tasks, return_exceptions=True)
            for end in ends:
                if not isinstance(end, asyncio.CancelledError):
                    print(f"callers: {end!r}", file=sys.stderr)
            print(json.dumps(callers.statuses), flush=True)
            callers.statuses = {}
            rates: dict[str, float] = json.loads(line)
            tasks = [asyncio.create_task(callers.run(*item)) for item in rates.items()]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], [Address(**item) for item in json.loads(sys.argv[2])]))
