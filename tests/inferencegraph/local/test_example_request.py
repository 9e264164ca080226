"""What `hem up` suggests to ask, by what the models behind the graph say that they take."""

import asyncio
import json
import shlex
from contextlib import AsyncExitStack
from typing import Any

import pytest

from inferencegraph.local.example_request import (
    EXAMPLE_QUERY,
    LONG_EXAMPLE_QUERY,
    chats,
    suggestions,
)
from inferencegraph.local.plan import Component, Plan
from predictors.contract import TEXT_INPUT, text_request
from tests.conftest import free_port
from tests.listening import Connection, listening

URL = "http://127.0.0.1:8080"
TEXT = {"name": TEXT_INPUT, "datatype": "BYTES", "shape": [-1]}
GRAPH = {"spec": {"nodes": {"root": {"steps": [{"serviceName": "hem"}, {"serviceName": "edge"}]}}}}


async def suggested(**inputs: list[dict[str, Any]] | None) -> list[str]:
    """With one model of each name, which says of itself that it takes these inputs; of None
    nobody answers."""
    components = []
    async with AsyncExitStack() as servers:
        for name, taken in inputs.items():
            port = free_port()
            if taken is not None:
                model = serving(f"/v2/models/{name}", {"inputs": taken})
                await servers.enter_async_context(listening(model, port=port))
            components.append(Component(name, name, (), {}, port, "/"))
        return await suggestions(Plan(tuple(components), {}, (GRAPH,)), URL)


def serving(path: str, answer: object) -> Connection:
    async def answered(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = (await reader.readline()).decode()
        body = json.dumps(answer).encode() if line.split()[1] == path else b"no such model"
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
        await writer.drain()

    return answered


def body_of(curl: str) -> Any:
    return json.loads(shlex.split(curl)[-1])


@pytest.mark.parametrize(
    ("settings", "has_page"),
    [
        ({}, True),
        ({"HEM_UI": "auto"}, True),
        ({"HEM_UI": "off"}, False),
        ({"HEM_HOST": "0.0.0.0"}, False),
        ({"HEM_HOST": "0.0.0.0", "HEM_UI": "on"}, True),
    ],
)
def test_a_gateways_page_stands_below_it_where_it_is_on(
    settings: dict[str, str], has_page: bool
) -> None:
    environment = {"HEM_CLOUD_URL": "http://c", "HEM_HOST": "127.0.0.1", **settings}
    gateway = Component("qa-hem", "qa-hem", (), environment, 8180, "/")
    other = Component("qa-edge", "qa-edge", (), {"HEM_HOST": "127.0.0.1"}, 8181, "/")
    lines = chats(Plan((gateway, other), {}, (GRAPH,)))
    assert lines[0].startswith("hem: gateway http://127.0.0.1:8180/v1 ")
    pages = [line for line in lines if line.startswith("hem: page ")]
    assert [line.split()[2] for line in pages] == ["http://127.0.0.1:8180/ui"] * has_page


async def test_a_graph_of_language_models_is_asked_a_question() -> None:
    question, curl = await suggested(hem=[TEXT], edge=[TEXT])
    assert shlex.split(question) == ["hem", "ask", EXAMPLE_QUERY, "--url", URL]
    assert body_of(curl) == text_request([EXAMPLE_QUERY])


async def test_the_long_pair_is_asked_what_it_knows() -> None:
    command = ("python", "-m", "predictors", "--model_dir=embedded:long-edge")
    edge = Component("edge", "edge", command, {}, free_port(), "/")
    question, curl = await suggestions(Plan((edge,), {}, (GRAPH,)), URL)
    assert shlex.split(question) == ["hem", "ask", LONG_EXAMPLE_QUERY, "--url", URL]
    assert body_of(curl) == text_request([LONG_EXAMPLE_QUERY])


@pytest.mark.parametrize("hem", [None, [], [{"no": "name"}]])
async def test_where_no_model_says_anything_it_is_a_question(hem: Any) -> None:
    assert (await suggested(hem=hem, edge=None))[0].startswith("hem ask")


async def test_a_model_of_tensors_is_believed_over_mining_before_it() -> None:
    image = {"name": "image", "datatype": "FP32", "shape": [-1, 2, 3]}
    takes, curl = await suggested(hem=[TEXT], edge=[image])
    assert takes.startswith("takes image FP32 [-1, 2, 3]; its model: curl -s http://127.0.0.1:")
    assert body_of(curl) == {"inputs": [{**image, "shape": [1, 2, 3], "data": [0] * 6}]}


async def test_models_that_are_not_in_the_graph_have_no_say() -> None:
    image = {"name": "image", "datatype": "FP32", "shape": [-1, 8, 8]}
    assert (await suggested(edge=[TEXT], other=[image]))[0].startswith("hem ask")


@pytest.mark.parametrize(
    ("datatype", "shape"),
    [("FP32", [-1, 3, 224, 224]), ("FP32", [-1, 3, -1, -1]), ("BYTES", [-1]), ("FP16", [-1, 4])],
    ids=["large", "of any size", "bytes", "not in JSON"],
)
async def test_no_blank_tensor_where_there_is_none_for_a_terminal(
    datatype: str, shape: list[int]
) -> None:
    (takes,) = await suggested(edge=[{"name": "image", "datatype": datatype, "shape": shape}])
    assert takes.startswith("takes image")
