"""python -m manifests.monitoring.workshop.make: writes what is made of panels.py and alerts.yaml.

dashboard.json       for Grafana, to be imported by hand or provisioned
dashboard.yaml       the same as a ConfigMap, which Grafana's sidecar finds by its label
prometheusrule.yaml  the alerts for the Prometheus operator
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

from manifests.monitoring.workshop.panels import ROWS, Panel

FOLDER: Final = Path(__file__).resolve().parents[1]
LABELS: Final = {"app.kubernetes.io/part-of": "kserve-hem"}
_SCHEMA: Final = 39  # Grafana 10.4; later ones read it, too
_SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
_HEIGHT: Final = 8
_WIDTH: Final = 24


def made() -> dict[str, str]:
    """The text of each file, by its name."""
    shown = json.dumps(dashboard(), indent=2) + "\n"
    return {
        "dashboard.json": shown,
        "dashboard.yaml": _yaml(_config_map(shown)),
        "prometheusrule.yaml": _yaml(_rule()),
    }


def dashboard() -> dict[str, Any]:
    """In Grafana's classic format, which all its versions import."""
    return {
        "uid": "kserve-hem",
        "title": "KServe HEM: edge and cloud",
        "description": "Traffic, times, cost, faults, mining, cache and privacy of sites.",
        "tags": ["kserve-hem"],
        "schemaVersion": _SCHEMA,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "",
        "annotations": {"list": []},
        "links": [],
        "templating": {"list": [_datasource(), _job()]},
        "panels": list(_panels()),
    }


def _datasource() -> dict[str, Any]:
    return {
        "name": "datasource",
        "label": "Prometheus",
        "type": "datasource",
        "query": "prometheus",
    }


def _job() -> dict[str, Any]:
    query = "label_values(hem_http_requests_total, job)"
    return {
        "name": "job",
        "label": "Job",
        "type": "query",
        "datasource": _SOURCE,
        "definition": query,
        "query": {"query": query, "refId": "job"},
        "refresh": 2,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
    }


def _panels() -> Iterator[dict[str, Any]]:
    number, y = 1, 0
    for title, panels in ROWS.items():
        place = {"h": 1, "w": _WIDTH, "x": 0, "y": y}
        row = {"id": number, "type": "row", "title": title, "gridPos": place, "collapsed": False}
        yield {**row, "panels": []}
        number, y, x = number + 1, y + 1, 0
        for panel in panels:
            if x + panel.width > _WIDTH:
                x, y = 0, y + _HEIGHT
            place = {"h": _HEIGHT, "w": panel.width, "x": x, "y": y}
            yield {"id": number, "gridPos": place, **_panel(panel)}
            number, x = number + 1, x + panel.width
        y += _HEIGHT


def _panel(panel: Panel) -> dict[str, Any]:
    heatmap = panel.kind == "heatmap"
    targets = [
        {
            "refId": chr(ord("A") + position),
            "datasource": _SOURCE,
            "expr": query.expression,
            "legendFormat": query.legend,
            "format": "heatmap" if heatmap else "time_series",
            "range": True,
        }
        for position, query in enumerate(panel.queries)
    ]
    stacking = {"stacking": {"mode": "normal", "group": "A"}, "fillOpacity": 20}
    custom = {"custom": stacking} if panel.stacked else {}
    options: dict[str, Any] = {"tooltip": {"mode": "multi"}} if panel.kind == "timeseries" else {}
    if heatmap:
        options = {"calculate": False, "yAxis": {"unit": "short"}}
    if panel.kind == "stat":
        options = {"reduceOptions": {"calcs": ["lastNotNull"]}, "textMode": "value_and_name"}
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.about,
        "datasource": _SOURCE,
        "targets": targets,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0, **custom}, "overrides": []},
        "options": options,
    }


def _config_map(shown: str) -> dict[str, Any]:
    labels = {**LABELS, "grafana_dashboard": "1"}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "kserve-hem-dashboard", "labels": labels},
        "data": {"kserve-hem.json": shown},
    }


def _rule() -> dict[str, Any]:
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "kserve-hem", "labels": LABELS},
        "spec": yaml.safe_load((FOLDER / "alerts.yaml").read_text()),
    }


def _yaml(content: dict[str, Any]) -> str:
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, width=100)


class _Dumper(yaml.SafeDumper):
    """Texts of several lines as blocks."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)

if __name__ == "__main__":
    for name, text in made().items():
        (FOLDER / name).write_text(text)
