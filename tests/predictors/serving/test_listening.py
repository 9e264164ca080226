"""Where servers listen by default, and who may call one that listens on this machine alone."""

import socket
from collections.abc import Iterator

import httpx
import pytest

from inferencegraph.router.server import bind_port
from predictors.contract import text_request
from predictors.serving.settings import ServerSettings
from tests.conftest import ServerProcess, StartServer

# A loopback address, too: whoever listens on 127.0.0.1 alone doesn't hear it.
ANOTHER = "127.0.0.2"


@pytest.mark.parametrize(
    ("host", "in_a_pod", "address", "here"),
    [
        ("", False, "127.0.0.1", True),
        ("", True, "", False),
        ("*", False, "", False),
        ("127.0.0.1", True, "127.0.0.1", True),
        ("::1", False, "::1", True),
        ("192.0.2.1", False, "192.0.2.1", False),
    ],
)
def test_servers_listen_on_this_machine_alone_unless_they_run_in_a_pod(
    monkeypatch: pytest.MonkeyPatch, host: str, in_a_pod: bool, address: str, here: bool
) -> None:
    if in_a_pod:
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    else:
        monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    settings = ServerSettings(host=host)
    assert (settings.address, settings.listens_here) == (address, here)


@pytest.fixture(scope="module", params=["", "*"], ids=["default", "all"])
def server(start_server: StartServer, request: pytest.FixtureRequest) -> Iterator[ServerProcess]:
    arguments = ["--model_name", "m", "--engine", "scripted", "--temperature", "0"]
    yield start_server(
        "tests.predictors.scripted",
        *arguments,
        env={"PREDICTOR_HOST": request.param},
        ready="/v2/models/m/ready",
    )


def hears(server: ServerProcess, address: str, port: int) -> bool:
    with socket.socket() as caller:
        return caller.connect_ex((address, port)) == 0


def listens_everywhere(server: ServerProcess) -> bool:
    return hears(server, ANOTHER, server.port)


def test_rest_and_grpc_listen_on_the_same_addresses(
    server: ServerProcess, request: pytest.FixtureRequest
) -> None:
    for port in (server.port, server.grpc_port):
        assert hears(server, "127.0.0.1", port)
        assert hears(server, ANOTHER, port) == ("all" in request.node.name)


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        (None, 200),
        ("http://127.0.0.1:8180", 200),
        ("http://localhost:3000", 200),
        ("https://elsewhere.example", 403),
        ("http://127.0.0.1.elsewhere.example", 403),
        ("null", 403),
    ],
)
def test_a_page_of_the_web_may_not_spend_money_here(
    server: ServerProcess, origin: str | None, status: int
) -> None:
    """Where all may call from anywhere, a page may, too."""
    headers = {"content-type": "text/plain", **({"origin": origin} if origin else {})}
    body = httpx.Request("POST", "http://x", json=text_request(["x"], {})).content
    answer = httpx.post(f"{server.url}/v2/models/m/infer", content=body, headers=headers)
    expected = 200 if listens_everywhere(server) else status
    assert answer.status_code == expected
    assert ("error" in answer.json()) == (expected == 403)


def test_a_router_of_a_graph_listens_where_it_is_told() -> None:
    with bind_port("127.0.0.1", 0) as bound, socket.socket() as caller:
        bound.listen()
        assert caller.connect_ex((ANOTHER, bound.getsockname()[1])) != 0
