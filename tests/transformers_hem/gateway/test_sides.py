"""Which side answers a chat: by the decision, by what a side can take, and where a side fails."""

import json
import resource
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from predictors.contract import EDGE
from tests.predictors.upstream.slow_side import head, slow_side
from tests.transformers_hem.gateway.gateway_under_test import NOBODY, chat, gateway
from transformers_hem.algorithms.base import AlgorithmParameters, Batch, Route
from transformers_hem.guards.base import Guard

STREAM = (
    b'data: {"id": "c", "model": "NAME", "choices": [{"index": 0, "delta": {"content": "hi"}, '
    b'"finish_reason": null}]}\n\n'
    b'data: {"id": "c", "model": "NAME", "choices": [{"index": 0, "delta": {}, '
    b'"finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'
)


def answering(name: str) -> bytes:
    return head("text/event-stream") + STREAM.replace(b"NAME", name.encode())


def refusing(status: int, **error: Any) -> bytes:
    body = json.dumps({"error": {"message": "no", "type": "x", "param": None, **error}}).encode()
    return f"HTTP/1.1 {status} X\r\nconnection: close\r\n\r\n".encode() + body


@asynccontextmanager
async def site(
    algorithm: str, edge: bytes | None, cloud: bytes | None, **options: Any
) -> AsyncIterator[httpx.AsyncClient]:
    """None: nobody listens there."""
    async with slow_side([(0, edge or b"")]) as edge_url, slow_side([(0, cloud or b"")]) as url:
        sides = {"edge": edge_url if edge else NOBODY, "cloud": url if cloud else NOBODY}
        async with gateway(**sides, algorithm=algorithm, **options) as client:
            yield client


async def ask(client: httpx.AsyncClient, **fields: Any) -> httpx.Response:
    return await client.post("/v1/chat/completions", json=chat(**fields))


@pytest.mark.parametrize("side", ["edge", "cloud"])
async def test_the_decision_picks_the_side(side: str) -> None:
    algorithm = {"edge": "EdgeOnly", "cloud": "CloudOnly"}[side]
    async with site(algorithm, answering("small"), answering("large")) as client:
        seen = await ask(client)
        assert seen.headers["x-hem-route"] == side
        assert seen.headers["x-hem-served-by"] == {"edge": "small", "cloud": "large"}[side]
        forced = await ask(client, model="qa-edge")
        assert forced.headers["x-hem-served-by"] == "small"
        assert forced.headers["x-hem-reason"] == "prefer"


CANNOT = {
    "a context that is too long": refusing(400, code="context_length_exceeded"),
    "a field": refusing(400, code="unsupported", param="tools"),
}


@pytest.mark.parametrize("edge", CANNOT.values(), ids=CANNOT)
async def test_what_the_edge_can_not_take_goes_to_the_cloud(edge: bytes) -> None:
    async with site("EdgeOnly", edge, answering("large")) as client:
        seen = await ask(client)
        assert seen.status_code == 200
        assert seen.headers["x-hem-reason"] == "edge_cannot"
        assert seen.headers["x-hem-served-by"] == "large"
        assert (await ask(client, model="qa-edge")).status_code == 400


async def test_what_is_the_callers_fault_goes_nowhere_else() -> None:
    edge = refusing(400, param="messages[0].content")
    async with site("EdgeOnly", edge, answering("large")) as client:
        seen = await ask(client)
    assert seen.status_code == 400
    assert seen.json()["error"]["param"] == "messages[0].content"
    assert seen.headers["x-hem-route"] == "edge"


FAILING: dict[str, tuple[bytes | None, str]] = {
    "nobody there": (None, "unreachable"),
    "a wrong key": (refusing(401), "401"),
    "overloaded": (refusing(503), "503"),
    "too many calls": (refusing(429), "429"),
    "broken": (refusing(500), "500"),
    "an error as its first event": (
        head("text/event-stream") + b'data: {"error": {"message": "x"}}\n\n',
        "unusable",
    ),
    "no answer at all": (head() + b"<html>", "unusable"),
}


@pytest.mark.parametrize(("cloud", "why"), FAILING.values(), ids=FAILING)
async def test_where_the_cloud_fails_the_edge_answers(cloud: bytes | None, why: str) -> None:
    async with site("CloudOnly", answering("small"), cloud) as client:
        seen = await ask(client)
        assert seen.status_code == 200
        assert seen.headers["x-hem-route"] == "cloud"
        assert seen.headers["x-hem-served-by"] == "small"
        assert seen.headers["x-hem-degraded"] == why
        assert f'"degraded":"{why}"' in seen.text
        forced = await ask(client, model="qa-cloud")
        assert forced.status_code >= 400 and "x-hem-degraded" not in forced.headers


@pytest.mark.parametrize("algorithm", ["EdgeOnly", "ConfidenceRouter"])
@pytest.mark.parametrize("edge", [each for each, _ in FAILING.values()], ids=FAILING)
async def test_where_the_edge_fails_the_cloud_answers(edge: bytes | None, algorithm: str) -> None:
    async with site(algorithm, edge, answering("large")) as client:
        seen = await ask(client)
        assert seen.status_code == 200
        assert seen.headers["x-hem-route"] == "cloud"
        assert seen.headers["x-hem-reason"] == "edge_failed"
        assert seen.headers["x-hem-served-by"] == "large"
        assert "x-hem-degraded" not in seen.headers
        forced = await ask(client, model="qa-edge")
        assert forced.status_code >= 400 and forced.headers["x-hem-route"] == "edge"


class Keeps(Guard):
    """Everything at the edge."""

    def route(self, batch: Batch) -> Route | None:
        return EDGE


@pytest.mark.parametrize("algorithm", ["EdgeOnly", "ConfidenceRouter"])
async def test_what_a_guard_keeps_at_the_edge_stays_there_also_where_it_fails(
    algorithm: str,
) -> None:
    guards = {"Keeps": Keeps(AlgorithmParameters())}
    async with site(algorithm, None, answering("large"), guards=guards) as client:
        seen = await ask(client)
    assert seen.status_code == 503
    assert seen.headers["x-hem-route"] == "edge"


@pytest.mark.parametrize("algorithm", ["EdgeOnly", "ConfidenceRouter"])
async def test_a_cloud_that_can_not_stand_in_says_why(algorithm: str) -> None:
    async with site(algorithm, None, refusing(429)) as client:
        seen = await ask(client)
    assert seen.status_code == 503
    assert "429" in seen.json()["error"]["message"]


async def test_where_both_fail_the_caller_reads_why() -> None:
    async with site("CloudOnly", None, None) as client:
        seen = await ask(client)
    assert seen.status_code == 503
    assert "can't be reached" in seen.json()["error"]["message"]


async def test_only_who_has_a_key_is_answered(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("sk-good\n")
    async with site("EdgeOnly", answering("small"), None, keys=keys) as client:
        for header, status in ((None, 401), ("Bearer sk-bad", 401), ("Bearer sk-good", 200)):
            headers = {} if header is None else {"authorization": header}
            body = chat()
            seen = await client.post("/v1/chat/completions", json=body, headers=headers)
            assert seen.status_code == status
            listed = await client.get("/openai/v1/models", headers=headers)
            assert listed.status_code == status
            if status == 401:
                assert seen.json()["error"]["type"] == "authentication_error"
                assert "sk-" not in seen.text


BAD: dict[str, tuple[dict[str, Any], int, str | None]] = {
    "no messages": ({"messages": []}, 400, "messages"),
    "a role": ({"messages": [{"role": "x", "content": "y"}]}, 400, "messages[0].role"),
    "a type": ({"temperature": "hot"}, 400, "temperature"),
    "choices": ({"n": 1000}, 400, "n"),
    "a field": ({"foo": 1}, 400, "foo"),
    "a model": ({"model": "other"}, 404, None),
    "a tool's answer to nobody": (
        {"messages": [{"role": "tool", "content": "2", "tool_call_id": "c"}]},
        400,
        "messages[0].role",
    ),
    "wrong deep inside": (
        {"messages": [{"role": "user", "content": [{"type": "text", "text": 1}]}]},
        400,
        "messages[0].content[0].text",
    ),
}


@pytest.mark.parametrize(("fields", "status", "param"), BAD.values(), ids=BAD)
async def test_bad_input_asks_nobody(
    fields: dict[str, Any], status: int, param: str | None
) -> None:
    async with site("CloudOnly", None, None) as client:
        seen = await ask(client, **fields)
    assert seen.status_code == status
    error = seen.json()["error"]
    assert (error["param"], set(error)) == (param, {"message", "type", "param", "code"})
    if status == 404:
        assert "known: qa, qa-cloud, qa-edge" in error["message"]
    assert seen.headers["x-request-id"]


TOOLS = [{"type": "function", "function": {"name": "f"}}]
REFUSED: dict[str, tuple[dict[str, Any], bytes, int, str | None]] = {
    "tools that no side has": ({"tools": TOOLS}, refusing(400, param="tools"), 400, "tools"),
    "more than the limit": ({"text": "x" * 9_000_000}, answering("large"), 413, None),
    "too many choices": ({"n": 129}, answering("large"), 400, "n"),
}


@pytest.mark.parametrize(("fields", "cloud", "status", "param"), REFUSED.values(), ids=REFUSED)
async def test_a_refusal_has_openais_shape_and_the_next_request_is_answered(
    fields: dict[str, Any], cloud: bytes, status: int, param: str | None
) -> None:
    async with site("CloudOnly", answering("small"), cloud) as client:
        seen = await ask(client, **fields)
        assert seen.status_code == status
        error = seen.json()["error"]
        assert (error["type"], error["param"]) == ("invalid_request_error", param)
        assert (await ask(client, model="qa-edge")).status_code == 200


async def test_the_ledger_of_a_gateway_says_why_each_chat_left_and_what_it_used(
    tmp_path: Path,
) -> None:
    path = tmp_path / "egress.jsonl"
    usage = b'{"prompt_tokens": 5, "completion_tokens": 2}'
    answer = answering("large").replace(
        b'"finish_reason": "stop"}]',
        b"%b, %b" % (b'"finish_reason": "stop"}]', b'"usage": ' + usage),
    )
    async with site("CloudOnly", None, answer, ledger=path) as client:
        await ask(client)
        await ask(client, model="qa-cloud")
    rows = [json.loads(line) for line in path.read_bytes().splitlines()]
    asked = [row for row in rows if row["kind"] == "intent" and row["method"] == "POST"]
    ends = {row["of"]: row for row in rows if row["kind"] == "outcome"}
    assert [row["decision"]["reason"] for row in asked] == ["algorithm", "prefer"]
    for row in asked:
        end = ends[row["n"]]
        assert (end["model"], end["prompt_tokens"], end["completion_tokens"]) == ("large", 5, 2)


async def test_where_the_ledger_is_full_the_edge_answers_what_would_leave(tmp_path: Path) -> None:
    """A limit of the size of files stands for the full disk: to write fails alike."""
    path = tmp_path / "egress.jsonl"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    sides = (answering("small"), answering("large"))
    async with site("CloudOnly", *sides, ledger=path) as client:
        size = path.stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10, hard))
        try:
            seen = await ask(client)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert (seen.status_code, seen.headers["x-hem-served-by"]) == (200, "small")
        assert path.stat().st_size == size
        assert (await ask(client)).headers["x-hem-served-by"] == "large"
