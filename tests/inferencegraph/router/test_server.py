"""Serving the local router: alone as a process, or several in one event loop."""

import asyncio
import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from inferencegraph.router.app import create_app
from inferencegraph.router.server import GraphServer, bind_port, run
from predictors.errors import ConfigurationError
from tests.conftest import ROOT
from tests.inferencegraph.router.graph_under_test import (
    CannedUpstreams,
    Stage,
    sequence,
)


def test_hem_router_says_where_it_answers_and_stops_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "graph.json"
    path.write_text(json.dumps(sequence({"serviceUrl": "http://127.0.0.1:1/"})))
    command = [sys.executable, "-m", "inferencegraph", "router", "--graph", str(path)]
    for stop in (signal.SIGINT, signal.SIGTERM):
        process = subprocess.Popen(
            [*command, "--port", "0"], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        url = process.stdout.readline().split()[-1]
        assert httpx.get(f"{url}/readyz").status_code == 200
        process.send_signal(stop)
        assert process.wait(10) == 0
        process.stdout.close()


def test_a_port_in_use_is_refused_in_one_line() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        app = create_app(sequence({"serviceUrl": "http://127.0.0.1:1/"}))
        with pytest.raises(ConfigurationError, match=f"port {port} on 127.0.0.1 is in use; stop"):
            run(app, "127.0.0.1", port)


@pytest.mark.parametrize(("host", "port"), [("127.0.0.1", 70_000), ("192.0.2.1", 0)])
def test_a_port_that_cannot_be_had_is_refused(host: str, port: int) -> None:
    with pytest.raises(ConfigurationError, match=f"can't listen on {host}:{port}: "):
        bind_port(host, port)


async def test_several_graphs_run_in_one_event_loop() -> None:
    async with Stage() as stage:
        stage.app = CannedUpstreams({name: {"body": {"graph": name}} for name in ("a", "b")})
        graphs = [sequence({"serviceUrl": f"{stage.url}/{name}"}) for name in ("a", "b")]
        servers = [GraphServer(create_app(g), bind_port("127.0.0.1", 0)) for g in graphs]
        await asyncio.gather(*(server.start() for server in servers))
        async with httpx.AsyncClient() as client:
            answers = [(await client.post(server.url)).json()["graph"] for server in servers]
        await asyncio.gather(*(server.stop() for server in servers))
    assert answers == ["a", "b"]


async def test_answers_under_way_are_finished_before_it_stops() -> None:
    async with Stage() as stage:
        stage.app = CannedUpstreams({"slow": {"body": {"a": 1}, "delay_s": 0.5}})
        graph = create_app(sequence({"serviceUrl": f"{stage.url}/slow"}))
        server = GraphServer(graph, bind_port("127.0.0.1", 0))
        await server.start()
        async with httpx.AsyncClient() as client:
            answer = asyncio.create_task(client.post(server.url))
            while not stage.app.calls:
                await asyncio.sleep(0.01)
            await server.stop()
            assert (await answer).json() == {"a": 1}
            with pytest.raises(httpx.ConnectError):
                await client.post(server.url)


@pytest.mark.parametrize("signals", [1, 2])
async def test_a_signal_lets_answers_finish_and_a_second_one_ends_them(
    tmp_path: Path, signals: int
) -> None:
    async with Stage() as stage:
        stage.app = CannedUpstreams(
            {"slow": {"body": {"a": 1}, "delay_s": 7 if signals == 1 else 60}}
        )
        path = tmp_path / "graph.json"
        path.write_text(json.dumps(sequence({"serviceUrl": f"{stage.url}/slow"})))
        command = [sys.executable, "-m", "inferencegraph", "router", "--graph", str(path)]
        process = await asyncio.create_subprocess_exec(
            *command, "--port", "0", cwd=ROOT, stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        url = (await process.stdout.readline()).split()[-1].decode()
        async with httpx.AsyncClient(timeout=30) as client:
            answer = asyncio.create_task(client.post(url))
            while not stage.app.calls:
                await asyncio.sleep(0.05)
            for _ in range(signals):
                process.send_signal(signal.SIGTERM)
                await asyncio.sleep(0.5)
            assert (await answer).status_code == (200 if signals == 1 else 503)
            assert (await answer).headers["connection"] == "close"
        assert await asyncio.wait_for(process.wait(), 20) == 0
