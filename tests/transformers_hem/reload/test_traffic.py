"""A real server under steady traffic, while what decides changes: no request is lost, and each is
answered by the old or by the new, never by a mix."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import ServerProcess, StartServer
from tests.transformers_hem.gateway.gateway_under_test import chat
from tests.transformers_hem.gateway.scripted_side import Body, scripted_side, usage, whole
from tests.transformers_hem.reload.mounted import Mounted
from transformers_hem.reload.routes import CONFIG, RELOAD

OLD = {
    "settings.yaml": "algorithm: EdgeOnly\nthreshold: 0.25\n",
    "prices.yaml": "currency: USD\nmodels: {m: {input: 1, output: 1}}\n",
    "tokens.yaml": "tokens: [{name: team, key: sk-old}, "
    "{name: anna, key: sk-admin, admin: true}]\n",
}
NEW = {
    "settings.yaml": "algorithm: CloudOnly\nthreshold: 0.75\n",
    "prices.yaml": "currency: EUR\nmodels: {m: {input: 2, output: 2}}\n",
    "tokens.yaml": OLD["tokens.yaml"].replace("sk-old", "[sk-old, sk-new]"),
}
BAD = {
    "settings.yaml": "algorithm: EdgeOnly\nthreshold: 25\n",
    "prices.yaml": "currency: dollars\n",
    "tokens.yaml": "tokens: [{name: team, kee: sk-secret-in-a-wrong-place}]\n",
}
SEEN = {
    ("EdgeOnly", 0.25, "edge", "USD", 110 / 1e6),
    ("EdgeOnly", 0.25, "edge", "EUR", 220 / 1e6),
    ("CloudOnly", 0.75, "cloud", "USD", 110 / 1e6),
    ("CloudOnly", 0.75, "cloud", "EUR", 220 / 1e6),
}
ADMIN = {"authorization": "Bearer sk-admin"}
PAUSE = 0.04  # seconds between two requests
WAIT = 20.0


def answered(body: Body) -> tuple[bytes, ...]:
    """The answer is on its way for a while: what is in force changes behind its beginning."""
    return b"", whole("m", "hi", usage=usage(100, 10))


class Traffic:
    """Chats and V2 requests, one after the other and side by side, until it is stopped."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self.chats: list[Any] = []
        self.v2: list[Any] = []
        self.lost: list[str] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._number = itertools.count()

    async def run(self) -> None:
        while True:
            for ask in (self._chat, self._mine):
                task = asyncio.create_task(self._asked(ask))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            await asyncio.sleep(PAUSE)

    async def _asked(self, ask: Callable[[], Awaitable[None]]) -> None:
        try:
            await ask()
        except Exception as error:
            self.lost.append(repr(error))

    async def _chat(self) -> None:
        headers = {"authorization": "Bearer sk-old"}
        body = chat(f"{next(self._number)}", stream=False)
        answer = await self._client.post("/v1/chat/completions", json=body, headers=headers)
        assert answer.status_code == 200, answer.text
        hem = answer.json()["hem"]
        self.chats.append(
            tuple(hem[name] for name in ("algorithm", "threshold", "route", "currency", "cost"))
        )

    async def _mine(self) -> None:
        tensor = {"name": "text_input", "shape": [1], "datatype": "BYTES", "data": ["1 + 1?"]}
        answer = await self._client.post("/v2/models/qa-hem/infer", json={"inputs": [tensor]})
        assert answer.status_code == 200, answer.text
        names = ("hem_algorithm", "hem_threshold", "hem_route")
        self.v2.append(tuple(answer.json()["parameters"][name] for name in names))

    async def until(self, seen: Callable[[Any], bool]) -> None:
        """A chat that begins from now on is answered so."""
        begun = len(self.chats)
        async with asyncio.timeout(WAIT):
            while not any(map(seen, self.chats[begun:])):
                await asyncio.sleep(0.05)

    async def finish(self) -> None:
        await asyncio.gather(*self._tasks)


@asynccontextmanager
async def steady(client: httpx.AsyncClient) -> Any:
    traffic = Traffic(client)
    running = asyncio.create_task(traffic.run())
    try:
        yield traffic
    finally:
        running.cancel()
        await traffic.finish()


@pytest.fixture
def mount(tmp_path: Path) -> Mounted:
    return Mounted(tmp_path / "conf", OLD)


def started(start_server: StartServer, mount: Mounted, edge: str, cloud: str) -> ServerProcess:
    return start_server(
        "transformers_hem",
        *("--model_name", "qa-hem"),
        env={
            "HEM_EDGE_URL": f"{edge}/v1",
            "HEM_CLOUD_URL": f"{cloud}/v1",
            "HEM_EDGE_MODEL": "m",
            "HEM_CLOUD_MODEL": "m",
            "HEM_SETTINGS_FILE": str(mount / "settings.yaml"),
            "HEM_PRICES_FILE": str(mount / "prices.yaml"),
            "HEM_API_KEYS_FILE": str(mount / "tokens.yaml"),
        },
        ready="/v2/models/qa-hem/ready",
    )


async def test_no_request_is_lost_or_mixed_while_files_change(
    start_server: StartServer, mount: Mounted
) -> None:
    async with scripted_side(answered) as edge, scripted_side(answered) as cloud:
        server = await asyncio.to_thread(started, start_server, mount, edge.url, cloud.url)
        limits = httpx.Limits(max_connections=None)
        async with (
            httpx.AsyncClient(base_url=server.url, timeout=30, limits=limits) as client,
            steady(client) as traffic,
        ):
            await traffic.until(lambda each: each[0] == "EdgeOnly")
            # Good: all files at once, by the link above them.
            mount.put(NEW)
            await traffic.until(lambda each: each[0] == "CloudOnly" and each[3] == "EUR")
            assert await status(client, "sk-new") == 200

            # Bad: refused and named, the old ones stay.
            mount.put(BAD)
            await refused(client, {"settings", "prices", "tokens"})
            config = (await client.get(CONFIG, headers=ADMIN)).text
            assert "threshold" in config and "sk-" not in config
            asked = await client.post(RELOAD, headers=ADMIN)
            assert asked.status_code == 422 and "sk-" not in asked.text
            assert {each["outcome"] for each in asked.json()["changes"]} == {"refused"}
            await traffic.until(lambda each: each[0] == "CloudOnly" and each[3] == "EUR")

            # Good again, at once, as an admin asks.
            mount.put(OLD)
            asked = await client.post(RELOAD, headers=ADMIN)
            assert asked.status_code == 200, asked.text
            assert {each["what"] for each in asked.json()["changes"]} == set(
                ("settings", "prices", "tokens")
            )
            await traffic.until(lambda each: each[0] == "EdgeOnly" and each[3] == "USD")
            assert await status(client, "sk-new") == 401

            # Written bit by bit, each of which would be settings: none is taken up.
            path = mount / "settings.yaml"
            with path.open("w") as file:
                for character in "threshold: 0.75\nalgorithm: CloudOnly\n":
                    file.write(character)
                    file.flush()  # not to the disk, which may take as long as a file has to rest
                    await asyncio.sleep(0.1)
            await traffic.until(lambda each: each[0] == "CloudOnly")
    assert not traffic.lost
    assert set(traffic.chats) <= SEEN and len(traffic.chats) > 100
    assert set(traffic.v2) == {("EdgeOnly", 0.25, "edge"), ("CloudOnly", 0.75, "cloud")}
    log = server.log.read_text()
    assert "reload: settings refused, the old one stays" in log and "sk-" not in log


async def status(client: httpx.AsyncClient, key: str) -> int:
    headers = {"authorization": f"Bearer {key}"}
    return (await client.get("/v1/models", headers=headers)).status_code


async def refused(client: httpx.AsyncClient, whats: set[str]) -> None:
    """Prometheus has counted one of each."""
    async with asyncio.timeout(WAIT):
        while True:
            text = (await client.get("/metrics")).text
            lines = {f'hem_reload_total{{outcome="refused",what="{what}"}} 1.0' for what in whats}
            if lines <= set(text.splitlines()):
                return
            await asyncio.sleep(0.1)


async def test_who_may_ask_an_admins_question(start_server: StartServer, mount: Mounted) -> None:
    server = await asyncio.to_thread(
        started, start_server, mount, "http://127.0.0.1:9", "http://127.0.0.1:9"
    )
    async with httpx.AsyncClient(base_url=server.url) as client:
        for method, path in (("POST", RELOAD), ("GET", CONFIG)):
            for key, expected in (("", 401), ("sk-wrong", 401), ("sk-old", 403), ("sk-admin", 200)):
                headers = {"authorization": f"Bearer {key}"} if key else {}
                answer = await client.request(method, path, headers=headers)
                assert answer.status_code == expected
                assert "error" in answer.json() or expected == 200
                assert "sk-" not in answer.text
        config = (await client.get(CONFIG, headers=ADMIN)).json()
    assert config["algorithm"] == "EdgeOnly" and config["threshold"] == 0.25
    assert config["tokens"]["callers"] == {"team": {}, "anna": {"admin": True}}
    assert set(config["files"].pop("tokens").values()) == {None}  # of a key it would be a key's
    assert all(len(h) == 12 for files in config["files"].values() for h in files.values())
