"""Each kind of caller who hurts sends what its name says."""

import json
import time

import httpx
import pytest

from tests.soak.bad_callers import FORGED, KINDS, TOO_LARGE_BYTES, Address, BadCallers
from tests.soak.caller_process import CallerProcess


class Heard:
    """What a kind of caller has sent, as httpx would."""

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []
        client = httpx.AsyncClient(transport=httpx.MockTransport(self._answer))
        self.callers = BadCallers(client, "http://127.0.0.1:9/", [Address("qa-edge", 9, 9)])

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return httpx.Response(418)


@pytest.fixture
def heard() -> Heard:
    return Heard()


async def sent(heard: Heard, kind: str) -> httpx.Request:
    await heard.callers._call(kind)
    assert heard.callers.statuses[kind] == {418: 1}
    return heard.requests[-1]


async def test_tiny_temperatures_come_in_turn(heard: Heard) -> None:
    bodies = [json.loads((await sent_again(heard)).content) for _ in range(8)]
    values = {(name, v) for b in bodies for name, v in b["parameters"].items()}
    assert ("temperature", 1e-320) in values
    assert ("top_p", 1e-320) in values


async def sent_again(heard: Heard) -> httpx.Request:
    await heard.callers._call("tiny temperature")
    return heard.requests[-1]


async def test_unload_names_the_model(heard: Heard) -> None:
    assert (await sent(heard, "unload")).url.path == "/v2/repository/models/qa-edge/unload"


async def test_a_forged_name_has_a_line_of_its_own(heard: Heard) -> None:
    path = (await sent(heard, "forged model name")).url.path
    assert FORGED in path.split("\n")[1]


async def test_sizes_are_what_they_are_called(heard: Heard) -> None:
    assert len((await sent(heard, "body too large")).content) == TOO_LARGE_BYTES
    assert len((await sent(heard, "huge query")).content) > 7_000_000
    assert len((await sent(heard, "many headers")).headers) > 5_000
    rows = json.loads((await sent(heard, "10,000 rows")).content)["inputs"][0]
    assert rows["shape"] == [len(rows["data"])] == [10_000]


async def test_a_500_is_counted(heard: Heard) -> None:
    heard.callers.client = httpx.AsyncClient(
        transport=httpx.MockTransport(lambda request: httpx.Response(500))
    )
    await heard.callers._call("strange headers")
    assert heard.callers.statuses["strange headers"] == {500: 1}


@pytest.mark.parametrize("kind", KINDS)
async def test_who_reaches_nobody_is_counted_too(heard: Heard, kind: str) -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    heard.callers.client = httpx.AsyncClient(transport=httpx.MockTransport(refuse))
    await heard.callers._call(kind)
    assert sum(heard.callers.statuses[kind].values()) == 1


def test_callers_of_another_process_tell_what_they_got() -> None:
    with CallerProcess("http://127.0.0.1:9/", [Address("qa-edge", 9, 9)]) as callers:
        assert callers.change({"unload": 20}) == {}
        time.sleep(1)
        got = callers.change({})
        assert set(got["unload"]) == {0}
        assert callers.change({}) == {}
