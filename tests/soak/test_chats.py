"""50 chats a second through the gateway, while one of its sides is killed, frozen, garbled or cut.

A chat is lost where its caller gets neither a whole answer nor an error. `make soak` runs it.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
import pytest
from rich.console import Console
from rich.table import Table

from tests.conftest import ServerProcess, StartServer
from tests.soak.chat_load import ChatLoad, Told
from tests.soak.play import RATE, SECONDS
from tests.soak.service import Service
from tests.soak.stream_proxy import StreamProxy
from tests.soak.table import FIRST_SECONDS, SLOWEST_SECONDS, percentile

pytestmark = [pytest.mark.soak, pytest.mark.timeout(SECONDS + 600)]

SIDES: Final = ("edge", "cloud")
MODELS: Final = {"edge": "qa-edge", "cloud": "qa-cloud"}
QUERIES: Final = 40
WORDS: Final = 20
TOKENS_PER_SECOND: Final = 40
# 2,000 chats with SECONDS of 600: 5 s before, 20 s of the fault, 15 s once it is mended.
BEFORE, LASTS = SECONDS / 120, SECONDS / 30
# The breaker's 10 s, and some to ask: no row is shorter behind its fault.
BACK_SECONDS: Final = 15.0
AFTER: Final = max(BACK_SECONDS, SECONDS / 40)


@dataclass
class Site:
    """`texts`: query -> model -> its answer; every second one is the same of both."""

    texts: Mapping[str, Mapping[str, str]]
    services: Mapping[str, Service]
    proxies: Mapping[str, StreamProxy]
    gateway: str


def answer(query: int, model: str) -> str:
    side = "both" if query % 2 else model
    return " ".join(f"{side}{query}.{word}" for word in range(WORDS))


TEXTS: Final = {
    f"question {number}": {model: answer(number, model) for model in MODELS.values()}
    for number in range(QUERIES)
}


@pytest.fixture(scope="module")
def sides(
    start_server: StartServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Service]]:
    folder = tmp_path_factory.mktemp("chats")
    services = {}
    for model in MODELS.values():
        rows = folder / f"{model}.jsonl"
        lines = (json.dumps({"query": q, "text": texts[model]}) for q, texts in TEXTS.items())
        rows.write_text("\n".join(lines) + "\n")
        server = start_server(
            *("predictors", "--model_name", model, "--engine", "recorded"),
            *("--recordings", str(rows), "--tokens_per_second", str(TOKENS_PER_SECOND)),
            ready=f"/v2/models/{model}/ready",
        )
        services[model] = as_service(model, server, folder)
    yield services
    for service in services.values():
        service.close()


def as_service(name: str, server: ServerProcess, folder: Path) -> Service:
    return Service(name, server.process.pid, server.url, folder / f"{name}.log")


@asynccontextmanager
async def site(start_server: StartServer, sides: Mapping[str, Service]) -> AsyncIterator[Site]:
    proxies = {side: StreamProxy(sides[model].url) for side, model in MODELS.items()}
    for proxy in proxies.values():
        await proxy.start()
    variables = {
        "HEM_ALGORITHM": "RandomRouter",
        "HEM_HOST": "127.0.0.1",
        "HEM_EDGE_URL": proxies["edge"].url,
        "HEM_CLOUD_URL": proxies["cloud"].url,
        "HEM_EDGE_MODEL": MODELS["edge"],
        "HEM_CLOUD_MODEL": MODELS["cloud"],
        "HEM_SITE": "qa",
    }
    arguments = ("transformers_hem", "--model_name", "qa-hem")
    hem = await asyncio.to_thread(
        start_server, *arguments, env=variables, ready="/v2/models/qa-hem/ready"
    )
    try:
        services = {side: sides[model] for side, model in MODELS.items()}
        yield Site(TEXTS, services, proxies, hem.url)
    finally:
        hem.process.terminate()
        await asyncio.to_thread(hem.process.wait, 60)
        for proxy in proxies.values():
            await proxy.close()


def restarted(service: Service) -> None:
    service.start()
    service.wait_ready()


Act = Callable[[Site, str], None]


def wire(fault: str | None) -> Act:
    def act(site: Site, side: str) -> None:
        site.proxies[side].fault = fault  # type: ignore[assignment] # FAULTS names none else

    return act


FAULTS: Final[Mapping[str, tuple[Act, Act]]] = {
    "killed": (
        lambda site, side: site.services[side].kill(),
        lambda site, side: restarted(site.services[side]),
    ),
    "frozen": (
        lambda site, side: site.services[side].freeze(),
        lambda site, side: site.services[side].thaw(),
    ),
    "garbled": (wire("garbled"), wire(None)),
    "cut": (wire("cut"), wire(None)),
}


@dataclass(frozen=True, slots=True)
class Row:
    side: str
    fault: str
    told: list[Told]
    began: float
    healed: float

    def count(self, kind: str) -> int:
        return sum(each.kind == kind for each in self.told)

    @property
    def first(self) -> float:
        """p99 of the first token in the first ten seconds of the fault."""
        seconds = [
            each.first
            for each in self.told
            if each.first is not None and self.began <= each.at < self.began + FIRST_SECONDS
        ]
        return percentile(seconds, 99)

    def complaints(self) -> list[str]:
        said = [
            f"{self.count(kind)} {kind}, such as {self._example(kind)}"
            for kind in ("lost", "wrong", "refused")
            if self.count(kind)
        ]
        stopped = [t for t in self.told if t.kind == "broken" and t.continued and t.shared]
        if stopped:
            said.append(f"{len(stopped)} were not gone on with, such as {stopped[0].said}")
        late = [t for t in self.told if t.kind != "whole" and t.at > self.healed + BACK_SECONDS]
        if late:
            said.append(f"{len(late)} failed long after it was healed, such as {late[0].said}")
        if self.first > SLOWEST_SECONDS:
            said.append(f"p99 of the first token was {self.first:.2f} s")
        if not any(t.served_by == MODELS[self.side] for t in self.told if t.at > self.healed):
            said.append(f"the {self.side} never answered again")
        return said

    def _example(self, kind: str) -> str:
        return next(each.said for each in self.told if each.kind == kind)


@pytest.fixture(scope="module")
def rows() -> Iterator[list[Row]]:
    rows: list[Row] = []
    yield rows
    names = ("whole", "broken", "refused", "wrong", "lost")
    table = Table(title="Chats in streams under faults")
    for name in ("side", "fault", "chats", *names, "p99 of the first token, s", "verdict"):
        table.add_column(name, justify="left" if name in ("side", "fault", "verdict") else "right")
    for row in rows:
        counts = (str(row.count(name)) for name in names)
        verdict = "fails" if row.complaints() else "holds"
        cells = (row.side, row.fault, str(len(row.told)), *counts, f"{row.first:.2f}", verdict)
        table.add_row(*cells)
    Console(width=140).print(table)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("fault", FAULTS)
async def test_no_chat_is_lost(
    fault: str,
    side: str,
    start_server: StartServer,
    sides: dict[str, Service],
    rows: list[Row],
) -> None:
    begin, end = FAULTS[fault]
    async with (
        site(start_server, sides) as running,
        httpx.AsyncClient(base_url=running.gateway, timeout=60) as client,
    ):
        load = ChatLoad(client, running.texts, seed=len(rows))
        asking = asyncio.create_task(load.run(RATE))
        await asyncio.sleep(BEFORE)
        began = time.monotonic()
        await asyncio.to_thread(begin, running, side)
        await asyncio.sleep(LASTS)
        await asyncio.to_thread(end, running, side)
        healed = time.monotonic()
        await asyncio.sleep(AFTER)
        load.stop()
        await asking
    row = Row(side, fault, load.told, began, healed)
    rows.append(row)
    assert row.complaints() == []
