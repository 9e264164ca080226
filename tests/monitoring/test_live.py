"""Every panel's query and every alert's expression, against a real Prometheus that watches a real
run of the embedded pair: each gives data. And docs/metrics.md has what the servers tell."""

import re
import time
from collections.abc import Iterator

import httpx
import pytest
import yaml

from manifests.monitoring.workshop.panels import ROWS, Query
from tests.conftest import ROOT
from tests.monitoring.prometheus import MONITORING, program
from tests.monitoring.scenario import Site, keep_asking, outage, site, traffic

pytestmark = pytest.mark.system

PANELS = [(panel.title, query) for row in ROWS.values() for panel in row for query in panel.queries]
RULES = yaml.safe_load((MONITORING / "alerts.yaml").read_text())["groups"][0]["rules"]
# What the outage makes fire.
FIRING = {
    "HEMServerDown",
    "HEMFarSideDown",
    "HEMCircuitBreakerOpen",
    "HEMAttemptsFail",
    "HEMServerErrors",
    "HEMGatewayCallsFail",
    "HEMPrivacyUnsure",
}
DOCUMENTED = {
    name
    for line in (ROOT / "docs" / "metrics.md").read_text().splitlines()
    if line.startswith("| `hem_")
    for name in re.findall(r"`(hem_\w+)`", line.split("|")[1])
}
# What the site doesn't have: guards of availability and maintenance.
ELSEWHERE = {"hem_cloud_available", "hem_maintenance"}
BOUND = re.compile(r"\s*(?:==|>|<)\s*[\d.]+\s*$")


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    program("prometheus")
    with site(tmp_path_factory.mktemp("site")) as running:
        traffic(running)
        expressions = [rule["expr"] for rule in RULES if rule["alert"] in FIRING]
        expressions += [asked_for(query) for _, query in PANELS]
        outage(running)
        # A rate begins with the second sample of what the outage has made new.
        deadline = time.monotonic() + 60
        while (
            not all(running.prometheus.ask(e) for e in expressions) and time.monotonic() < deadline
        ):
            keep_asking(running)
        yield running


def asked_for(query: Query) -> str:
    return query.expression.replace("$__rate_interval", "1m").replace("$job", ".*")


def test_the_servers_have_the_metrics_that_the_page_lists_and_no_others(watched: Site) -> None:
    told: set[str] = set()
    for url in (watched.joint, *map(watched.url, ("qa-hem", "qa-edge", "qa-uplink"))):
        text = httpx.get(f"{url}/metrics").text
        told |= set(re.findall(r"^# HELP (hem_\w+)", text, re.MULTILINE))
    told = {name for name in told if not name.endswith("_created")}
    assert told == DOCUMENTED - ELSEWHERE


@pytest.mark.parametrize(("title", "query"), PANELS, ids=[f"{t}" for t, _ in PANELS])
def test_a_panels_query_gives_data(watched: Site, title: str, query: Query) -> None:
    asked = asked_for(query)
    found = watched.prometheus.ask(asked)
    assert found, asked
    legend = set(re.findall(r"{{(\w+)}}", query.legend))
    assert all(legend <= series["metric"].keys() for series in found), asked


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["alert"]))
def test_what_an_alert_compares_gives_data(watched: Site, rule: dict[str, str]) -> None:
    compared, bounds = BOUND.subn("", rule["expr"])
    assert bounds == 1
    assert watched.prometheus.ask(compared), compared


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["alert"]))
def test_the_outage_makes_the_alerts_true_that_it_is_for(
    watched: Site, rule: dict[str, str]
) -> None:
    found = watched.prometheus.ask(rule["expr"])
    assert bool(found) == (rule["alert"] in FIRING), found


def test_prometheus_itself_holds_them_for_pending(watched: Site) -> None:
    def states() -> set[str]:
        alerts = watched.prometheus.ask("ALERTS")
        return {str(series["metric"]["alertname"]) for series in alerts}

    watched.until(lambda: states() >= FIRING)
