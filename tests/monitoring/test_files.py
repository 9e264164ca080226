"""The files that ship: what they are made of, and that they ask for metrics that there are."""

import json
import re
from pathlib import Path

import pytest
import yaml

from inferencegraph.read.kustomize import load
from manifests.monitoring.workshop.make import made
from tests.conftest import ROOT
from tests.monitoring.prometheus import MONITORING, promtool

PAGE = (ROOT / "docs" / "metrics.md").read_text()
DOCUMENTED = set(re.findall(r"`(hem_\w+)`", PAGE))
MAKE = "run `python -m manifests.monitoring.workshop.make`"
OF_HISTOGRAMS = re.compile(r"_(bucket|sum|count)$")


@pytest.mark.parametrize("name", made())
def test_a_file_is_what_is_made_of_the_panels_and_alerts(name: str) -> None:
    assert (MONITORING / name).read_text() == made()[name], MAKE


def test_panels_and_alerts_ask_for_metrics_that_the_page_lists() -> None:
    asked = set()
    for name in ("dashboard.json", "alerts.yaml"):
        asked |= set(re.findall(r"\bhem_\w+", (MONITORING / name).read_text()))
    assert {OF_HISTOGRAMS.sub("", name) for name in asked} <= DOCUMENTED


def test_the_dashboard_is_one_that_grafana_imports() -> None:
    shown = json.loads((MONITORING / "dashboard.json").read_text())
    assert {"uid", "title", "schemaVersion", "panels", "templating", "time"} <= shown.keys()
    ids = [panel["id"] for panel in shown["panels"]]
    assert len(set(ids)) == len(ids)
    taken: set[tuple[int, int]] = set()
    for panel in shown["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells
        for target in panel.get("targets", ()):
            assert target["datasource"]["uid"] == "${datasource}" and target["expr"]


def test_the_kustomization_has_the_dashboard_and_the_alerts() -> None:
    kinds = {content["kind"]: content for content in load(MONITORING)}
    assert kinds.keys() == {"PrometheusRule", "ConfigMap"}
    alerts = yaml.safe_load((MONITORING / "alerts.yaml").read_text())
    assert kinds["PrometheusRule"]["spec"] == alerts
    (text,) = kinds["ConfigMap"]["data"].values()
    assert text == (MONITORING / "dashboard.json").read_text()


@pytest.mark.system
def test_prometheus_takes_the_scrape_configuration(tmp_path: Path) -> None:
    """Debian's has no discovery of pods; all else is checked."""
    content = yaml.safe_load((MONITORING / "prometheus.yaml").read_text())
    content["rule_files"] = [str(MONITORING / name) for name in content["rule_files"]]
    for job in content["scrape_configs"]:
        assert job.pop("kubernetes_sd_configs") == [{"role": "pod"}]
        job["static_configs"] = [{"targets": ["127.0.0.1:1"]}]
    file = tmp_path / "prometheus.yaml"
    file.write_text(yaml.safe_dump(content))
    promtool("check", "config", file)
