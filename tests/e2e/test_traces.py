"""One trace from the client to edge and cloud, of real processes: `hem up` of the embedded pair."""

from collections.abc import Iterator

import httpx
import pytest

from predictors.contract import text_request
from tests.inferencegraph.running_hem import RunningHem
from tests.telemetry import Collector, Exported

pytestmark = pytest.mark.slow

CALLER = "00f067aa0ba902b7"
QUESTION = "What is 47 + 385?"


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with Collector() as running:
        yield running


@pytest.fixture(scope="module")
def stack(collector: Collector) -> Iterator[RunningHem]:
    with RunningHem([], env=collector.environment) as running:
        yield running


def headers(trace: str) -> dict[str, str]:
    return {"traceparent": f"00-{trace}-{CALLER}-01", "x-request-id": f"{trace[:4]}-1"}


def path_to(span: Exported, spans: list[Exported]) -> list[str]:
    """The spans from the caller to this one: service, kind and name."""
    by_id = {each.id: each for each in spans}
    path = [span]
    while path[0].parent != CALLER:
        path.insert(0, by_id[path[0].parent])
    return [f"{each.service} {each.kind} {each.name}" for each in path]


def whole(spans: list[Exported]) -> bool:
    """Each process sends its own: whether nobody's parent lacks, and the model's span is there."""
    known = {CALLER, *(span.id for span in spans)}
    answered = any(span.kind == "INTERNAL" and "gen_ai" in str(span.attributes) for span in spans)
    return answered and all(span.parent in known for span in spans)


def named(spans: list[Exported], service: str, name: str) -> Exported:
    (found,) = [each for each in spans if (each.service, each.name) == (service, name)]
    return found


def test_a_query_through_the_graph_is_one_trace(stack: RunningHem, collector: Collector) -> None:
    trace = "a" * 32
    body = text_request([QUESTION], {"hem_prefer": "cloud", "temperature": 0})
    answer = httpx.post(stack.url, json=body, headers=headers(trace), timeout=60)
    assert answer.json()["parameters"]["served_by"] == "qa-cloud"
    spans = collector.wait_for(trace, whole)

    answering = named(spans, "qa-cloud", "text_completion qa-cloud")
    assert path_to(answering, spans) == [
        "hem SERVER graph qa",
        "hem CLIENT POST /v2/models/qa-uplink/infer",
        "qa-uplink SERVER POST /v2/models/{model}/infer",
        "qa-uplink CLIENT text_completion qa-uplink",
        "qa-uplink CLIENT POST /v2/models/qa-cloud/infer",
        "qa-cloud SERVER POST /v2/models/{model}/infer",
        "qa-cloud INTERNAL text_completion qa-cloud",
    ]
    mining = named(spans, "qa-hem", "hem mine")
    assert path_to(mining, spans)[:3] == [
        "hem SERVER graph qa",
        "hem CLIENT POST /v2/models/qa-hem/infer",
        "qa-hem SERVER POST /v2/models/{model}/infer",
    ]
    assert mining.attributes["hem.route"] == "cloud"
    assert mining.attributes["hem.reason"] == "prefer"
    assert mining.attributes["hem.algorithm"] == "LinearRouter"
    assert answering.attributes["gen_ai.usage.output_tokens"] > 0
    assert answering.attributes["hem.time_to_first_token"] > 0
    server = named(spans, "qa-cloud", "POST /v2/models/{model}/infer")
    assert server.attributes["http.request.header.x-request-id"] == ["aaaa-1"]
    assert not any(QUESTION in str(span) for span in spans)


@pytest.mark.parametrize("side", ["edge", "cloud"])
def test_a_stream_through_the_gateway_is_one_trace(
    stack: RunningHem, collector: Collector, side: str
) -> None:
    trace = {"edge": "b", "cloud": "c"}[side] * 32
    ready = next(event for event in stack.events if event["event"] == "all_ready")
    chat = {
        "model": f"qa-{side}",
        "messages": [{"role": "user", "content": QUESTION}],
        "stream": True,
    }
    url = f"{ready['gateways']['qa']}/chat/completions"
    with httpx.stream("POST", url, json=chat, headers=headers(trace), timeout=60) as answer:
        assert b"[DONE]" in answer.read()
    chats = "POST /v1/chat/completions"
    spans = collector.wait_for(trace, whole)
    asked = "qa-edge" if side == "edge" else "qa-uplink"
    answering = named(spans, f"qa-{side}", f"chat qa-{side}")
    path = [
        f"qa-hem SERVER {chats}",
        f"qa-hem CLIENT chat {asked}",
        "qa-hem CLIENT POST /openai/v1/chat/completions",
        f"{asked} SERVER {chats}",
    ]
    if side == "cloud":
        path += [
            "qa-uplink CLIENT chat qa-uplink",
            "qa-uplink CLIENT POST /openai/v1/chat/completions",
            f"qa-cloud SERVER {chats}",
        ]
    assert path_to(answering, spans) == [*path, f"qa-{side} INTERNAL chat qa-{side}"]
    calling = named(spans, "qa-hem", f"chat {asked}")
    assert calling.attributes["gen_ai.request.stream"] is True
    assert 0 < calling.attributes["gen_ai.response.time_to_first_chunk"] < 60
    assert calling.attributes["gen_ai.usage.output_tokens"] > 0
    assert named(spans, "qa-hem", "hem mine").attributes["hem.route"] == side
    assert not any(QUESTION in str(span) for span in spans)


def test_each_span_lies_within_its_parent(stack: RunningHem, collector: Collector) -> None:
    spans = collector.trace("a" * 32)
    by_id = {span.id: span for span in spans}
    assert len(spans) >= 9
    for span in spans:
        assert span.began <= span.ended
        if parent := by_id.get(span.parent):
            assert parent.began <= span.began
            # A server may end its span when the caller has read its answer already.
            assert span.ended <= parent.ended or span.kind == "SERVER"


def test_probes_are_no_traces(stack: RunningHem, collector: Collector) -> None:
    served = [span for span in collector.spans if span.kind == "SERVER"]
    assert served and {span.attributes["http.request.method"] for span in served} == {"POST"}
