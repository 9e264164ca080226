"""Each alert fires for what it is about, after its time, and not before."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.monitoring.prometheus import MONITORING, promtool

pytestmark = pytest.mark.system

RULES = yaml.safe_load((MONITORING / "alerts.yaml").read_text())["groups"][0]["rules"]


@dataclass(frozen=True)
class Case:
    """`bad` series, a sample a minute, for which the alert fires at `at`, with `labels` beside its
    severity; for the `good` ones it doesn't."""

    bad: dict[str, str]
    good: dict[str, str]
    summary: str
    labels: dict[str, str] = field(default_factory=dict)
    at: str = "20m"


UP = 'hem_upstream_up{upstream="http://cloud",instance="a"}'
BREAKER = 'hem_upstream_breaker{upstream="http://cloud"}'
FAILURES = 'hem_upstream_failures_total{upstream="http://cloud",kind="timeout"}'
ATTEMPTS = 'hem_upstream_attempts_total{upstream="http://cloud"}'
QUEUE = 'hem_upstream_rejected_total{upstream="http://cloud",reason="queue_full"}'
SPARED = 'hem_upstream_rejected_total{upstream="http://cloud",reason="breaker_open"}'
ERRORS = 'hem_http_requests_total{path="/v1/chat/completions",status="503"}'
ANSWERED = 'hem_http_requests_total{path="/v1/chat/completions",status="200"}'
PROBED = 'hem_http_requests_total{path="/v2/models/{model}/ready",status="200"}'
FAILED = 'hem_attempts_total{model="m",route="cloud",outcome="failed"}'
GAVE = 'hem_attempts_total{model="m",route="cloud",outcome="answered"}'
FIRST = 'hem_gateway_first_token_seconds_bucket{model="m",route="cloud",le="%s"}'
DECIDED = 'hem_decision_seconds_bucket{algorithm="L",le="%s"}'
DRIFT = 'hem_score_psi{algorithm="L"}'
TO_CLOUD = 'hem_decisions_total{route="cloud",reason="algorithm",algorithm="L"}'
TO_EDGE = 'hem_decisions_total{route="edge",reason="algorithm",algorithm="L"}'
LEDGER = 'hem_ledger_head_number{ledger="/l"}'
BUDGET = 'hem_budget_known{instance="a"}'
REFUSED = 'hem_reload_total{instance="a",what="guards",outcome="refused"}'
LOADED = 'hem_reload_total{instance="a",what="guards",outcome="loaded"}'
PROMISE = 'hem_promise_kept{instance="a"}'
CHECKED = 'hem_promise_checked_timestamp_seconds{instance="a"}'
STORE = 'hem_feedback_up{instance="a"}'
CACHE = 'hem_cache_errors_total{model_name="m",operation="write"}'
CASES = {
    "HEMServerDown": Case(
        {'up{job="kserve-hem",instance="pod:8080"}': "0x30"},
        {'up{job="kserve-hem",instance="pod:8080"}': "1x30", 'up{job="other"}': "0x30"},
        "pod:8080 can't be scraped",
        {"job": "kserve-hem", "instance": "pod:8080"},
    ),
    "HEMFarSideDown": Case(
        {UP: "0x30"}, {UP: "1x30"}, "http://cloud fails all calls", {"upstream": "http://cloud"}
    ),
    "HEMCircuitBreakerOpen": Case(
        {BREAKER: "2x30"},
        {BREAKER: "0 1 0 2 0 2 0 1 0x22"},
        "http://cloud is not called for now",
        {"upstream": "http://cloud"},
    ),
    "HEMAttemptsFail": Case(
        {FAILURES: "0+15x30", ATTEMPTS: "0+60x30"},
        {FAILURES: "0+3x30", ATTEMPTS: "0+60x30"},
        "25% of the attempts at http://cloud fail",
        {"upstream": "http://cloud"},
    ),
    "HEMQueueFull": Case(
        {QUEUE: "0+5x30"},
        {QUEUE: "9x30", SPARED: "0+5x30"},
        "calls to http://cloud find no place in its queue",
        {"upstream": "http://cloud"},
    ),
    "HEMServerErrors": Case(
        {ERRORS: "0+10x30", ANSWERED: "0+90x30", PROBED: "0+900x30"},
        {ERRORS: "0+1x30", ANSWERED: "0+90x30"},
        "10% of the answers are errors",
    ),
    "HEMGatewayCallsFail": Case(
        {FAILED: "0+20x30", GAVE: "0+80x30"},
        {FAILED: "0+5x30", GAVE: "0+80x30"},
        "20% of the gateway's calls of the cloud fail",
        {"route": "cloud"},
    ),
    "HEMFirstTokenSlow": Case(
        {FIRST % "5.0": "0+0x30", FIRST % "10.0": "0+60x30", FIRST % "+Inf": "0+60x30"},
        {FIRST % "5.0": "0+60x30", FIRST % "10.0": "0+60x30", FIRST % "+Inf": "0+60x30"},
        "first tokens of the cloud take 9.75s (p95)",
        {"route": "cloud"},
        at="25m",
    ),
    "HEMDecisionsSlow": Case(
        {DECIDED % "0.1": "0+0x30", DECIDED % "1.0": "0+60x30", DECIDED % "+Inf": "0+60x30"},
        {DECIDED % "0.1": "0+60x30", DECIDED % "1.0": "0+60x30", DECIDED % "+Inf": "0+60x30"},
        "L takes 991ms to decide (p99)",
        {"algorithm": "L"},
        at="25m",
    ),
    "HEMScoresDrift": Case(
        {DRIFT: "0.4x60"},
        {DRIFT: "0.1x60"},
        "queries are not those that L was calibrated on",
        {"algorithm": "L"},
        at="45m",
    ),
    "HEMCloudShareHigh": Case(
        {TO_CLOUD: "0+95x60", TO_EDGE: "0+5x60"},
        {TO_CLOUD: "0+80x60", TO_EDGE: "0+20x60"},
        "95% of the requests go to the cloud",
        at="50m",
    ),
    "HEMPromiseBroken": Case(
        {PROMISE: "1x10 0x20"},
        {PROMISE: "1x30"},
        "live queries lose more quality than the router of a promises",
        {"instance": "a"},
    ),
    "HEMPromiseNotChecked": Case(
        {CHECKED: "0x120"},
        {CHECKED: "0+60x120"},
        "the promise of a was last checked 1h 30m 0s ago",
        {"instance": "a"},
        at="90m",
    ),
    "HEMFeedbackNotKept": Case(
        {STORE: "0x30"},
        {STORE: "1x30"},
        "the store of feedback of a can't be written",
        {"instance": "a"},
    ),
    "HEMPrivacyUnsure": Case(
        {'hem_private_total{found="timeout"}': "0x15 1x15"},
        {'hem_private_total{found="card"}': "0+5x30", 'hem_private_total{found="error"}': "3x30"},
        "requests stay at the edge, as the guard could not look through them (timeout)",
        {"found": "timeout"},
    ),
    "HEMBudgetUnknown": Case(
        {BUDGET: "0x30"},
        {BUDGET: "1x30"},
        "the budget's file of a can't be read",
        {"instance": "a"},
    ),
    "HEMChangeRefused": Case(
        {REFUSED: "0x15 1x15"},
        {REFUSED: "1x30", LOADED: "0+1x30"},
        "a has refused a change of its guards",
        {"instance": "a", "what": "guards"},
    ),
    "HEMLedgerWentBack": Case(
        {LEDGER: "500x15 4x15"},
        {LEDGER: "0+4x30"},
        "the egress ledger /l has fewer lines than before",
        {"ledger": "/l"},
    ),
    "HEMCacheFails": Case(
        {CACHE: "0+1x30"},
        {CACHE: "7x30"},
        "the cache of m can't write",
        {"model_name": "m", "operation": "write"},
    ),
}


def test_there_is_a_case_for_each_alert() -> None:
    assert [rule["alert"] for rule in RULES] == list(CASES)


def test_prometheus_takes_the_rules() -> None:
    promtool("check", "rules", MONITORING / "alerts.yaml")


def test_each_alert_fires_when_it_should(tmp_path: Path) -> None:
    tests = []
    for rule in RULES:
        case = CASES[rule["alert"]]
        fires = {
            "exp_labels": {**rule["labels"], **case.labels},
            "exp_annotations": {**rule["annotations"], "summary": case.summary},
        }
        tests += [_test(rule, case.bad, {case.at: [fires]}), _test(rule, case.good, {case.at: []})]
        if "for" in rule:
            tests.append(_test(rule, case.bad, {"30s": []}))
    content = {
        "rule_files": [str(MONITORING / "alerts.yaml")],
        "evaluation_interval": "1m",
        "tests": tests,
    }
    file = tmp_path / "alerts_test.yaml"
    file.write_text(yaml.safe_dump(content))
    promtool("test", "rules", file)


def _test(rule: dict[str, Any], series: dict[str, str], expected: dict[str, Any]) -> dict[str, Any]:
    return {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "alert_rule_test": [
            {"eval_time": at, "alertname": rule["alert"], "exp_alerts": alerts}
            for at, alerts in expected.items()
        ],
    }
