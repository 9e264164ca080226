"""`hem status` against a Kubernetes API on a socket: what runs, what does not, and why."""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from inferencegraph.cluster.connection import connect
from inferencegraph.cluster.observing import observe, observing
from inferencegraph.cluster.status import services
from inferencegraph.cluster.telemetry import Reader
from inferencegraph.spec.schema import crd
from tests.conftest import ROOT, StartServer
from tests.inferencegraph.cluster.api_server import CUT, ApiServer, Fault, forbidden, status
from tests.inferencegraph.cluster.conftest import Hem, printed
from tests.inferencegraph.cluster.controller import condition, pod, reconcile
from tests.transformers_hem.v2 import request

Capture = pytest.CaptureFixture[str]
HEM_POD = "shop-till-1-hem-predictor-1"
EDGE_POD = "shop-till-1-edge-predictor-1"
EDGE = "shop-till-1-edge"


@pytest.fixture
def running(server: ApiServer, hem: Hem, spec: Path, capsys: Capture) -> ApiServer:
    hem("apply", "-f", spec)
    reconcile(server)
    capsys.readouterr()
    return server


def parts(status: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {part["name"]: part for site in status["sites"] for part in site["parts"]}


def not_ready(server: ApiServer, name: str = EDGE) -> None:
    """As while its only pod is not ready."""

    def unavailable(content: dict[str, Any]) -> None:
        content["status"] = {
            "unavailableReplicas": 1,
            "conditions": [condition("Available", "False", "MinimumReplicasUnavailable")],
        }

    def waits(content: dict[str, Any]) -> None:
        content["status"]["conditions"] = [
            condition("PredictorReady", "False", "MinimumReplicasUnavailable"),
            condition("Ready", "False", "MinimumReplicasUnavailable"),
        ]

    server.update("Deployment", f"{name}-predictor", unavailable)
    server.update("InferenceService", name, waits)


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


def test_before_the_controller_has_come_all_is_pending(
    server: ApiServer, hem: Hem, spec: Path, capsys: Capture
) -> None:
    hem("apply", "-f", spec)
    capsys.readouterr()
    assert hem("status", "--json") == 3
    found = parts(printed(capsys)[0])
    assert found["shop-cloud"]["reason"] == "NotReconciled"
    assert found["shop-till-1"]["reason"] == "WaitsForServices"
    assert found["shop-till-1"]["message"].endswith(
        "shop-till-1-edge, shop-till-1-hem, shop-till-1-uplink"
    )


WAITING = {"name": "kserve-container", "restartCount": 3}
ENDED = {"exitCode": 137, "reason": "OOMKilled"}


def waiting(reason: str, message: str = "", **more: Any) -> dict[str, Any]:
    state = {"waiting": {"reason": reason, "message": message}}
    return {"phase": "Pending", "containerStatuses": [{**WAITING, "state": state, **more}]}


@pytest.mark.parametrize(
    ("status", "code", "reason", "message"),
    [
        (waiting("ImagePullBackOff", "no such image"), 1, "ImagePullBackOff", "no such image"),
        (waiting("ErrImagePull", "denied"), 1, "ErrImagePull", "denied"),
        (
            waiting("CreateContainerConfigError", 'secret "keys" not found'),
            1,
            "CreateContainerConfigError",
            'secret "keys" not found',
        ),
        (
            waiting("CrashLoopBackOff", lastState={"terminated": {"exitCode": 2}}),
            1,
            "CrashLoopBackOff",
            "3 restarts: ended with 2",
        ),
        (
            waiting("CrashLoopBackOff", lastState={"terminated": ENDED}),
            1,
            "OOMKilled",
            "container kserve-container, 3 restarts: ended with 137",
        ),
        (
            {"phase": "Failed", "reason": "Evicted", "message": "low on memory"},
            1,
            "Evicted",
            "low on memory",
        ),
        (
            {
                "phase": "Pending",
                "initContainerStatuses": [
                    {
                        "name": "storage-initializer",
                        "state": {"terminated": {"exitCode": 1, "reason": "Error"}},
                    }
                ],
            },
            1,
            "Error",
            "container storage-initializer",
        ),
        (
            {
                "phase": "Pending",
                "conditions": [
                    condition("PodScheduled", "False", "Unschedulable", "0/3 nodes are available")
                ],
            },
            3,
            "FailedScheduling",
            "0/3 nodes are available",
        ),
        (waiting("ContainerCreating"), 3, "MinimumReplicasUnavailable", ""),
    ],
    ids=lambda value: value if isinstance(value, str) and value.isalpha() else "",
)
def test_a_pods_trouble_is_told_with_its_reason(
    status: dict[str, Any],
    code: int,
    reason: str,
    message: str,
    running: ApiServer,
    hem: Hem,
    capsys: Capture,
) -> None:
    not_ready(running)
    running.update("Pod", EDGE_POD, lambda each: each.update(status=status))
    assert hem("status", "--json") == code
    [shown] = printed(capsys)
    part = parts(shown)[EDGE]
    assert part["condition"] == {1: "Failed", 3: "Pending"}[code]
    assert part["reason"] == reason
    assert message in part["message"]
    assert part["failed"] == (1 if code == 1 else 0)
    assert shown["condition"] == part["condition"]
    assert shown["message"].startswith(f"InferenceService/{EDGE}")


@pytest.mark.parametrize("left", ["evicted", "going"])
def test_a_pod_that_another_one_has_replaced_ends_nothing(
    left: str, running: ApiServer, hem: Hem, capsys: Capture
) -> None:
    labels = running.objects("Pod")[EDGE_POD]["metadata"]["labels"]
    old = pod("old", labels, phase="Failed", reason="Evicted", conditions=[])
    if left == "going":
        old = pod("old", labels, **waiting("CrashLoopBackOff"), conditions=[])
        old["metadata"]["deletionTimestamp"] = "2026-08-21T10:00:00Z"
    running.put(old)
    assert hem("status", "--json") == 0
    part = parts(printed(capsys)[0])[EDGE]
    assert (part["condition"], part["active"]) == ("Running", 1)
    assert part["failed"] == (1 if left == "evicted" else 0)


def test_a_new_version_whose_image_is_not_there_has_failed_though_the_old_one_serves(
    running: ApiServer, hem: Hem, capsys: Capture
) -> None:
    labels = running.objects("Pod")[EDGE_POD]["metadata"]["labels"]
    running.put(pod("new", labels, **waiting("ImagePullBackOff"), conditions=[]))
    assert hem("status", "--json") == 1
    part = parts(printed(capsys)[0])[EDGE]
    assert (part["reason"], part["active"], part["failed"]) == ("ImagePullBackOff", 1, 1)


def test_what_is_being_deleted_does_not_run(running: ApiServer, hem: Hem, capsys: Capture) -> None:
    def going(content: dict[str, Any]) -> None:
        content["metadata"]["deletionTimestamp"] = "2026-08-21T10:00:00Z"

    running.update("InferenceService", EDGE, going)
    assert hem("status", "--json") == 3
    assert parts(printed(capsys)[0])[EDGE]["reason"] == "Terminating"


def test_a_warning_says_why_a_pod_does_not_start(
    running: ApiServer, hem: Hem, capsys: Capture
) -> None:
    not_ready(running)
    status = waiting("ContainerCreating")
    running.update("Pod", EDGE_POD, lambda each: each.update(status=status))
    uid = running.objects("Pod")[EDGE_POD]["metadata"]["uid"]
    for number, text in enumerate(("an older one", 'secret "kserve-hem-keys" not found')):
        running.put(
            {
                "apiVersion": "v1",
                "kind": "Event",
                "metadata": {"name": f"e{number}"},
                "type": "Warning",
                "reason": "FailedMount",
                "message": text,
                "involvedObject": {"uid": uid},
                "lastTimestamp": f"2026-08-21T10:00:0{number}Z",
            }
        )
    assert hem("status", "--json") == 3
    part = parts(printed(capsys)[0])[EDGE]
    assert (part["reason"], part["message"]) == (
        "FailedMount",
        'secret "kserve-hem-keys" not found',
    )


def test_what_kserve_could_not_make_is_told_in_its_words(
    running: ApiServer, hem: Hem, capsys: Capture
) -> None:
    text = 'Deployment.apps "x" is invalid: ports[0].name: Invalid value'

    def failed(content: dict[str, Any]) -> None:
        content["status"]["conditions"] = [
            condition("PredictorReady", "False", "ReconcileFailed", text),
            condition("Ready", "False", "ReconcileFailed", text),
        ]

    running.update("InferenceService", EDGE, failed)
    assert hem("status") == 1
    said = " ".join(capsys.readouterr().out.split())
    assert f"{EDGE}: Failed, ReconcileFailed: {text}" in said


def test_a_model_that_does_not_load_has_failed(
    running: ApiServer, hem: Hem, capsys: Capture
) -> None:
    failure = {"reason": "ModelLoadFailed", "message": "no such bucket"}

    def failed(content: dict[str, Any]) -> None:
        content["status"]["modelStatus"] = {
            "transitionStatus": "BlockedByFailedLoad",
            "lastFailureInfo": failure,
        }

    running.update("InferenceService", EDGE, failed)
    assert hem("status", "--json") == 1
    part = parts(printed(capsys)[0])[EDGE]
    assert (part["reason"], part["message"]) == ("ModelLoadFailed", "no such bucket")


@pytest.mark.parametrize("kind", ["graph", "service"])
def test_ready_alone_is_not_believed_where_the_deployment_is_not_available(
    kind: str, running: ApiServer, hem: Hem, capsys: Capture
) -> None:
    name = "shop-till-1" if kind == "graph" else f"{EDGE}-predictor"

    def unavailable(content: dict[str, Any]) -> None:
        content["status"]["conditions"] = [condition("Available", "False", "Gone", "no worker")]

    running.update("Deployment", name, unavailable)
    assert hem("status", "--json") == 3
    assert parts(printed(capsys)[0])[name.removesuffix("-predictor")]["message"] == "no worker"


def test_a_deployment_that_has_changed_is_rolling_out(
    running: ApiServer, hem: Hem, capsys: Capture
) -> None:
    def seen_before(content: dict[str, Any]) -> None:
        content["status"]["observedGeneration"] = 1
        content["spec"]["replicas"] = 2

    running.update("Deployment", f"{EDGE}-predictor", seen_before)
    assert hem("status", "--json") == 3
    assert parts(printed(capsys)[0])[EDGE]["reason"] == "RollingOut"


def test_an_llm_inference_service_is_a_part_like_others(
    running: ApiServer, hem: Hem, capsys: Capture
) -> None:
    kinds = {"LLMInferenceService": ("llminferenceservices", True)}
    running.kinds["serving.kserve.io/v1alpha2"] = kinds
    own = {"kserve-hem.io/owner": "shop", "app.kubernetes.io/component": "cloud"}
    running.put(
        {
            "apiVersion": "serving.kserve.io/v1alpha2",
            "kind": "LLMInferenceService",
            "metadata": {"name": "large", "labels": own},
            "status": {"conditions": [condition("Ready", "True")]},
        }
    )
    labels = {"app.kubernetes.io/name": "large", "app.kubernetes.io/part-of": "llminferenceservice"}
    running.put(pod("large-kserve", labels))
    assert hem("status", "--json") == 0
    part = parts(printed(capsys)[0])["large"]
    assert (part["condition"], part["side"], part["active"]) == ("Running", "cloud", 1)


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


def test_without_the_right_to_read_metrics_one_note_says_so(
    running: ApiServer, hem: Hem, capsys: Capture
) -> None:
    answer = forbidden("get", "pods/proxy", "", "default")
    running.faults.append(Fault(lambda each: "/proxy" in each.path, answer, times=99))
    assert hem("status", "--json") == 0
    [note] = printed(capsys)[0]["notes"]
    assert "and 3 others: user 'ada' may not" in note
    assert "kubectl auth can-i get pods --subresource=proxy -n default" in note


def test_a_long_list_comes_in_chunks(running: ApiServer, hem: Hem, capsys: Capture) -> None:
    running.chunk = 2
    assert hem("status", "--json") == 0
    assert len(parts(printed(capsys)[0])) == 9


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


class Watching:
    """`hem status --watch --json` in a process of its own."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "inferencegraph", "status", "--watch", "--json"],
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        self._lines: queue.Queue[str] = queue.Queue()
        self.reading = threading.Thread(target=self._read, daemon=True)
        self.reading.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                self._lines.put(line)

    def until(self, condition: str) -> dict[str, Any]:
        """The first status in this condition."""
        while True:
            [shown] = json.loads(self._lines.get(timeout=60))
            if shown["condition"] == condition:
                return dict(shown)


@pytest.fixture
def watching(running: ApiServer) -> Iterator[Watching]:
    watch = Watching()
    yield watch
    watch.process.kill()
    watch.process.wait()
    watch.reading.join()


def test_watch_follows_the_cluster_until_ctrl_c(running: ApiServer, watching: Watching) -> None:
    watching.until("Running")
    not_ready(running)
    watching.until("Pending")
    running.update("Pod", EDGE_POD, lambda each: each.update(status=waiting("ImagePullBackOff")))
    watching.until("Failed")
    watching.process.send_signal(signal.SIGINT)
    assert watching.process.wait(20) == 130


def test_watch_starts_from_the_version_of_its_list_and_takes_bookmarks(
    running: ApiServer, watching: Watching
) -> None:
    watching.until("Running")
    not_ready(running)
    watching.until("Pending")
    asked = [each for each in running.requests if each.query.get("watch") == "true"]
    assert {each.path.rpartition("/")[2] for each in asked} >= {
        *("pods", "deployments", "inferenceservices", "inferencegraphs")
    }
    for each in asked:
        assert int(each.query["resourceVersion"]) > 100
        assert each.query["allowWatchBookmarks"] == "true"
        assert int(each.query["timeoutSeconds"]) > 0


def test_watch_lists_again_where_its_version_is_too_old(
    running: ApiServer, watching: Watching
) -> None:
    watching.until("Running")
    lists = len(running.sent("GET", "/pods"))
    not_ready(running)
    running.forget_history()
    watching.until("Pending")
    assert len(running.sent("GET", "/pods")) > lists


def test_watch_goes_on_where_the_connection_breaks(running: ApiServer, kubeconfig: Path) -> None:
    def pods(each: Any) -> bool:
        return each.query.get("watch") == "true" and each.path.endswith("/pods")

    fault = Fault(pods, None, times=7)
    running.faults.append(fault)
    with observing(connect(None, None), "default") as observer:
        running.put(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {
                    "name": "late",
                    "labels": {"serving.kserve.io/inferenceservice": EDGE},
                },
            }
        )
        while not any(each["metadata"]["name"] == "late" for each in observer.now().pods):
            assert observer.wait(60)
    assert fault.times <= 0


@pytest.mark.parametrize("cut", [True, False], ids=["cut", "ended by the server"])
def test_watch_goes_on_where_its_stream_ends(
    cut: bool, running: ApiServer, kubeconfig: Path
) -> None:
    def of_edge(name: str) -> dict[str, Any]:
        return pod(name, {"serving.kserve.io/inferenceservice": EDGE})

    with observing(connect(None, None), "default") as observer:
        for name in ("first", "second"):  # the one before, the other behind it
            running.put(of_edge(name))
            while not any(each["metadata"]["name"] == f"{name}-1" for each in observer.now().pods):
                assert observer.wait(60)
            running.end_watches(cut=cut)
    assert len(running.sent("GET", "/pods")) == 3  # listed once by each label, never again


def test_a_list_that_expires_between_two_chunks_is_begun_again(
    running: ApiServer, hem: Hem, capsys: Capture
) -> None:
    running.chunk = 2
    gone = 410, status(410, "Expired", "The provided continue parameter is too old")
    fault = Fault(lambda each: bool(each.query.get("continue")), gone)
    running.faults.append(fault)
    assert hem("status", "--json") == 0
    assert fault.times == 0
    assert len(parts(printed(capsys)[0])) == 9
    fault.times = 99
    assert hem("status") == 2
    assert "The provided continue parameter is too old" in capsys.readouterr().err


def test_an_answer_that_breaks_off_is_asked_for_again(
    running: ApiServer, hem: Hem, capsys: Capture
) -> None:
    fault = Fault(lambda each: each.path.endswith("/pods"), CUT, times=2)
    running.faults.append(fault)
    assert hem("status", "--json") == 0
    assert fault.times == 0
    fault.times = 99
    assert hem("status") == 2
    assert "the connection broke, several times, at list pods" in capsys.readouterr().err


def test_watch_ends_where_it_is_not_allowed_any_more(
    running: ApiServer, hem: Hem, capsys: Capture
) -> None:
    answer = forbidden("watch", "pods", "", "default")
    running.faults.append(Fault(lambda each: "watch" in each.query, answer, times=99))
    assert hem("status", "--watch", "--json") == 2
    assert "no permission to watch" in capsys.readouterr().err
