"""Without OTEL_* nothing of OpenTelemetry's SDK is loaded; an incoming trace goes on as it came."""

import os
import subprocess
import sys

import pytest

from predictors.tracing.settings import wanted
from predictors.tracing.spans import NOTHING, carrier, server_span, span, tracing
from tests.conftest import ROOT

# FastAPI itself imports the API, a package of names without anything behind them.
SDK = ("opentelemetry.sdk", "opentelemetry.exporter", "opentelemetry.proto")
OURS = "predictors.upstream.http, predictors.tracing.settings, predictors.logs, "
OURS += "inferencegraph.router.app, inferencegraph.router.server"


def loaded(modules: str, code: str = "", **environment: str) -> set[str]:
    """Of OpenTelemetry."""
    program = f"import sys, {modules}\n{code}\n"
    program += "print(*(m for m in sys.modules if m.startswith('opentelemetry')))"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    ended = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={**kept, **environment},
    )
    return set(ended.stdout.split())


def test_a_router_and_calls_of_servers_import_nothing_of_opentelemetry() -> None:
    start = "predictors.tracing.settings.start_tracing('x')"
    assert loaded(OURS, start) == set()


def test_a_server_imports_no_sdk() -> None:
    start = "from predictors.tracing.settings import start_tracing; start_tracing('x')"
    modules = "predictors.serving.server, predictors.serving.model, transformers_hem.gateway.routes"
    assert not [name for name in loaded(modules, start) if name.startswith(SDK)]


def test_it_is_loaded_where_it_is_asked_for() -> None:
    """The two above would also hold where nothing could be loaded."""
    start = "predictors.tracing.settings.start_tracing('x')"
    endpoint = "http://127.0.0.1:9"
    found = loaded(OURS, start, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint)
    assert "opentelemetry.sdk.trace" in found


@pytest.mark.parametrize(
    ("environment", "on"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4318/v1/traces"}, True),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c"}, False),
        ({"OTEL_SDK_DISABLED": "TRUE", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c"}, False),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://c"}, False),
    ],
)
def test_the_environment_says_whether_there_are_traces(
    environment: dict[str, str], on: bool
) -> None:
    assert wanted(environment) is on


def test_a_span_that_is_off_is_one_and_the_same_and_tells_nobody() -> None:
    assert not tracing()
    assert span("x", {}) is server_span("y", {}, {}) is NOTHING
    with span("x", {}) as entered:
        entered.set({"a": 1})
        assert carrier() == {}
        assert not entered.recording
