"""TLS on every hop: a gateway and a predictor that show certificates and ask for them."""

import contextlib
import datetime
import ssl
import time
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

import grpc
import httpx
import pytest
import trustme

from predictors.contract import Query
from predictors.engines.kserve import KServeEngine
from predictors.errors import Cause, ConfigurationError, UpstreamError
from tests.conftest import ServerProcess, StartServer
from tests.predictors.upstream.far_side import FarSide
from tests.predictors.upstream.test_v2_transports import answer_text, far_side, linked
from tests.transformers_hem.gateway.gateway_under_test import chat
from transformers_hem.serving.settings import HEMSettings

OURS, STRANGERS = trustme.CA(), trustme.CA()
LONG_AGO = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)


@dataclass(frozen=True)
class Files:
    """Of PEM: authorities, and certificates with their keys."""

    folder: Path

    def authority(self, authority: trustme.CA, name: str) -> str:
        path = self.folder / f"{name}.pem"
        authority.cert_pem.write_to_path(str(path))
        return str(path)

    def certificate(self, authority: trustme.CA, name: str) -> tuple[str, str]:
        """For this machine; its file and that of its key."""
        issued = authority.issue_cert("127.0.0.1")
        paths = (self.folder / f"{name}-cert.pem", self.folder / f"{name}-key.pem")
        paths[0].write_bytes(b"".join(each.bytes() for each in issued.cert_chain_pems))
        issued.private_key_pem.write_to_path(str(paths[1]))
        return str(paths[0]), str(paths[1])


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return Files(tmp_path_factory.mktemp("tls"))


def ready(server: ServerProcess, path: str, context: ssl.SSLContext) -> str:
    """Its URL, once it answers."""
    url = server.url.replace("http://", "https://")
    deadline = time.monotonic() + 90
    with httpx.Client(verify=context) as client:
        while time.monotonic() < deadline and server.process.poll() is None:
            with contextlib.suppress(httpx.HTTPError):
                if client.get(url + path).status_code == 200:
                    return url
            time.sleep(0.1)
    raise AssertionError(server.log.read_text()[-4000:])


@pytest.fixture(scope="module")
def caller(files: Files) -> ssl.SSLContext:
    """Knows our authority, and shows a certificate of it."""
    context = ssl.create_default_context(cafile=files.authority(OURS, "ca"))
    context.load_cert_chain(*files.certificate(OURS, "caller"))
    return context


@pytest.fixture(scope="module")
def served(files: Files) -> dict[str, str]:
    certificate, key = files.certificate(OURS, "server")
    return {
        "KSERVE_TLS_CERT_FILE": certificate,
        "KSERVE_TLS_KEY_FILE": key,
        "PREDICTOR_TLS_CLIENT_CA": files.authority(OURS, "ca"),
        "HEM_TLS_CLIENT_CA": files.authority(OURS, "ca"),
    }


@pytest.fixture(scope="module")
def predictor(
    start_server: StartServer, served: dict[str, str], caller: ssl.SSLContext
) -> ServerProcess:
    arguments = ("--model_name", "m", "--engine", "scripted", "--temperature", "0")
    server = start_server("tests.predictors.scripted", *arguments, env=served)
    ready(server, "/v2/models/m/ready", caller)
    return server


def uplink(url: str, transport: str, **options: str) -> AbstractAsyncContextManager[KServeEngine]:
    return linked(url, transport, breaker_failures=0, **options)


def address(server: ServerProcess, transport: str) -> str:
    return f"https://127.0.0.1:{server.port if transport == 'rest' else server.grpc_port}"


@pytest.mark.parametrize("transport", ["rest", "grpc"])
async def test_an_uplink_shows_its_certificate(
    predictor: ServerProcess, files: Files, transport: str
) -> None:
    cert, key = files.certificate(OURS, "uplink")
    tls = {"ca_bundle": files.authority(OURS, "ca"), "client_cert": cert, "client_key": key}
    async with uplink(address(predictor, transport), transport, **tls) as engine:
        assert (await engine.generate([Query("x")]))[0].text == "X"


@pytest.mark.parametrize("transport", ["rest", "grpc"])
@pytest.mark.parametrize("whose", ["nobody's", "a stranger's"])
async def test_who_shows_no_certificate_of_ours_is_not_served(
    predictor: ServerProcess, files: Files, transport: str, whose: str
) -> None:
    tls = {"ca_bundle": files.authority(OURS, "ca")}
    if whose == "a stranger's":
        tls["client_cert"], tls["client_key"] = files.certificate(STRANGERS, "stranger")
    async with uplink(address(predictor, transport), transport, **tls) as engine:
        with pytest.raises(UpstreamError):
            await engine.generate([Query("x")])


def test_a_gateway_has_tls_on_both_of_its_sides(
    start_server: StartServer,
    predictor: ServerProcess,
    served: dict[str, str],
    files: Files,
    caller: ssl.SSLContext,
) -> None:
    cert, key = files.certificate(OURS, "gateway")
    side = address(predictor, "rest")
    server = start_server(
        "transformers_hem",
        *("--model_name", "qa-hem"),
        env={
            **served,
            "HEM_ALGORITHM": "CloudOnly",
            "HEM_EDGE_URL": side,
            "HEM_CLOUD_URL": side,
            "HEM_CA_BUNDLE": files.authority(OURS, "ca"),
            "HEM_CLIENT_CERT": cert,
            "HEM_CLIENT_KEY": key,
        },
    )
    url = ready(server, "/v2/models/qa-hem/ready", caller)
    answer = httpx.post(f"{url}/v1/chat/completions", json=chat(stream=False), verify=caller)
    assert answer.status_code == 200, answer.text
    assert answer.json()["choices"][0]["message"]["content"] == "HELLO"
    nobodys = ssl.create_default_context(cafile=files.authority(OURS, "ca"))
    with pytest.raises(httpx.TransportError):
        httpx.get(f"{url}/v1/models", verify=nobodys)


OTHER_HOST = {"name": "other.example"}
WRONG = {
    "of another authority": (STRANGERS, {}, "unable to get local issuer certificate$"),
    "expired": (OURS, {"not_after": LONG_AGO}, "certificate has expired$"),
    "of another host": (OURS, OTHER_HOST, "certificate is not valid for|Hostname Verification"),
}


@pytest.mark.parametrize("transport", ["rest", "grpc"])
@pytest.mark.parametrize("wrong", WRONG)
async def test_a_server_with_a_wrong_certificate_is_told_by_its_fault(
    files: Files, transport: str, wrong: str
) -> None:
    authority, how, told = WRONG[wrong]
    options = dict(how)
    issued = authority.issue_cert(str(options.pop("name", "127.0.0.1")), **options)
    async with contextlib.AsyncExitStack() as stack:
        if transport == "rest":
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            issued.configure_cert(context)
            url = stack.enter_context(FarSide(context)).url
        else:
            pair = (issued.private_key_pem.bytes(), issued.cert_chain_pems[0].bytes())
            credentials = grpc.ssl_server_credentials([pair])
            port = await stack.enter_async_context(far_side(answer_text, credentials=credentials))
            url = f"https://127.0.0.1:{port}"
        bundle = files.authority(OURS, "ca")
        engine = await stack.enter_async_context(uplink(url, transport, ca_bundle=bundle))
        with pytest.raises(UpstreamError, match=f"does not verify: .*({told})") as refused:
            await engine.generate([Query("x")])
    assert refused.value.cause is Cause.CERTIFICATE
    assert url in str(refused.value)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"ca_bundle": "/nowhere.pem"}, "HEM_CA_BUNDLE '/nowhere.pem'"),
        (
            {"client_cert": "/nowhere.pem"},
            "HEM_CLIENT_CERT '/nowhere.pem', .* both",
        ),
        ({"client_cert": "/no.pem", "client_key": "/no.pem"}, "HEM_CLIENT_CERT '/no.pem'"),
    ],
)
def test_a_file_that_is_wrong_is_named_by_its_variable(given: dict[str, str], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        HEMSettings(**given).verifies()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ["--tls_client_ca", "/nowhere.pem"],
            "--tls_client_ca '/nowhere.pem' needs",
        ),
        (["--ssl_certfile", "/nowhere.pem"], "--ssl_certfile and --ssl_keyfile belong together"),
        (["--ssl_certfile", "/no.pem", "--ssl_keyfile", "/no.pem"], "--ssl_certfile '/no.pem'"),
    ],
)
def test_a_server_with_wrong_files_does_not_start(
    start_server: StartServer, arguments: list[str], told: str
) -> None:
    server = start_server(
        "tests.predictors.scripted", "--model_name", "m", "--engine", "scripted", *arguments
    )
    assert server.process.wait(60) == 2
    assert told in server.log.read_text()
