"""The fault table: whatever the far side does, the caller of a real predictor gets a clear error.

Each fault is counted, and the predictor answers the next query.
"""

import signal
import ssl
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx
import pytest
import trustme

from predictors.contract import text_request
from tests.conftest import ServerProcess, StartServer
from tests.predictors.upstream.far_side import FarSide
from tests.waiting import eventually

KEY = "sk-far-side-0123456789"
MANY = 4_000_000
QUICK = (
    *("--timeout", "3", "--retries", "1", "--breaker_failures", "1000"),
    *("--max_answer_bytes", str(MANY)),
)


@dataclass
class Uplink:
    server: ServerProcess
    far: FarSide

    def ask(self, query: str) -> httpx.Response:
        url = f"{self.server.url}/v2/models/up/infer"
        return httpx.post(url, json=text_request([query]), timeout=30)

    def metric(self, name: str, **labels: str) -> float:
        return metric(self.server, name, **labels)


def metric(server: ServerProcess, name: str, **labels: str) -> float:
    """Summed over upstreams and the labels that are not given."""
    page = httpx.get(f"{server.url}/metrics", timeout=10).text
    lines = [line for line in page.splitlines() if line.startswith(f"hem_upstream_{name}{{")]
    wanted = [f'{label}="{value}"' for label, value in labels.items()]
    return sum(float(li.split()[-1]) for li in lines if all(w in li for w in wanted))


CLOSED, HALF_OPEN, OPEN = 0, 1, 2


def until_half_open(server: ServerProcess) -> None:
    eventually(lambda: metric(server, "breaker") == HALF_OPEN)


ENGINES = {
    "openai_api": ("--engine", "openai_api", "--repetition_penalty", "1", "--api_key", KEY),
    "kserve": (
        *("--engine", "kserve", "--upstream_model", "far"),
        *("--extra_headers", f'{{"authorization": "Bearer {KEY}"}}'),
    ),
}


def start_uplink(start_server: StartServer, engine: str, far: FarSide, *options: str) -> Uplink:
    path = {"openai_api": "/v1", "kserve": ""}[engine]
    arguments = ("--model_name", "up", *ENGINES[engine], "--url", far.url + path, *options)
    return Uplink(start_server("predictors", *arguments, ready="/v2/models/up/ready"), far)


@pytest.fixture(scope="module")
def far() -> Iterator[FarSide]:
    with FarSide() as far:
        yield far


@pytest.fixture(scope="module")
def openai_api(start_server: StartServer, far: FarSide) -> Uplink:
    return start_uplink(start_server, "openai_api", far, *QUICK)


@pytest.fixture(scope="module")
def kserve(start_server: StartServer, far: FarSide) -> Uplink:
    return start_uplink(start_server, "kserve", far, *QUICK)


@pytest.fixture(params=ENGINES)
def uplink(request: pytest.FixtureRequest) -> Uplink:
    found: Uplink = request.getfixturevalue(request.param)
    return found


@pytest.mark.parametrize(
    ("query", "status", "said", "kind"),
    [
        ("html", 502, "is unusable: unexpected", "unusable"),
        ("noise", 502, "did not answer with HTTP", "unusable"),
        ("cut", 502, "broke off its answer", "unreachable"),
        ("drop", 503, "closed the connection before it answered", "unreachable"),
        ("late 4", 504, "did not answer", "timeout"),
        ("storm 9", 503, "answered 429: Rate limit reached", "throttled"),
        ("status 404", 502, "answered 404: the far side's words", "refused"),
        ("status 500", 502, "answered 500: the far side's words", "server_error"),
        ("status 502", 502, "answered 502", "server_error"),
        ("status 503", 503, "answered 503", "server_error"),
        ("status 504", 504, "answered 504", "server_error"),
        ("status 302", 502, "answered 302", "refused"),
        ("charset", 502, "answered 500: !!", "server_error"),
        ("date", 503, "answered 503: later", "server_error"),
        ("parrot 285", 502, "answered 500: xxx", "server_error"),
    ],
)
def test_each_fault_is_an_error_of_its_own_and_is_counted(
    uplink: Uplink, query: str, status: int, said: str, kind: str
) -> None:
    before = uplink.metric("failures_total", kind=kind)
    response = uplink.ask(query)
    assert (response.status_code, list(response.json())) == (status, ["error"])
    assert said in response.json()["error"]
    assert KEY[:6] not in response.text
    assert uplink.metric("failures_total", kind=kind) > before
    fine = uplink.ask(f"and after {query}")
    assert fine.json()["outputs"][0]["data"] == [f"AND AFTER {query.upper()}"]


@pytest.mark.parametrize("coding", ["identity", "gzip", "br"])
@pytest.mark.parametrize("status", [200, 500])
def test_an_answer_without_an_end_is_not_kept(uplink: Uplink, status: int, coding: str) -> None:
    kind = "unusable" if coding == "br" else "too_large"
    before = uplink.metric("failures_total", kind=kind)
    response = uplink.ask(f"endless {status} {coding}")
    assert response.status_code == 502
    said = "in the coding 'br'" if coding == "br" else f"more than {MANY} bytes (max_answer_bytes)"
    assert said in response.json()["error"]
    assert uplink.metric("failures_total", kind=kind) == before + 1
    assert uplink.server.memory_peak() < 600 * 2**20


@pytest.mark.parametrize("status", [400, 413, 422])
def test_what_the_caller_can_mend_stays_a_client_error(uplink: Uplink, status: int) -> None:
    response = uplink.ask(f"status {status}")
    assert response.status_code == 400
    assert response.json()["error"].startswith("the far side's words")
    assert KEY not in response.text


@pytest.mark.parametrize("query", ["storm 1", "storm 1 0.1"])
def test_a_short_storm_is_waited_out(uplink: Uplink, query: str) -> None:
    before = uplink.metric("retries_total")
    marked = f"{query} 0 {uplink.server.port}" if len(query.split()) == 2 else query
    uplink.far.asked.clear()
    response = uplink.ask(marked)
    assert response.status_code == 200, response.text
    assert uplink.metric("retries_total") == before + 1


@pytest.mark.parametrize("engine", ENGINES)
def test_a_storm_that_outlasts_the_time_for_retries_opens_the_breaker_at_once(
    start_server: StartServer, engine: str
) -> None:
    with FarSide() as far:
        up = start_uplink(start_server, engine, far)
        refused = up.ask("storm 9 50")
        assert refused.status_code == 503
        assert "answered 429: Rate limit reached" in refused.json()["error"]
        for query in ["storm 9 50", "not asked"] * 10:
            refused = up.ask(query)
            assert refused.status_code == 503
            assert "is not called for now: " in refused.json()["error"]
        assert dict(far.asked) == {"storm 9 50": 1}
        assert up.metric("breaker") == OPEN
        log = up.server.log.read_text().splitlines()
        assert len([line for line in log if "circuit breaker is open" in line]) == 1
        assert not [line for line in log if "is not called for now" in line]


@pytest.mark.parametrize("transport", ["rest", "grpc"])
def test_a_cloud_that_freezes_is_given_up_in_seconds(
    start_server: StartServer, transport: str
) -> None:
    """A call may take 120 s. A loaded machine adds seconds, not a minute."""
    arguments = ("--model_name", "far", "--engine", "scripted")
    far = start_server("tests.predictors.scripted", *arguments, ready="/v2/models/far/ready")
    url = far.url if transport == "rest" else f"http://127.0.0.1:{far.grpc_port}"
    options = ("--engine", "kserve", "--transport", transport, "--url", url)
    server = start_server(
        "predictors",
        *("--model_name", "up", *options, "--upstream_model", "far", "--breaker_seconds", "5"),
        ready="/v2/models/up/ready",
    )
    asked = text_request(["x"])
    assert httpx.post(f"{server.url}/v2/models/up/infer", json=asked).status_code == 200
    far.process.send_signal(signal.SIGSTOP)
    try:
        with ThreadPoolExecutor(20) as pool:
            began = time.monotonic()
            calls = [
                pool.submit(httpx.post, f"{server.url}/v2/models/up/infer", json=asked, timeout=200)
                for _ in range(20)
            ]
            answers = [call.result() for call in calls]
        assert time.monotonic() - began < 60
        assert {answer.status_code for answer in answers} <= {503, 504}
        assert any("nor tell its health" in answer.json()["error"] for answer in answers)
        assert httpx.post(f"{server.url}/v2/models/up/infer", json=asked).status_code == 503
    finally:
        far.process.send_signal(signal.SIGCONT)
    until_half_open(server)
    assert httpx.post(f"{server.url}/v2/models/up/infer", json=asked).status_code == 200
    log = server.log.read_text()
    assert log.count("the circuit breaker is open: ") == 1
    assert "ERROR" not in log


@pytest.mark.parametrize("status", [401, 403])
def test_a_key_that_is_refused_names_its_setting(openai_api: Uplink, status: int) -> None:
    response = openai_api.ask(f"status {status}")
    assert response.status_code == 502
    assert "it refused the key; see --api_key" in response.json()["error"]
    assert KEY not in response.text
    assert KEY not in openai_api.server.log.read_text()


def test_a_cloud_that_hangs_is_not_waited_for_until_it_is_well(
    start_server: StartServer,
) -> None:
    with FarSide() as far:
        options = ("--breaker_failures", "1000", "--breaker_seconds", "4")
        up = start_uplink(start_server, "kserve", far, *options)
        assert up.ask("well").status_code == 200
        far.hangs = True
        assert up.ask("hangs").status_code == 504
        asked = len(far.requests)
        refused = up.ask("not asked")
        assert up.metric("breaker") == OPEN
        assert refused.status_code == 503
        assert "is not called for now: " in refused.json()["error"]
        assert len(far.requests) == asked
        assert up.metric("rejected_total", reason="breaker_open") == 1

        far.hangs = False
        until_half_open(up.server)
        assert up.ask("well again").json()["outputs"][0]["data"] == ["WELL AGAIN"]
        assert up.metric("breaker") == CLOSED


def test_a_certificate_that_does_not_verify_is_a_bad_gateway(start_server: StartServer) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    with FarSide(context) as far:
        up = start_uplink(start_server, "openai_api", far, "--retries", "0")
        response = up.ask("never sent")
        assert response.status_code == 502
        assert "does not verify: " in response.json()["error"]
        assert up.metric("failures_total", kind="certificate") == 1
        assert far.requests == []
