"""No secret shows: real servers get one in each place where one can be given, and are called by
callers with keys, while the far side repeats in its errors all that it got. Then their arguments,
logs, answers, metrics and ledgers are looked through."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import httpx
import pytest

from tests.conftest import ServerProcess, StartServer
from tests.loopback import Handler, LoopbackServer
from tests.transformers_hem.gateway.gateway_under_test import chat

SECRETS: Final = {
    "key_of_a_file": "sk-file-5e0b1d7a93c24f",
    "header": "hdr-8d61f0c2b7a94e",
    "field": "fld-72c9a1e4d05b38",
    "parameter_of_a_url": "sig-19f7b3d8e6a05c",
    "key_of_the_environment": "sk-env-c40d7e91ab5f26",
    "password_of_a_proxy": "pxy-a3e85d7c19f042",
    "token_of_a_caller": "sk-team-6f1e9b04d7c83a",
    "token_of_an_admin": "sk-admin-e82c07b5d94f16",
    "token_that_is_wrong": "sk-wrong-0a7d3e96c1b85f",
}
# Their own arguments are looked at, so they are not forked.
OF_ITS_OWN: Final = {"PYTHONUNBUFFERED": "1"}
PAGE: Final = b"<html>this is no API, but you sent: %s</html>"


class Repeating(Handler):
    """Refuses each call by the status in its last message, with all that it got in the reason."""

    def do_GET(self) -> None:
        self.say(200, {"object": "list", "data": [{"id": "m"}]})

    def do_POST(self) -> None:
        body = self.read()
        got = f"{self.path} {dict(self.headers)} {body.decode()}"
        status = int(json.loads(body)["messages"][-1]["content"])
        if status == 200:
            return self.say(200, PAGE % got.encode())
        error = {"message": f"Incorrect request: {got}", "type": "x", "param": None, "code": None}
        self.say(status, {"error": error})


@pytest.fixture(scope="module")
def repeating() -> Iterator[str]:
    with LoopbackServer(Repeating) as server:
        yield f"{server.origin}/v1"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("secrets")
    (path / "key").write_text(SECRETS["key_of_a_file"])
    tokens = [
        {"name": "team", "key": SECRETS["token_of_a_caller"]},
        {"name": "anna", "key": SECRETS["token_of_an_admin"], "admin": True},
    ]
    (path / "tokens").write_text(json.dumps({"tokens": tokens}))
    return path


@pytest.fixture(scope="module")
def servers(start_server: StartServer, folder: Path, repeating: str) -> list[ServerProcess]:
    uplink = start_server(
        "predictors",
        *("--model_name", "cloud", "--engine", "openai_api", "--upstream_model", "m"),
        *("--api_key_file", str(folder / "key"), "--retries", "0", "--breaker_failures", "0"),
        *("--ledger", str(folder / "uplink.ledger")),
        env=OF_ITS_OWN
        | {
            "PREDICTOR_URL": f"{repeating}?sig={SECRETS['parameter_of_a_url']}",
            "PREDICTOR_EXTRA_HEADERS": json.dumps({"x-team-secret": SECRETS["header"]}),
            "PREDICTOR_EXTRA_BODY": json.dumps({"user": SECRETS["field"]}),
        },
        ready="/v2/models/cloud/ready",
    )
    proxied = start_server(
        "predictors",
        *("--model_name", "edge", "--engine", "openai_api", "--upstream_model", "m"),
        *("--retries", "0", "--breaker_failures", "0"),
        env=OF_ITS_OWN
        | {
            "PREDICTOR_URL": repeating,
            "PREDICTOR_API_KEY": SECRETS["key_of_the_environment"],
            "PREDICTOR_PROXY": f"http://user:{SECRETS['password_of_a_proxy']}@127.0.0.1:9",
        },
        ready="/v2/models/edge/ready",
    )
    gateway = start_server(
        "transformers_hem",
        *("--model_name", "qa-hem"),
        env=OF_ITS_OWN
        | {
            "HEM_ALGORITHM": "CloudOnly",
            "HEM_EDGE_URL": f"{proxied.url}?sig={SECRETS['parameter_of_a_url']}",
            "HEM_CLOUD_URL": uplink.url,
            "HEM_API_KEYS_FILE": str(folder / "tokens"),
            "HEM_LEDGER": str(folder / "gateway.ledger"),
            "HEM_BREAKER_FAILURES": "0",
        },
        ready="/v2/models/qa-hem/ready",
    )
    return [uplink, proxied, gateway]


def called(servers: list[ServerProcess]) -> Iterator[str]:
    """What callers read: of each server, whatever the far side answers."""
    uplink, proxied, gateway = servers
    headers = {"authorization": f"Bearer {SECRETS['token_of_a_caller']}"}
    for status in (200, 400, 401, 403, 404, 429, 500, 503):
        for stream in (False, True):
            for server, model in ((uplink, "cloud"), (proxied, "edge"), (gateway, "qa")):
                body = chat(str(status), model=model, stream=stream)
                url = f"{server.url}/v1/chat/completions"
                answer = httpx.post(url, json=body, headers=headers, timeout=30)
                assert answer.status_code >= 400
                yield f"{answer.headers} {answer.text}"
    wrong = {"authorization": f"Bearer {SECRETS['token_that_is_wrong']}"}
    admin = {"authorization": f"Bearer {SECRETS['token_of_an_admin']}"}
    for each in (wrong, headers, admin):
        yield httpx.get(f"{gateway.url}/v1/models", headers=each).text
        yield httpx.get(f"{gateway.url}/admin/config", headers=each).text
        yield httpx.post(f"{gateway.url}/admin/reload", headers=each).text
    for server in servers:
        yield httpx.get(f"{server.url}/metrics").text
        yield httpx.get(f"{server.url}/v2").text


def test_no_secret_shows(servers: list[ServerProcess], folder: Path) -> None:
    seen = {f"answer {number}": text for number, text in enumerate(called(servers))}
    for server in servers:
        arguments = Path(f"/proc/{server.process.pid}/cmdline").read_text()
        assert "--model_name" in arguments
        seen[f"arguments of {server.port}"] = arguments
        seen[f"log of {server.port}"] = server.log.read_text()
    for ledger in folder.glob("*.ledger*"):
        files = [ledger] if ledger.is_file() else [p for p in ledger.rglob("*") if p.is_file()]
        seen |= {str(file): file.read_text(errors="replace") for file in files}
    assert any("401" in text for text in seen.values())  # the far side was asked, and refused
    assert any(".ledger" in name and text for name, text in seen.items())
    shown = [
        (where, what)
        for where, text in seen.items()
        for what, secret in SECRETS.items()
        if secret in text
    ]
    assert not shown


def test_a_secret_among_the_arguments_is_warned_of(
    start_server: StartServer, repeating: str
) -> None:
    """Arguments are for all to read, whatever a program does then."""
    secret = SECRETS["header"]
    server = start_server(
        "predictors",
        *("--model_name", "m", "--engine", "openai_api", "--url", repeating),
        *("--extra_headers", json.dumps({"x-key": secret})),
        ready="/v2/models/m/ready",
    )
    log = server.log.read_text()
    assert "--extra_headers is a secret" in log and "PREDICTOR_EXTRA_HEADERS" in log
    assert secret not in log
