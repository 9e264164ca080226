"""What `hem status` tells of the servers' own metrics: shares, promises, live quality, drafts."""

from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from inferencegraph.cluster.connection import connect
from inferencegraph.cluster.observing import observe
from inferencegraph.cluster.status import services
from inferencegraph.cluster.telemetry import Reader
from inferencegraph.spec.schema import crd
from tests.conftest import StartServer
from tests.inferencegraph.cluster.api_refusals import forbidden
from tests.inferencegraph.cluster.api_server import ApiServer, Fault
from tests.inferencegraph.cluster.conftest import Hem, printed
from tests.inferencegraph.cluster.shop import EDGE_POD, HEM_POD, parts
from tests.transformers_hem.v2 import request

Capture = pytest.CaptureFixture[str]


def test_without_the_right_to_read_metrics_one_note_says_so(
    running: ApiServer, hem: Hem, capsys: Capture
) -> None:
    answer = forbidden("get", "pods/proxy", "", "default")
    running.faults.append(Fault(lambda each: "/proxy" in each.path, answer, times=99))
    assert hem("status", "--json") == 0
    [note] = printed(capsys)[0]["notes"]
    assert "and 3 others: user 'ada' may not" in note
    assert "kubectl auth can-i get pods --subresource=proxy -n default" in note


@pytest.fixture(scope="module")
def metrics(start_server: StartServer) -> str:
    """The text of a real HEM server that has decided 240 queries."""
    hem = start_server("transformers_hem", "--model_name", "m", ready="/v2/models/m/ready")
    with httpx.Client(base_url=hem.url) as client:
        for number in range(240):
            body = request(f"What is {number} + {number * 7 % 100}?")
            assert client.post("/v2/models/m/infer", json=body).status_code == 200
        return client.get("/metrics").text


def decided(metrics: str, route: str) -> float:
    lines = [line for line in metrics.splitlines() if line.startswith("hem_decisions_total{")]
    return sum(float(line.split()[-1]) for line in lines if f'route="{route}"' in line)


def test_share_and_promise_are_those_of_the_servers_own_metrics(
    metrics: str, running: ApiServer, hem: Hem, capsys: Capture
) -> None:
    running.metrics[HEM_POD] = metrics
    assert hem("status", "--json") == 0
    [shown] = printed(capsys)
    edge, cloud = decided(metrics, "edge"), decided(metrics, "cloud")
    assert edge + cloud == 240
    site = next(each for each in shown["sites"] if each["name"] == "shop-till-1")
    share = site["promise"]["edgeShare"]
    assert share["value"] == pytest.approx(edge / 240)
    assert share["low"] <= share["value"] <= share["high"]
    assert shown["status"]["edgeShare"] == pytest.approx(edge / 240, abs=1e-6)
    assert site["promise"]["quality"] in ("its precondition holds", "void: the traffic has drifted")
    assert (site["promise"]["drift"] > 0.2) == site["promise"]["quality"].startswith("void")
    assert parts(shown)["shop-till-1-hem"]["heartbeat"] is not None
    assert parts(shown)["shop-till-2-hem"]["heartbeat"] is None
    assert hem("status") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert f"edge share {edge / 240:.1%} (" in said
    assert "promise: no quality loss is promised, and none is watched" in said
    assert f"(score drift {site['promise']['drift']:.2f})" in said


@pytest.mark.parametrize("spelling", ["edgeRatio", "edge_ratio"])
@pytest.mark.parametrize("promised", ["kept", "missed"])
def test_a_promised_share_is_judged_by_the_stored_spec(
    spelling: str,
    promised: str,
    metrics: str,
    running: ApiServer,
    hem: Hem,
    spec: Path,
    capsys: Capture,
) -> None:
    """As `kubectl apply` stores it, too: in the spelling of the file."""
    running.put(crd())
    running.metrics[HEM_POD] = metrics
    share = decided(metrics, "edge") / 240
    ratio = share if promised == "kept" else (share + 0.5) % 1
    content = yaml.safe_load(spec.read_text())
    mining = content["spec"]["edgeWorker"].pop("hardExampleMining")
    name = "hardExampleMining" if spelling == "edgeRatio" else "hard_example_mining"
    content["spec"]["edgeWorker"][name] = {**mining, "promise": {spelling: ratio}}
    running.put(content)
    assert hem("status", "--json") == 0
    sites = {each["name"]: each for each in printed(capsys)[0]["sites"]}
    told = f"share of {ratio:.0%} promised: {promised}"
    assert sites["shop-till-1"]["promisedShare"] == told
    assert sites["shop-till-2"]["promisedShare"] is None
    assert hem("status") == 0
    assert told in " ".join(capsys.readouterr().out.split())


QUALITY = """
hem_decisions_total{route="edge",reason="algorithm",algorithm="LinearRouter"} 700.0
hem_decisions_total{route="cloud",reason="algorithm",algorithm="LinearRouter"} 300.0
hem_score_psi{algorithm="LinearRouter"} 0.04
hem_router_version 3.0
hem_promised_quality_loss 0.05
"""
LIVE = """
hem_live_quality_loss 0.021
hem_live_quality_loss_low 0.005
hem_live_quality_loss_high 0.038
hem_live_quality_rows 412.0
hem_promise_kept 1.0
hem_promise_checked_version 3.0
hem_promise_checked_timestamp_seconds 1.7956e+09
"""
LIMIT = "promise: a quality loss of at most 0.05"


@pytest.mark.parametrize(
    ("told", "kept", "sentences"),
    [
        (QUALITY, None, [f"{LIMIT}; not checked yet (hem retrain --check)"]),
        (
            QUALITY + LIVE,
            True,
            [f"{LIMIT}: kept live: 0.021 (0.005 to 0.038) by 412 shadow pairs, checked 2026-"],
        ),
        (
            QUALITY + LIVE.replace("0.038", "0.062"),
            True,
            [f"{LIMIT}: kept so far live: 0.021 (0.005 to 0.062)"],
        ),
        (
            QUALITY + LIVE.replace("0.021", "0.055").replace("0.038", "0.1"),
            True,
            [f"{LIMIT}: IN DOUBT, though it may be chance live: 0.055 (0.005 to 0.100)"],
        ),
        (
            QUALITY + LIVE.replace("kept 1.0", "kept 0.0"),
            False,
            [f"{LIMIT}: BROKEN live: 0.021 (0.005 to 0.038) by 412 shadow pairs, checked 2026-"],
        ),
        (
            QUALITY + "hem_promise_kept 1.0\nhem_promise_checked_version 3.0\n",
            True,
            [f"{LIMIT} live: too few shadow pairs"],
        ),
        (
            QUALITY + "hem_promise_kept 0.0\nhem_promise_checked_version 4.0\n",
            False,
            [
                f"{LIMIT}; not checked yet",
                "last check: version 4 broke its promise, and is not in force",
            ],
        ),
        (
            QUALITY.replace("hem_promised_quality_loss 0.05", ""),
            None,
            ["promise: no quality loss is promised, and none is watched"],
        ),
        (
            QUALITY.replace("hem_router_version 3.0", ""),
            None,
            [f"{LIMIT}; no check, as the router is no folder of versions"],
        ),
    ],
    ids=[
        *("new", "kept", "so far", "in doubt", "broken", "too few"),
        *("rolled back", "nothing promised", "no versions"),
    ],
)
def test_promised_and_live_quality_are_told_with_what_they_mean(
    told: str,
    kept: bool | None,
    sentences: list[str],
    running: ApiServer,
    hem: Hem,
    capsys: Capture,
) -> None:
    running.metrics[HEM_POD] = told.lstrip()
    assert hem("status", "--json") == 0
    site = next(each for each in printed(capsys)[0]["sites"] if each["name"] == "shop-till-1")
    assert site["quality"]["kept"] is kept
    assert (site["quality"]["liveLoss"] is None) == ("live_quality_loss " not in told)
    assert site["routerVersions"] == ([3] if "hem_router_version" in told else [])
    assert hem("status") == 0
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 80
    said = " ".join(shown.split())
    for sentence in sentences:
        assert sentence in said
    assert ("router version 3" in said) == ("hem_router_version" in told)


DRAFTS = """
hem_speculative_answers_total{upstream="http://c",way="speculative"} 40.0
hem_speculative_answers_total{upstream="http://c",way="cloud"} 3.0
hem_speculative_answers_total{upstream="http://c",way="edge"} 2.0
hem_speculative_answer_tokens_total{upstream="http://c",way="speculative"} 1600.0
hem_speculative_tokens_total{upstream="http://c",kind="drafted"} 1500.0
hem_speculative_tokens_total{upstream="http://c",kind="accepted"} 1200.0
hem_speculative_rounds_total{upstream="http://c"} 400.0
hem_speculative_passes_total{upstream="http://c"} 480.0
hem_upstream_attempts_total{upstream="http://c"} 410.0
hem_upstream_attempts_total{upstream="http://c/v1"} 10.0
hem_upstream_failures_total{upstream="http://c",kind="timeout"} 21.0
hem_upstream_bytes_total{upstream="http://c",direction="sent"} 90000.0
hem_upstream_bytes_total{upstream="http://c",direction="received"} 10000.0
"""


def test_an_edge_that_drafts_tells_its_calls_of_the_cloud(
    running: ApiServer, hem: Hem, capsys: Capture
) -> None:
    running.metrics[EDGE_POD] = DRAFTS.lstrip()
    assert hem("status", "--json") == 0
    [shown] = printed(capsys)
    site, other = (
        next(each for each in shown["sites"] if each["name"] == f"shop-till-{number}")
        for number in (1, 2)
    )
    assert site["speculation"] == {
        "answers": {"speculative": 40, "cloud": 3, "edge": 2},
        "draftedTokens": 1500,
        "acceptedTokens": 1200,
        "acceptance": pytest.approx(0.8),
        "rounds": 400,
        "cloudPasses": 480,
        "cloudPassesPerToken": pytest.approx(0.3),
        "cloudCalls": 420,
        "failedCalls": 21,
        "bytes": 100_000,
    }
    assert other["speculation"] is None
    assert site["errorRate"] == pytest.approx(0.05)
    told = {each["key"]: each["value"] for each in shown["status"]["metrics"]}
    assert (told["cloudCalls"], told["draftAcceptance"]) == ("420", "0.8")
    assert (told["draftRounds"], told["cloudPassesPerToken"]) == ("400", "0.3")
    assert hem("status") == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    said = " ".join(text.split())
    assert "answers: 40 by both, 3 by the cloud alone, 2 by the edge" in said
    assert "drafts: 80.0% of 1,500 tokens taken, 400 rounds, 0.30 cloud passes a token" in said
    assert "calls of the cloud: 420, 21 failed, 100,000 bytes" in said


def test_an_edge_whose_model_is_another_server_tells_no_calls_of_the_cloud(
    running: ApiServer, hem: Hem, capsys: Capture
) -> None:
    lines = [line for line in DRAFTS.splitlines() if line.startswith("hem_upstream")]
    running.metrics[EDGE_POD] = "\n".join(lines) + "\n"
    assert hem("status", "--json") == 0
    [shown] = printed(capsys)
    assert [site["speculation"] for site in shown["sites"] if site["name"] != "shop"] == [None] * 2


def test_metrics_come_from_where_the_pod_says(running: ApiServer, hem: Hem) -> None:
    def elsewhere(content: dict[str, Any]) -> None:
        content["metadata"]["annotations"] = {
            "prometheus.io/port": "9000",
            "prometheus.io/path": "/own/metrics",
        }

    running.update("Pod", EDGE_POD, elsewhere)
    running.requests.clear()
    hem("status")
    asked = [each.path for each in running.sent("GET", "/proxy")]
    assert f"/api/v1/namespaces/default/pods/{EDGE_POD}:9000/proxy/own/metrics" in asked
    assert f"/api/v1/namespaces/default/pods/{HEM_POD}:8080/proxy/metrics" in asked


def test_who_watches_asks_each_pod_now_and_then_and_not_at_each_change(
    running: ApiServer, kubeconfig: Path
) -> None:
    cluster = connect(None, None)
    reader = Reader(cluster, "default", seconds=3600)
    snapshot = observe(cluster, "default")
    first, second = (services(snapshot, reader, "shop") for _ in range(2))
    assert first[0].telemetry is second[0].telemetry
    assert len(running.sent("GET", "/proxy")) == 7


def test_metrics_that_are_none_are_told_and_end_nothing(
    running: ApiServer, hem: Hem, capsys: Capture
) -> None:
    running.metrics[HEM_POD] = "<html>no metrics</html>"
    assert hem("status", "--json") == 0
    notes = printed(capsys)[0]["notes"]
    assert any("no metrics of shop-till-1-hem: not Prometheus' text" in note for note in notes)
