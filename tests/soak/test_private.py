"""Nothing private is among the bytes that leave, and the ledger says what they were: mixed requests
between a site's real processes, with a proxy before the cloud that records every byte.

A copy with some hundred requests is among the ordinary tests; `make soak` runs ten thousand.
"""

import asyncio
import contextlib
import json
import re
import subprocess
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from inferencegraph.build.graph import mining_then_inference
from predictors.upstream.ledger.verify import verify
from tests.conftest import ServerProcess, StartServer, free_port
from tests.inferencegraph.running_hem import HEM
from tests.predictors.upstream.ledger.reading import lines, outcomes
from tests.predictors.upstream.recorder import Recorder, recorded
from tests.soak.planted import compact
from tests.soak.private_load import Ask, Target, asks
from tests.soak.private_sides import CLOUD_MOODS, EDGE_MOODS, Side, side

pytestmark = pytest.mark.slow

AT_ONCE: Final = 12
READY: Final = {"redact": "qa-hem", "keep": "qa-hem", "cascade": "qa-edge"}
CHATS: Final = "/v1/chat/completions"


@dataclass
class Site:
    urls: dict[str, str]
    logs: list[Path]
    ledger: Path
    recorder: Recorder
    cloud: Side
    edge: Side


@dataclass
class Told:
    """What became of the requests."""

    statuses: Counter[int] = field(default_factory=Counter)
    ways: Counter[str] = field(default_factory=Counter)


def guard(action: str) -> str:
    return json.dumps([{"name": "PrivacyGuard", "parameters": {"action": action}}])


@asynccontextmanager
async def site(
    start_server: StartServer, folder: Path, targets: tuple[Target, ...]
) -> AsyncIterator[Site]:
    async with (
        side("big", CLOUD_MOODS) as cloud,
        side("m", EDGE_MOODS) as edge,
        recorded(cloud.port) as recorder,
    ):
        ledger = folder / "egress.jsonl"
        start = asyncio.to_thread
        uplink = await start(
            start_server,
            *("predictors", "--model_name", "qa-uplink", "--engine", "openai_api"),
            *("--url", f"{recorder.url}/v1", "--upstream_model", "big", "--ledger", str(ledger)),
            *("--cache", "memory", "--temperature", "0"),
            ready="/v2/models/qa-uplink/ready",
        )
        shared = {
            "HEM_EDGE_URL": f"{edge.url}/v1",
            "HEM_CLOUD_URL": uplink.url,
            "HEM_STICKY": "header",
            "HEM_HEDGE_PERCENTILE": "90",
            "HEM_HOST": "127.0.0.1",  # where callers need no keys
        }
        mines = ("transformers_hem", "--model_name", "qa-hem")
        random = {"HEM_ALGORITHM": "RandomRouter", "HEM_PARAMETERS": '{"random_ratio": "0.7"}'}
        servers: dict[str, ServerProcess] = {}
        for action in ("redact", "keep"):
            if action in targets:
                variables = {**shared, **random, "HEM_GUARDS": guard(action)}
                servers[action] = start_server(*mines, env=variables)
        early = {"HEM_ALGORITHM": "ConfidenceRouter", "HEM_DECIDE_AT": "sentence"}
        servers["cascade"] = start_server(
            *("transformers_hem", "--model_name", "qa-edge"),
            *("--predictor_host", edge.url.removeprefix("http://")),
            env={**shared, **early, "HEM_GUARDS": guard("redact")},
        )
        for name, server in servers.items():
            await start(server.wait_ready, f"/v2/models/{READY[name]}/ready")
        graph = folder / "graph.json"
        graph.write_text(json.dumps(_graph(servers["redact"].url, edge.url, uplink.url)))
        urls = {name: server.url for name, server in servers.items()}
        logs = [uplink.log, *(server.log for server in servers.values()), folder / "router.log"]
        with routing(graph, logs[-1]) as urls["graph"]:
            yield Site(urls, logs, ledger, recorder, cloud, edge)
            for server in servers.values():
                await start(server.stop)
            await start(uplink.stop)  # closes its ledger


def _graph(hem: str, edge: str, uplink: str) -> dict[str, Any]:
    """The shipped shape, whose steps are at these addresses."""
    spec: dict[str, Any] = mining_then_inference("qa")["spec"]
    urls = {"qa-hem": hem, "qa-edge": edge, "qa-uplink": uplink}
    for node in spec["nodes"].values():
        for step in node["steps"]:
            if name := step.pop("serviceName", None):
                step["serviceUrl"] = f"{urls[name]}/v2/models/{name}/infer"
    return spec


@contextlib.contextmanager
def routing(graph: Path, log: Path) -> Iterator[str]:
    port = free_port()
    command = [*HEM, "router", "--graph", str(graph), "--port", str(port)]
    with log.open("wb") as out, subprocess.Popen(command, stdout=out, stderr=out) as process:
        url = f"http://127.0.0.1:{port}"
        try:
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline:
                with contextlib.suppress(httpx.HTTPError):
                    if httpx.get(f"{url}/readyz", timeout=2).status_code == 200:
                        break
                time.sleep(0.1)
            yield url
        finally:
            process.terminate()


async def send(client: httpx.AsyncClient, site: Site, ask: Ask, told: Told) -> None:
    url = site.urls[ask.target] + ("" if ask.target == "graph" else CHATS)
    with contextlib.suppress(TimeoutError, httpx.HTTPError):
        async with asyncio.timeout(0.02 if ask.leaves else 60):
            reply = await client.post(url, json=ask.body, headers=ask.headers)
            told.statuses[reply.status_code] += 1
            _look(ask, reply, told)


def _look(ask: Ask, reply: httpx.Response, told: Told) -> None:
    """What a caller is told of the way that it went; and whether the answer is whole."""
    if reply.status_code != 200:
        return
    if ask.target == "graph":
        about = reply.json()["parameters"]
        told.ways[f"graph: {about['hem_route']}, {about['hem_reason']}"] += 1
        told.ways["cached"] += bool(about.get("cached"))
        return
    text, about = _said(reply)
    if not about:
        return
    told.ways[f"{ask.target}: {about['route']}, {about['reason']}"] += 1
    for way in ("redacted", "degraded", "continues", "failed"):
        told.ways[way] += way in about
    told.ways["answered with its items"] += "redacted" in about and about["served_by"] == "big"
    if "continues" not in about:
        assert text.rstrip(". ") == ask.text.rstrip(". "), (about, text)


def _said(reply: httpx.Response) -> tuple[str, dict[str, Any]]:
    if not reply.headers["content-type"].startswith("text/event-stream"):
        body = reply.json()
        return body["choices"][0]["message"]["content"], body["hem"]
    events = [json.loads(line[6:]) for line in reply.text.split("\n\n") if line[:7] == "data: {"]
    choices = (choice for each in events for choice in each.get("choices", ()))
    text = "".join((choice.get("delta") or {}).get("content") or "" for choice in choices)
    return text, next((each["hem"] for each in events if "hem" in each), {})


async def run(site: Site, count: int, targets: tuple[Target, ...]) -> tuple[Told, list[Ask]]:
    told, places = Told(), asyncio.Semaphore(AT_ONCE)
    sent = list(asks(count, 17, targets))

    async def one(client: httpx.AsyncClient, ask: Ask) -> None:
        async with places:
            await send(client, site, ask, told)

    async with httpx.AsyncClient(timeout=60) as client:
        await asyncio.gather(*(one(client, ask) for ask in sent))
    return told, sent


def traces(sent: list[Ask], text: str) -> list[str]:
    """Items that are in a text."""
    written = compact(text)
    items = {ask.planted for ask in sent if ask.planted}
    return [p.item for p in items if any(trace in written for trace in p.traces)]


def agrees(site: Site) -> None:
    """The ledger, line by line, with the proxy. A caller who leaves may end an attempt between its
    line and its first byte: then its outcome says so."""
    assert verify(site.ledger).open == 0
    wire = Counter(site.recorder.bodies())
    ended = outcomes(site.ledger)
    # Some bodies left several times; those that surely left first.
    rows = sorted(lines(site.ledger, "intent"), key=lambda row: _is_cancelled(ended[row["n"]]))
    for row in rows:
        sent = (row["method"], row["bytes"], row.get("sha256"))
        if wire[sent]:
            wire[sent] -= 1
        else:
            assert _is_cancelled(ended[row["n"]]), row
    assert not +wire


def _is_cancelled(outcome: dict[str, Any]) -> bool:
    return outcome.get("cause") == "cancelled" and outcome["received"] == 0


async def nothing_private_leaves(
    start_server: StartServer, folder: Path, count: int, targets: tuple[Target, ...]
) -> tuple[Told, Site]:
    async with site(start_server, folder, targets) as served:
        told, sent = await run(served, count, targets)
        metrics = ""
        async with httpx.AsyncClient() as client:
            for name in targets:
                if name != "graph":
                    metrics += (await client.get(f"{served.urls[name]}/metrics")).text
    left = b"".join(map(bytes, served.recorder.sent)).decode(errors="replace")
    assert traces(sent, left) == []
    assert traces(sent, served.ledger.read_text()) == []
    assert traces(sent, metrics) == []
    for log in served.logs:
        assert traces(sent, log.read_text(errors="replace")) == [], log
    # What was looked through is what left: questions without items, and placeholders.
    plain = {n for ask in sent if not ask.planted for n in re.findall(r"q(\d+)q", ask.text)}
    seen = set(re.findall(r"q(\d+)q", left))
    assert len(seen & plain) > count / 10, told.ways
    assert all(f"<{kind}_1>" in left for kind in ("CARD", "IBAN", "NATIONAL_ID"))
    agrees(served)
    intents = lines(served.ledger, "intent")
    guarded = [row["decision"].get("guards", "") for row in intents if "decision" in row]
    told.ways["ledger: redacted"] = sum("=redacted" in each for each in guarded)
    told.ways["ledger: again"] = sum("again" in row for row in intents)
    told.ways["ledger: lines of intent"] = len(intents)
    told.ways["planted"] = len({ask.planted for ask in sent if ask.planted})
    return told, served


async def test_nothing_private_leaves_and_the_ledger_agrees(
    start_server: StartServer, tmp_path: Path
) -> None:
    told, _ = await nothing_private_leaves(
        start_server, tmp_path, 400, ("redact", "redact", "cascade", "graph")
    )
    for way in ("redacted", "continues", "degraded", "answered with its items", "ledger: again"):
        assert told.ways[way] > 0, told.ways


@pytest.mark.soak
@pytest.mark.timeout(3600)
async def test_nothing_private_leaves_in_ten_thousand_requests(
    start_server: StartServer, tmp_path: Path
) -> None:
    began = time.monotonic()
    targets: tuple[Target, ...] = ("redact", "redact", "keep", "cascade", "cascade", "graph")
    told, served = await nothing_private_leaves(start_server, tmp_path, 10_000, targets)
    print(f"\n{time.monotonic() - began:.0f} s; statuses {dict(told.statuses)}")
    for way, count in sorted(told.ways.items()):
        print(f"{count:6} {way}")
    print(f"edge: {dict(served.edge.answered)}; cloud: {dict(served.cloud.answered)}")
