"""Each fault is on the wire what its name says, and stays one: a row of the soak must be able to
fail."""

import contextlib
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
import trustme

from tests.conftest import free_port
from tests.soak.faulty_proxy import FaultyProxy, Proxies
from tests.soak.network import Network, network
from tests.soak.wire_faults import DELAY_SECONDS, FAULTS, OVERSIZED_BYTES

ANSWER = b'{"answer": "forty-two"}'


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(ANSWER)))
        self.end_headers()
        self.wfile.write(ANSWER)

    def log_message(self, *arguments: object) -> None:
        pass


def serve(port: int = 0) -> ThreadingHTTPServer:
    ThreadingHTTPServer.allow_reuse_address = True
    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


@pytest.fixture(scope="module")
def service() -> Iterator[int]:
    server = serve()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def proxies() -> Iterator[Proxies]:
    proxies = Proxies()
    yield proxies
    proxies.close()


@pytest.fixture
def proxy(proxies: Proxies, service: int) -> FaultyProxy:
    proxy = proxies.add(Network("not wanted here"))
    proxy.aim(service)
    return proxy


def ask(proxy: FaultyProxy, timeout: float = 5, **settings: object) -> httpx.Response:
    return httpx.post(proxy.url, content=b"{}", timeout=timeout, **settings)


@pytest.mark.parametrize("fault", FAULTS)
def test_after_a_fault_the_answer_is_the_service_s(proxy: FaultyProxy, fault: str) -> None:
    with httpx.Client(timeout=0.3, base_url=proxy.url) as client:
        assert client.post("/", content=b"{}").content == ANSWER
        proxy.play(fault)
        with contextlib.suppress(httpx.HTTPError):
            client.post("/", content=b"{}")
        proxy.heal()
        assert client.post("/", content=b"{}").content == ANSWER


@pytest.mark.parametrize("fault", ["silent", "dripping", "dripping head", "2 s of delay"])
def test_what_is_late_is_late(proxy: FaultyProxy, fault: str) -> None:
    proxy.play(fault)
    with pytest.raises(httpx.ReadTimeout):
        ask(proxy, DELAY_SECONDS / 2)


def test_a_delay_is_no_more_than_that(proxy: FaultyProxy) -> None:
    proxy.play("2 s of delay")
    began = time.monotonic()
    assert ask(proxy, 30).content == ANSWER
    assert time.monotonic() - began >= DELAY_SECONDS


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("garbage", "illegal"),
        ("truncated body", "incomplete message body|peer closed"),
        ("reset before the headers", "reset"),
        ("reset in the body", "reset"),
    ],
)
def test_what_is_broken_is_no_answer(proxy: FaultyProxy, fault: str, error: str) -> None:
    proxy.play(fault)
    with pytest.raises(httpx.TransportError, match=error):
        ask(proxy, 30)


def test_an_oversized_body_is_an_answer_but_for_its_size(proxy: FaultyProxy) -> None:
    proxy.play("oversized body")
    body = ask(proxy, 60).content
    assert len(body) == OVERSIZED_BYTES
    assert len(json.loads(body)["outputs"][0]["data"][0]) > OVERSIZED_BYTES - 200


@pytest.mark.parametrize(
    ("fault", "status", "body", "headers"),
    [
        ("500", 500, b"the script says 500", {}),
        ("503", 503, b"the script says 503", {}),
        ("429", 429, b"the script says 429", {"retry-after": None}),
        ("429 Retry-After", 429, b"the script says 429", {"retry-after": "30"}),
        ("wrong content type", 200, b"<html>", {"content-type": "text/html"}),
        ("garbage body", 200, b"garbage", {}),
        ("cut short", 200, ANSWER[: len(ANSWER) // 2], {}),
    ],
)
def test_what_is_answered_is_the_fault(
    proxy: FaultyProxy, fault: str, status: int, body: bytes, headers: dict[str, str | None]
) -> None:
    proxy.play(fault)
    response = ask(proxy)
    assert response.status_code == status
    assert body in response.content
    assert {name: response.headers.get(name) for name in headers} == headers


def test_healing_ends_what_a_fault_still_holds(proxy: FaultyProxy) -> None:
    proxy.play("silent")
    threading.Timer(0.3, proxy.heal).start()
    with pytest.raises(httpx.NetworkError):
        ask(proxy, 30)


def test_healing_leaves_a_delayed_answer_alone(proxy: FaultyProxy) -> None:
    proxy.play("2 s of delay")
    threading.Timer(0.3, proxy.heal).start()
    assert ask(proxy, 30).content == ANSWER


def test_where_the_service_refuses_connections_so_does_the_proxy(proxies: Proxies) -> None:
    proxy, port = proxies.add(Network("not wanted here")), free_port()
    proxy.aim(port)
    with pytest.raises(httpx.NetworkError):
        ask(proxy)
    with pytest.raises(ConnectionRefusedError), socket.socket() as caller:
        caller.connect((proxy.host, proxy.port))
    server = serve(port)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            assert ask(proxy).content == ANSWER
            break
        except httpx.NetworkError:
            time.sleep(0.05)
    else:
        pytest.fail("the proxy did not listen again")
    server.shutdown()
    server.server_close()


def test_a_certificate_of_nobody_does_not_verify(proxies: Proxies, service: int) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    proxy = proxies.add(Network("not wanted here"), context)
    proxy.aim(service)
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        ask(proxy)
    assert ask(proxy, verify=False).content == ANSWER


def test_a_wire_loses_packets_and_heals(proxies: Proxies, service: int) -> None:
    with network() as wire:
        if wire.no_loss:
            pytest.skip(wire.no_loss)
        proxy = proxies.add(wire)
        proxy.aim(service)
        assert ask(proxy).content == ANSWER
        wire.lose(proxy.port)
        try:
            slow = sum(_seconds(proxy) > 0.15 for _ in range(20))
        finally:
            wire.keep()
        # A connection takes some eight packets; 200 ms is the least that TCP waits for a lost one.
        assert slow >= 4
        assert ask(proxy).content == ANSWER


def _seconds(proxy: FaultyProxy) -> float:
    began = time.monotonic()
    assert ask(proxy, 60).content == ANSWER
    return time.monotonic() - began
