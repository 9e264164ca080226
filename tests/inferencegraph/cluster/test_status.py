"""`hem status` against a Kubernetes API on a socket: what runs, who may ask, what is stored."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from inferencegraph.spec.schema import crd
from tests.inferencegraph.cluster.api_refusals import forbidden
from tests.inferencegraph.cluster.api_server import ApiServer, Fault
from tests.inferencegraph.cluster.conftest import Hem, printed
from tests.inferencegraph.cluster.controller import reconcile
from tests.inferencegraph.cluster.shop import EDGE, not_ready

Capture = pytest.CaptureFixture[str]


def test_where_all_runs_the_exit_code_is_0(running: ApiServer, hem: Hem, capsys: Capture) -> None:
    assert hem("status", "shop") == 0
    said = capsys.readouterr().out
    assert said.startswith("shop in default: Running, since 20")
    assert "http://shop-till-2.default.svc.cluster.local" in said
    assert max(map(len, said.splitlines())) <= 80


def test_a_site_has_its_graphs_url_and_none_before_that_is_ready(
    running: ApiServer, hem: Hem, capsys: Capture
) -> None:
    running.update("InferenceGraph", "shop-till-1", lambda each: each["status"].pop("url"))
    hem("status", "shop")
    said = capsys.readouterr().out
    assert "shop-till-1: http" not in said
    assert "shop-till-2: http://shop-till-2.default.svc.cluster.local" in said
    assert "shop: http://shop-cloud.default.svc.cluster.local" in said  # what has no graph


@pytest.mark.parametrize("side", ["edge", "cloud"])
def test_one_side_alone_has_its_own_url(
    side: str, server: ApiServer, hem: Hem, spec: Path, capsys: Capture
) -> None:
    content = yaml.safe_load(spec.read_text())
    del content["spec"]["cloudWorker" if side == "edge" else "edgeWorker"]
    if side == "edge":
        del content["spec"]["edgeWorker"]["hardExampleMining"]
        content["spec"]["edgeWorker"]["nodes"] = ["till-1"]
    spec.write_text(yaml.safe_dump(content))
    hem("apply", "-f", spec)
    reconcile(server)
    capsys.readouterr()
    assert hem("status", "shop", "--json") == 0
    [shown] = printed(capsys)
    assert shown["status"]["url"] == f"http://shop-{side}.default.svc.cluster.local"


def test_start_is_a_time_today_and_a_date_before(
    running: ApiServer, hem: Hem, capsys: Capture
) -> None:
    def older(content: dict[str, Any]) -> None:
        content["metadata"]["creationTimestamp"] = "2026-08-21T10:00:00Z"

    running.update("InferenceService", EDGE, older)
    hem("status", "shop")
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["edge", "Running", "1", "0", "2026-08-21", "-"] in rows
    [cloud] = [row for row in rows if row[:2] == ["shop", "cloud"]]
    assert cloud[5].count(":") == 2


def test_the_status_is_the_documents(running: ApiServer, hem: Hem, capsys: Capture) -> None:
    hem("status", "shop", "--json")
    [shown] = printed(capsys)
    status = shown["status"]
    assert {each["type"]: each["status"] for each in status["conditions"]} == {
        "Pending": "False",
        "Running": "True",
        "Failed": "False",
    }
    for each in status["conditions"]:
        assert set(each) == {
            *("type", "status", "lastHeartbeatTime", "lastTransitionTime", "reason", "message")
        }
        assert each["reason"].isalnum()
    assert (status["active"], status["failed"]) == (9, 0)
    assert status["url"] == "http://shop-till-1.default.svc.cluster.local"
    assert status["startTime"].endswith("Z")
    assert all(set(each) == {"key", "value"} for each in status["metrics"])


def test_an_unknown_name_is_told_with_the_known_ones(
    running: ApiServer, hem: Hem, capsys: Capture
) -> None:
    assert hem("status", "shpo") == 2
    assert "known: shop; did you mean 'shop'?" in capsys.readouterr().err


def test_without_the_right_to_see_events_the_rest_is_shown(
    running: ApiServer, hem: Hem, capsys: Capture
) -> None:
    answer = forbidden("list", "events", "", "default")
    running.faults.append(Fault(lambda each: each.path.endswith("/events"), answer))
    assert hem("status") == 0


def test_without_the_right_to_see_pods_it_says_so(
    running: ApiServer, hem: Hem, capsys: Capture
) -> None:
    answer = forbidden("list", "pods", "", "default")
    running.faults.append(Fault(lambda each: each.path.endswith("/pods"), answer, times=9))
    assert hem("status") == 2
    assert "no permission to list pods in namespace 'default'" in capsys.readouterr().err


def test_write_stores_the_status_beside_the_spec(
    server: ApiServer, hem: Hem, spec: Path, capsys: Capture
) -> None:
    server.put(crd())
    hem("apply", "-f", spec)
    reconcile(server)
    capsys.readouterr()
    assert hem("status", "--write", "--json") == 0
    stored = server.objects("LLMJointInferenceService")["shop"]
    [shown] = printed(capsys)
    assert stored["status"] == shown["status"]
    [patch] = server.sent("PATCH", "/status")
    assert patch.path.endswith("/namespaces/default/llmjointinferenceservices/shop/status")
    not_ready(server)
    assert hem("status", "--write") == 3
    later = server.objects("LLMJointInferenceService")["shop"]["status"]["conditions"]
    before = {each["type"]: each for each in stored["status"]["conditions"]}
    after = {each["type"]: each for each in later}
    assert after["Pending"]["status"] == "True"
    assert after["Running"]["status"] == "False"
    assert after["Failed"]["lastTransitionTime"] == before["Failed"]["lastTransitionTime"]
    assert after["Pending"]["lastTransitionTime"] != before["Pending"]["lastTransitionTime"]
    assert hem("apply", "-f", spec) == 0
    kept = server.objects("LLMJointInferenceService")["shop"]
    assert kept["status"]["conditions"] == later


@pytest.mark.parametrize("known", [True, False])
def test_write_needs_the_kind_and_the_object(
    known: bool, running: ApiServer, hem: Hem, capsys: Capture
) -> None:
    if known:
        running.put(crd())
    assert hem("status", "--write") == 2
    said = capsys.readouterr().err
    wanted = "apply its spec with `hem apply -f`" if known else "hem schema --crd"
    assert wanted in said
