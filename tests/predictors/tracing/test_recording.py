"""What is recorded of a call: its attempts, its faults without their texts, and other servers."""

import sys
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from predictors.contract import text_request
from predictors.errors import UpstreamError
from predictors.tracing.settings import start_tracing
from predictors.tracing.spans import error_type, server_span, stop
from predictors.upstream.client import forwarded_headers
from predictors.upstream.http import HTTPUpstream
from predictors.upstream.settings import Limits
from tests.conftest import StartServer
from tests.telemetry import Collector, Exported
from tests.transformers_hem.gateway.scripted_side import Side, refused, scripted_side, whole

TRACE, CALLER = "d" * 32, "00f067aa0ba902b7"
INCOMING = {"traceparent": f"00-{TRACE}-{CALLER}-01", "tracestate": "vendor=1"}
SECRET = "the text of a query"


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with Collector() as running:
        for name, value in running.environment.items():
            monkeypatch.setenv(name, value)
        start_tracing("tested")
        yield running
        stop()


@pytest.fixture
async def failing_once() -> AsyncIterator[Side]:
    answers = iter([refused(503, SECRET), whole("m", "fine")])
    async with scripted_side(lambda body: next(answers)) as side:
        yield side


async def ask(side: Side) -> None:
    upstream = HTTPUpstream(side.url, Limits(retries=1, timeout=10), waits=(0.01, 0.01))
    with forwarded_headers(INCOMING), server_span("POST /asked", INCOMING, {}):
        await upstream.post("/v1/chat/completions", {"messages": SECRET}, lambda body: body)
    await upstream.close()


async def test_each_attempt_is_a_span_and_the_second_one_says_so(
    collector: Collector, failing_once: Side
) -> None:
    await ask(failing_once)
    served, first, second = collector.wait_for(TRACE, lambda found: len(found) == 3)
    assert (served.service, served.kind, served.parent) == ("tested", "SERVER", CALLER)
    assert first.parent == second.parent == served.id
    assert first.attributes["http.response.status_code"] == 503 and first.failed
    assert first.attributes["error.type"] == "server_error"
    assert "http.request.resend_count" not in first.attributes
    assert second.attributes["http.request.resend_count"] == 1
    assert second.attributes["http.response.status_code"] == 200 and not second.failed
    assert not any(SECRET in str(span) for span in collector.spans)


async def test_the_other_server_is_told_of_the_attempt_that_asks_it(
    collector: Collector, failing_once: Side
) -> None:
    await ask(failing_once)
    _, first, second = collector.wait_for(TRACE, lambda found: len(found) == 3)
    told = [head["traceparent"] for head in failing_once.heads]
    assert told == [f"00-{TRACE}-{first.id}-01", f"00-{TRACE}-{second.id}-01"]
    assert {head["tracestate"] for head in failing_once.heads} == {"vendor=1"}


async def test_a_call_outside_of_a_request_is_no_trace(
    collector: Collector, failing_once: Side
) -> None:
    upstream = HTTPUpstream(failing_once.url, Limits(retries=1), waits=(0.01, 0.01))
    await upstream.post("/x", {}, lambda body: body)
    await upstream.close()
    stop()
    assert collector.spans == []
    assert all("traceparent" not in head for head in failing_once.heads)


async def test_a_trace_that_is_not_sampled_goes_on_and_is_not_sent(
    collector: Collector, failing_once: Side
) -> None:
    unsampled = {"traceparent": f"00-{TRACE}-{CALLER}-00"}
    upstream = HTTPUpstream(failing_once.url, Limits(retries=1), waits=(0.01, 0.01))
    with server_span("POST /asked", unsampled, {}):
        await upstream.post("/x", {}, lambda body: body)
    await upstream.close()
    stop()
    assert collector.spans == []
    parent = failing_once.heads[0]["traceparent"]
    assert parent.startswith(f"00-{TRACE}-") and parent.endswith("-00")


def test_an_error_is_named_by_its_kind_not_by_its_text() -> None:
    assert error_type(UpstreamError(SECRET)) == "unusable"
    assert error_type(ValueError(SECRET)) == "ValueError"


def test_what_can_not_be_had_is_one_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asked_for = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4317",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
    }
    start_tracing("x", asked_for)
    assert "OTEL_EXPORTER_OTLP_PROTOCOL 'grpc': only http/protobuf is sent" in caplog.text
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    monkeypatch.delitem(sys.modules, "predictors.tracing.recording", raising=False)
    start_tracing("x", {"OTEL_TRACES_EXPORTER": "otlp"})
    assert "pip install 'kserve-hem[telemetry]'" in caplog.text


def test_a_hop_over_grpc_is_in_the_trace(start_server: StartServer) -> None:
    with Collector() as collector:
        env = {**collector.environment, "PREDICTOR_TEMPERATURE": "0"}
        given = ["--model_name", "m", "--engine", "scripted"]
        far = start_server("tests.predictors.scripted", *given, env=env, ready="/v2/models/m/ready")
        given = ["--model_name", "up", "--engine", "kserve", "--transport", "grpc"]
        given += ["--url", f"http://127.0.0.1:{far.grpc_port}", "--upstream_model", "m"]
        near = start_server("predictors", *given, env=env, ready="/v2/models/up/ready")
        url = f"{near.url}/v2/models/up/infer"
        httpx.post(url, json=text_request([SECRET]), headers=INCOMING, timeout=30)

        def there(spans: list[Exported]) -> bool:
            return any(s.service == "up" and s.kind == "SERVER" for s in spans)

        spans = collector.wait_for(TRACE, lambda found: there(found) and len(found) == 5)
        names = [f"{span.service} {span.kind} {span.name}" for span in spans]
        assert names == [
            "up SERVER POST /v2/models/{model}/infer",
            "up CLIENT text_completion up",
            "up CLIENT inference.GRPCInferenceService/ModelInfer",
            "m SERVER inference.GRPCInferenceService/ModelInfer",
            "m INTERNAL text_completion m",
        ]
        assert [span.parent for span in spans] == [CALLER, *(span.id for span in spans[:-1])]
