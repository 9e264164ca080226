"""How the local router behaves where no recorded case of KServe's says it."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest

from inferencegraph.router.app import TRACING, create_app
from predictors.errors import ConfigurationError
from tests.conftest import free_port
from tests.inferencegraph.router.graph_under_test import (
    CannedUpstreams,
    Stage,
    routing,
    sequence,
)
from tests.listening import listening

ECHO = {"echo": True, "body": ""}


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with Stage() as stage:
        stage.app = CannedUpstreams({"echo": ECHO, "json": {"body": {"a": 1}}})
        yield stage


def step(stage: Stage, name: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "serviceUrl": f"{stage.url}/{name}", **fields}


def cause_of(response: httpx.Response) -> str:
    """The cause in an error body of the router."""
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    assert body["error"] == "Failed to process request"
    assert body.keys() == {"error", "cause"}
    return str(body["cause"])


@pytest.mark.parametrize(
    "data",
    [
        "$response.predictions",
        "$response.outputs.0",
        "response",
        "$Response",
        "$request.id",
        "",
        " ",
    ],
)
async def test_data_is_the_request_unless_it_is_exactly_the_response(
    data: str, stage: Stage
) -> None:
    graph = sequence(step(stage, "json"), step(stage, "echo", data=data))
    async with routing(graph) as client:
        response = await client.post("/", json={"asked": 1})
    assert response.json() == {"asked": 1}


async def test_large_and_odd_bodies_pass_byte_for_byte(stage: Stage) -> None:
    graph = sequence(step(stage, "echo"), step(stage, "echo", data="$response"))
    bodies = [
        json.dumps({"x": "caf\u00e9 \u4f60\u597d \U0001f600"}, ensure_ascii=False).encode(),
        b'  {"x" :\t1e400, "x": "\\u00e9\\ud800"}\r\n',
        b'{"x": "\xff\xfe"}',
        random.Random(1).randbytes(100_000),
        b'{"x": "' + b"0123456789" * 1_000_000 + b'"}',
        b"",
    ]
    async with routing(graph) as client:
        for body in bodies:
            response = await client.post("/v2/models/m/infer", content=body)
            assert response.status_code == 200
            assert response.content == body
            assert response.headers["content-length"] == str(len(body))


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b'{"a": 1}', "application/json"),
        (b'"text"', "application/json"),
        (b"text", "text/plain; charset=utf-8"),
        (b"\x00\x01", "application/octet-stream"),
        (b"\xef\xbb\xbftext \xff", "text/plain; charset=utf-8"),
        (b"t" * 511 + b"\x00", "application/octet-stream"),
        (b"t" * 512 + b"\x00", "text/plain; charset=utf-8"),
    ],
)
async def test_the_content_type_of_json_text_and_bytes_is_what_go_says(
    stage: Stage, body: bytes, content_type: str
) -> None:
    async with routing(sequence(step(stage, "echo"))) as client:
        response = await client.post("/", content=body)
    assert response.headers["content-type"] == content_type


async def test_any_method_runs_the_graph_and_readyz_does_not(stage: Stage) -> None:
    async with routing(sequence(step(stage, "json"))) as client:
        assert (await client.get("/anything")).json() == {"a": 1}
        assert (await client.put("/", content=b"{}")).json() == {"a": 1}
        assert (await client.head("/")).content == b""
        before = len(stage.app.calls)
        ready = await client.get("/readyz")
        assert (ready.status_code, ready.content) == (200, b"")
    assert [call["method"] for call in stage.app.calls] == ["POST"] * before


async def test_a_status_without_a_body_passes_without_one(stage: Stage) -> None:
    stage.app = CannedUpstreams({"none": {"status": 204, "body": ""}})
    async with routing(sequence(step(stage, "none"))) as client:
        response = await client.post("/", content=b"{}")
        assert (await client.get("/readyz")).status_code == 200
    assert response.status_code == 204
    assert "content-length" not in response.headers


async def test_redirects_are_followed_as_by_go(stage: Stage) -> None:
    location = [(b"location", b"/echo")]
    moved = {"status": 307, "body": "", "headers": location}
    stage.app = CannedUpstreams({"moved": moved, "echo": ECHO})
    async with routing(sequence(step(stage, "moved"))) as client:
        response = await client.post("/", content=b'{"kept": true}')
    assert response.json() == {"kept": True}


async def test_one_connection_serves_many_requests(stage: Stage) -> None:
    connections = 0

    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while await reader.readuntil(b"\r\n\r\n{}"):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    async with listening(count) as address:
        url = f"http://{address}/"
        async with routing(sequence({"serviceUrl": url}, {"serviceUrl": url})) as client:
            for _ in range(5):
                assert (await client.post("/", content=b"{}")).status_code == 200
    assert connections == 1


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def answering(content: bytes, keep_open: bool = False, later: bytes = b"") -> Handler:
    """Reads the request's head, sends `content`, then `later`, then closes or falls silent."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(content)
        await writer.drain()
        if later:
            await asyncio.sleep(0.2)  # so that it comes apart
            writer.write(later)
        if keep_open:
            await asyncio.sleep(60)

    return handle


@pytest.mark.parametrize(
    ("handler", "cause"),
    [
        (answering(b""), "closed the connection"),
        (answering(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"), "broke off its answer"),
        (answering(b"this is no HTTP\r\n\r\n"), "http://127.0.0.1"),
        (
            answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", later=b"no\r\n"),
            "broke off its answer: not HTTP: Invalid character in chunk size",
        ),
        (answering(b"", keep_open=True), "in time"),
        (answering(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", keep_open=True), "in time"),
    ],
    ids=[
        "closes at once",
        "closes within its body",
        "no HTTP",
        "no HTTP within its body",
        "silent",
        "silent within its body",
    ],
)
async def test_an_upstream_that_breaks_off_ends_the_graph(handler: Handler, cause: str) -> None:
    async with listening(handler) as address:
        url = f"http://{address}/"
        async with routing(sequence({"serviceUrl": url}, serviceClient=1)) as client:
            response = await client.post("/", content=b"{}")
    assert response.status_code == 500
    assert cause in cause_of(response)
    assert url in cause_of(response)


async def test_a_body_without_an_end_ends_the_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inferencegraph.router.step.MAX_BODY_BYTES", 1000)

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"64\r\n%b\r\n" % bytes(100))
            await writer.drain()

    async with listening(handle) as address:
        url = f"http://{address}/"
        async with routing(sequence({"serviceUrl": url})) as client:
            response = await client.post("/", content=b"{}")
    assert response.status_code == 500
    assert f"{url} answered more than 1000 bytes" in cause_of(response)


async def test_the_graph_as_a_whole_has_a_time_limit(stage: Stage) -> None:
    stage.app = CannedUpstreams({"slow": {"body": {}, "delay_s": 5}})
    async with routing(sequence(step(stage, "slow"), serverWrite=1)) as client:
        response = await client.post("/", content=b"{}")
    assert response.status_code == 500
    assert "routerTimeouts.serverWrite (1 s)" in cause_of(response)


async def test_a_request_that_never_ends_has_a_time_limit(stage: Stage) -> None:
    async with routing(sequence(step(stage, "echo"), serverRead=1)) as client:
        reader, writer = await asyncio.open_connection("127.0.0.1", client.base_url.port)
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
        answer = await asyncio.wait_for(reader.readuntil(b"}"), 5)
        writer.close()
    assert b" 500 " in answer
    assert b"routerTimeouts.serverRead (1 s)" in answer
    assert not stage.app.calls


async def test_a_client_that_goes_away_disturbs_nobody(stage: Stage) -> None:
    stage.app = CannedUpstreams({"slow": {"body": {"a": 1}, "delay_s": 0.3}})
    async with routing(sequence(step(stage, "slow"))) as client:
        for head in (b"Content-Length: 2\r\n\r\n{}", b"Content-Length: 9\r\n\r\n{"):
            _, writer = await asyncio.open_connection("127.0.0.1", client.base_url.port)
            writer.write(b"POST / HTTP/1.1\r\nHost: x\r\n" + head)
            await writer.drain()
            await asyncio.sleep(0.1)
            writer.close()
        assert (await client.post("/", content=b"{}")).json() == {"a": 1}
    # Like KServe's router, ours finishes a graph whose client is gone; half a request starts none.
    assert len(stage.app.calls) == 2


async def test_garbage_gets_400_and_the_next_request_works(stage: Stage) -> None:
    async with routing(sequence(step(stage, "json"))) as client:
        reader, writer = await asyncio.open_connection("127.0.0.1", client.base_url.port)
        writer.write(b"\x00 garbage\r\n\r\n")
        assert b" 400 " in await asyncio.wait_for(reader.read(), 5)
        writer.close()
        assert (await client.post("/", content=b"{}")).json() == {"a": 1}


async def test_nesting_that_no_parser_survives_is_only_passed_on(stage: Stage) -> None:
    body = b"[" * 2_000_000
    routes = [step(stage, "echo", condition="a")]
    nodes = {
        "root": {"routerType": "Sequence", "steps": [step(stage, "echo"), {"nodeName": "route"}]},
        "route": {"routerType": "Switch", "steps": routes},
    }
    async with routing(sequence(step(stage, "echo"))) as client:
        assert (await client.post("/", content=body)).content == body
    async with routing({"nodes": nodes}) as client:
        assert "None of the routes matched" in cause_of(await client.post("/", content=body))


async def test_a_splitter_follows_its_weights(stage: Stage) -> None:
    random.seed(20)
    names = {"a": 75, "b": 0, "c": 25}
    stage.app = CannedUpstreams({name: {"body": {}} for name in names})
    steps = [step(stage, name, weight=weight) for name, weight in names.items()]
    async with routing({"nodes": {"root": {"routerType": "Splitter", "steps": steps}}}) as client:
        for _ in range(300):
            assert (await client.post("/", content=b"{}")).status_code == 200
    share = Counter(call["upstream"] for call in stage.app.calls)
    assert 200 < share["a"] < 250
    assert share["b"] == 0


async def test_an_ensemble_calls_all_at_once(stage: Stage) -> None:
    both = asyncio.Barrier(2)
    canned = CannedUpstreams({"b": {"body": {"x": "<"}}, "a": {"body": {"y": 1.0}}})

    async def answers_when_both_have_come(*asgi: Any) -> None:
        async with asyncio.timeout(10):
            await both.wait()
        await canned(*asgi)

    stage.app = answers_when_both_have_come
    async with routing(ensemble(step(stage, "b"), step(stage, "a"))) as client:
        response = await client.post("/", content=b"{}")
    assert response.content == b'{"a":{"y":1},"b":{"x":"\\u003c"}}'


async def test_an_ensemble_ends_at_the_first_failure(stage: Stage) -> None:
    answers = {"list": {"body": [1]}, "refuses": {"body": {"error": "no"}, "status": 422}}
    stage.app = CannedUpstreams({**answers, "never": {"body": {}, "delay_s": 60}})
    never = step(stage, "never")
    async with routing(ensemble(never, step(stage, "list"))) as client:
        response = await client.post("/", content=b"{}")
    assert response.status_code == 500
    assert "'list'" in cause_of(response)
    async with routing(ensemble(step(stage, "refuses", dependency="Hard"), never)) as client:
        response = await client.post("/", content=b"{}")
    assert (response.status_code, response.json()) == (422, {"error": "no"})


def ensemble(*steps: dict[str, Any]) -> dict[str, Any]:
    return {"nodes": {"root": {"routerType": "Ensemble", "steps": list(steps)}}}


@pytest.mark.parametrize(
    ("patterns", "passed"),
    [
        ((), set()),
        (("X-",), {"x-one", "x-two"}),
        (("^X-One$", "Two"), {"x-one", "x-two"}),
        (("x-one",), set()),
        (("(", "X-One"), {"x-one"}),
    ],
    ids=["by default none", "found anywhere", "anchored", "case counts", "a bad one is left out"],
)
async def test_headers_pass_by_pattern(
    stage: Stage, patterns: tuple[str, ...], passed: set[str]
) -> None:
    async with routing(sequence(step(stage, "json")), patterns) as client:
        await client.post("/", content=b"{}", headers={"x-one": "1", "X-TWO": "2"})
    [call] = stage.app.calls
    assert {name for name in call["headers"] if name.startswith("x-")} == passed
    assert call["headers"]["content-type"] == "application/json"


async def test_the_names_of_a_request_pass_a_local_graph_and_no_credentials(stage: Stage) -> None:
    sent = {"x-request-id": "r-1", "traceparent": "t", "tracestate": "s", "x-b3-traceid": "b"}
    async with routing(sequence(step(stage, "json")), TRACING) as client:
        given = {**sent, "authorization": "Bearer k", "x-request-id-2": "n"}
        await client.post("/", content=b"{}", headers=given)
    [call] = stage.app.calls
    assert {name: call["headers"].get(name) for name in sent} == sent
    assert not {"authorization", "x-request-id-2"} & call["headers"].keys()


FAILED = {"status": 502, "body": {"error": "no"}, "headers": [(b"hem-failure", b"401")]}
SPARE = {"condition": "error", "data": "$request"}


@pytest.mark.parametrize(
    ("steps", "failure"),
    [
        ([("failed", {}), ("json", SPARE)], "401"),
        ([("failed", {}), ("echo", SPARE), ("json", {"data": "$request"})], "401"),
        ([("failed", {})], "401"),
        ([("json", {}), ("json", {})], None),
        ([("plain", {}), ("json", SPARE)], None),
        ([("boast", {}), ("json", {})], None),
    ],
    ids=["stood in for", "two steps later", "alone", "no failure", "no reason", "not a failure"],
)
async def test_an_answer_says_for_which_failure_it_stands(
    stage: Stage, steps: list[tuple[str, dict[str, Any]]], failure: str | None
) -> None:
    boast = {"body": {}, "headers": [(b"hem-failure", b"x")]}
    plain = {"status": 500, "body": {"error": "no"}}
    answers = {"json": {"body": {"a": 1}}, "echo": ECHO, "failed": FAILED}
    stage.app = CannedUpstreams({**answers, "plain": plain, "boast": boast})
    async with routing(sequence(*(step(stage, name, **f) for name, f in steps))) as client:
        response = await client.post("/", content=b"{}")
    assert response.headers.get("hem-failure") == failure


async def test_passing_every_header_leaves_the_connections_apart(stage: Stage) -> None:
    headers = {"Expect": "100-continue", "Connection": "close", "Content-Type": "text/x"}
    async with routing(sequence(step(stage, "echo")), [""]) as client:
        response = await client.post("/", content=b"{}", headers=headers)
    [call] = stage.app.calls
    assert response.content == b"{}"
    assert call["headers"]["host"] == httpx.URL(stage.url).netloc.decode()
    assert call["headers"]["content-type"] == "text/x"
    assert not {"expect", "connection"} & call["headers"].keys()


async def test_service_names_are_resolved_once_at_load(stage: Stage) -> None:
    spec = sequence({"name": "a", "serviceName": "edge"})
    app = create_app(spec, {"edge": f"{stage.url}/json"}.__getitem__)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://graph") as client:
        assert (await client.post("/")).json() == {"a": 1}
    await app.aclose()


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"serviceName": "edge"}, "step 'a': serviceName 'edge' has no URL here; give the step a"),
        ({"serviceUrl": "http://[::"}, "step 'a': serviceUrl 'http://[::' is not a URL"),
        ({"serviceUrl": "http://e/", "condition": "@keys"}, "step 'a': condition '@keys' has the"),
        ({"serviceUrl": "http://e/", "weight": "1"}, "nodes.root.steps.0.weight: Input should be"),
    ],
)
def test_what_cannot_be_run_here_is_refused_at_load(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        create_app(sequence({"name": "a", **fields}))
    assert reason in str(refusal.value)


def test_an_unknown_service_is_refused_at_load() -> None:
    with pytest.raises(ConfigurationError, match="there is no InferenceService 'edge'"):
        create_app(sequence({"serviceName": "edge"}), {}.__getitem__)


async def test_an_unreachable_upstream_is_named(stage: Stage) -> None:
    url = f"http://127.0.0.1:{free_port()}/x"
    async with routing(sequence({"serviceUrl": url})) as client:
        response = await client.post("/", content=b"{}")
    assert response.status_code == 500
    assert f"{url} can't be reached" in cause_of(response)
