"""`hem apply --wait`, and what it does where the API server is busy or drops a connection."""

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.inferencegraph.cluster.api_refusals import status
from tests.inferencegraph.cluster.api_server import ApiServer, Fault
from tests.inferencegraph.cluster.conftest import Hem
from tests.inferencegraph.cluster.controller import make_ready, reconcile
from tests.inferencegraph.cluster.shop import SERVICES

Capture = pytest.CaptureFixture[str]


def test_wait_ends_when_all_parts_run(
    server: ApiServer, hem: Hem, spec: Path, capsys: Capture
) -> None:
    when_graphs_are_there(server, lambda: reconcile(server))
    assert hem("apply", "-f", spec, "--wait", "--timeout", "60", "--json") == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["ready"] is True
    assert "InferenceGraph/shop-till-1: Running, Ready" in said.err


def test_wait_says_what_is_not_ready_and_why(
    server: ApiServer, hem: Hem, spec: Path, capsys: Capture
) -> None:
    hem("apply", "-f", spec)
    reconcile(server)
    server.update("Deployment", "shop-cloud-predictor", _unavailable)
    capsys.readouterr()
    assert hem("apply", "-f", spec, "--wait", "--timeout", "0.5") == 1
    said = capsys.readouterr().err
    late = said.partition("not ready after 0.5 s:")[2]
    assert "InferenceService/shop-cloud: Failed, ProgressDeadlineExceeded: took too long" in late
    assert "till-1" not in late


def _unavailable(content: dict[str, Any]) -> None:
    content["status"]["conditions"] = [
        {"type": "Available", "status": "False", "reason": "MinimumReplicasUnavailable"},
        {
            "type": "Progressing",
            "status": "False",
            "reason": "ProgressDeadlineExceeded",
            "message": "took too long",
        },
    ]


def test_the_api_server_may_ask_to_wait(
    server: ApiServer, hem: Hem, spec: Path, capsys: Capture
) -> None:
    answer = 429, status(429, "TooManyRequests", "slow down")
    fault = Fault(lambda each: each.method == "PATCH", answer, 2, {"Retry-After": "1"})
    server.faults.append(fault)
    assert hem("apply", "-f", spec) == 0
    assert fault.times == 0
    assert sorted(server.objects("InferenceService")) == sorted(SERVICES)


@pytest.mark.parametrize("method", ["GET", "PATCH", "POST"])
def test_a_dropped_connection_is_made_again(
    method: str, server: ApiServer, hem: Hem, spec: Path
) -> None:
    fault = Fault(lambda each: each.method == method, None, times=2)
    server.faults.append(fault)
    assert hem("apply", "-f", spec) == 0
    assert fault.times == 0
    assert len(server.objects("InferenceService")) == 7


def when_graphs_are_there(server: ApiServer, act: Callable[[], None]) -> None:
    """As a controller, which sees objects come and acts."""

    def follow() -> None:
        while len(server.objects("InferenceGraph")) < 2:
            server.changed.wait(1)
            server.changed.clear()
        act()

    threading.Thread(target=follow, daemon=True).start()


def test_a_part_that_becomes_ready_later_is_seen_by_the_watch(
    server: ApiServer, hem: Hem, spec: Path
) -> None:
    hem("apply", "-f", spec)
    reconcile(server)
    server.update("InferenceGraph", "shop-till-2", lambda each: each.pop("status"))

    def later() -> None:
        server.watched.wait(20)
        make_ready(server, "InferenceGraph", "shop-till-2")

    threading.Thread(target=later, daemon=True).start()
    assert hem("apply", "-f", spec, "--wait", "--timeout", "60") == 0
