"""The local router against what KServe's own router answered and called."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from inferencegraph.router.app import create_app
from tests.conftest import ROOT, free_port
from tests.inferencegraph.router.graph_under_test import (
    CannedUpstreams,
    Stage,
    as_bytes,
)

CASES_FILE = ROOT.parent / "shared" / "conformance" / "router_cases.json"
CASES: list[dict[str, Any]] = json.loads(CASES_FILE.read_bytes()) if CASES_FILE.is_file() else []
RECORDED_HEADERS = {"authorization", "content-type", "x-trace", "x-other"}

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(not CASES, reason="../shared is absent: KServe's answers are there"),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stages() -> AsyncIterator[tuple[Stage, Stage]]:
    """Where the upstreams are, and where the router is: the same two ports for all cases."""
    async with Stage() as upstreams, Stage() as router:
        yield upstreams, router


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
async def test_router_answers_and_calls_as_kserve_does(
    case: dict[str, Any], stages: tuple[Stage, Stage]
) -> None:
    upstreams, router = stages
    upstreams.app = canned = CannedUpstreams(case["upstreams"])
    graph = json.dumps(case["graph"]).replace("http://UPSTREAM", upstreams.url)
    graph = graph.replace("http://CLOSED", f"http://127.0.0.1:{free_port()}")
    patterns = case["propagate_headers"].split(",") if "propagate_headers" in case else ()
    router.app = create_app(json.loads(graph), propagate_headers=patterns)
    async with httpx.AsyncClient(base_url=router.url) as client:
        request = case["request"]
        response = await client.post(
            request.get("path", "/"),
            content=as_bytes(request["body"]),
            headers=request.get("headers"),
        )
    await router.app.aclose()
    expected = case["expect"]
    assert response.status_code == expected["status"]
    assert response.headers.get("content-type") == expected["content_type"]
    assert _said(response, expected)
    assert _comparable(canned.calls, expected) == _comparable(expected["calls"], expected)


def _said(response: httpx.Response, expected: dict[str, Any]) -> bool:
    if "body" in expected:
        return response.content == expected["body"].encode()
    said = response.json()
    cause_fits = said["cause"] == expected["cause"] or (expected["cause"] is None and said["cause"])
    return said["error"] == expected["error"] and bool(cause_fits)


def _comparable(calls: list[dict[str, Any]], expected: dict[str, Any]) -> list[Any]:
    """Calls as lists of what KServe's recording has: headers only where it has them."""
    with_headers = any("headers" in call for call in expected["calls"])
    rows = [
        [
            *(call["upstream"], call["method"], as_bytes(call["body"])),
            *(sorted(RECORDED_HEADERS & call["headers"].keys()) if with_headers else ()),
            *(call["headers"].get(name) for name in sorted(RECORDED_HEADERS) if with_headers),
        ]
        for call in calls
    ]
    return sorted(rows) if expected.get("calls_in_any_order") else rows
