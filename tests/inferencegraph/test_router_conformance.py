"""The local router against what KServe's own router answered and called."""

import json
from typing import Any

import pytest

from tests.conftest import ROOT, free_port
from tests.inferencegraph.graph_under_test import CannedUpstreams, as_bytes, routing, serving

CASES_FILE = ROOT.parent / "shared" / "conformance" / "router_cases.json"
CASES: list[dict[str, Any]] = json.loads(CASES_FILE.read_bytes()) if CASES_FILE.is_file() else []
RECORDED_HEADERS = {"authorization", "content-type", "x-trace", "x-other"}


@pytest.mark.skipif(not CASES, reason="../shared is absent: KServe's answers are there")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
async def test_router_answers_and_calls_as_kserve_does(case: dict[str, Any]) -> None:
    upstreams = CannedUpstreams(case["upstreams"])
    patterns = case["propagate_headers"].split(",") if "propagate_headers" in case else ()
    async with serving(upstreams) as url:
        graph = json.dumps(case["graph"]).replace("http://UPSTREAM", url)
        graph = graph.replace("http://CLOSED", f"http://127.0.0.1:{free_port()}")
        async with routing(json.loads(graph), patterns) as client:
            request = case["request"]
            response = await client.post(
                request.get("path", "/"),
                content=as_bytes(request["body"]),
                headers=request.get("headers"),
            )
    expected = case["expect"]
    assert response.status_code == expected["status"]
    assert response.headers.get("content-type") == expected["content_type"]
    if "body" in expected:
        assert response.content == expected["body"].encode()
    else:
        error = response.json()
        assert error["error"] == expected["error"]
        assert error["cause"] == (expected["cause"] or error["cause"]) != ""
    assert _comparable(upstreams.calls, expected) == _comparable(expected["calls"], expected)


def _comparable(calls: list[dict[str, Any]], expected: dict[str, Any]) -> list[Any]:
    with_headers = any("headers" in call for call in expected["calls"])
    rows = [
        (
            call["upstream"],
            call["method"],
            as_bytes(call["body"]),
            {k: v for k, v in call["headers"].items() if k in RECORDED_HEADERS}
            if with_headers
            else None,
        )
        for call in calls
    ]
    return sorted(rows, key=str) if expected.get("calls_in_any_order") else rows
