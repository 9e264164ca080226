"""Calls to other hosts go through the environment's proxy, by REST and gRPC; near ones never do."""

import ssl
from typing import Any

import pytest
import trustme

from predictors.contract import Query
from predictors.errors import Cause, ConfigurationError
from predictors.upstream.proxies import as_proxy, environment, environment_proxy, is_near
from tests.predictors.engines.answering import answering
from tests.predictors.upstream.failing import failing
from tests.predictors.upstream.far_side import FarSide
from tests.predictors.upstream.proxy import proxy_to
from tests.predictors.upstream.test_v2_transports import answer_text, far_side, linked

NAMES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
PASSWORD = "pa/ss"
# aiohttp's own word to httpx_aiohttp, which hands it the user of a proxy.
pytestmark = pytest.mark.filterwarnings("ignore:.*(BasicAuth|proxy_auth):DeprecationWarning")


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def chosen(url: str, **variables: str) -> str | None:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        proxies = environment()
    proxy = environment_proxy(url, proxies) if proxies else None
    return None if proxy is None else str(proxy.url)


FAR = "https://api.openai.com/v1"


@pytest.mark.parametrize(
    ("url", "variables", "proxy"),
    [
        (FAR, {}, None),
        (FAR, {"HTTPS_PROXY": "http://p:1"}, "http://p:1"),
        (FAR, {"https_proxy": "http://p:1"}, "http://p:1"),
        (FAR, {"HTTPS_PROXY": "http://upper:1", "https_proxy": "http://lower:1"}, "http://lower:1"),
        (FAR, {"HTTP_PROXY": "http://p:1"}, None),
        (FAR, {"ALL_PROXY": "http://p:1"}, "http://p:1"),
        (FAR, {"HTTPS_PROXY": "p.corp:3128"}, "http://p.corp:3128"),
        (FAR, {"HTTPS_PROXY": " "}, None),
        ("http://far.example", {"HTTP_PROXY": "http://p:1"}, "http://p:1"),
        ("http://far.example", {"HTTPS_PROXY": "http://p:1"}, None),
        ("grpc://far.example:81", {"http_proxy": "http://p:1"}, "http://p:1"),
        ("grpcs://far.example", {"https_proxy": "http://p:1"}, "http://p:1"),
        (FAR, {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "*"}, None),
        (FAR, {"HTTPS_PROXY": "http://p:1", "no_proxy": "api.openai.com"}, None),
        (FAR, {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "openai.com"}, None),
        (FAR, {"HTTPS_PROXY": "http://p:1", "NO_PROXY": ".openai.com"}, None),
        (FAR, {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "localhost, *.openai.com"}, None),
        (FAR, {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "a.com api.openai.com:443"}, None),
        (FAR, {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "api.openai.com:8443"}, "http://p:1"),
        (FAR, {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "notopenai.com"}, "http://p:1"),
        ("http://93.184.216.7", {"HTTP_PROXY": "p:1", "NO_PROXY": "93.184.216.0/24"}, None),
        ("http://93.184.216.7", {"HTTP_PROXY": "p:1", "NO_PROXY": "93.184.217.0/24"}, "http://p:1"),
        ("http://[2001:db9::7]", {"HTTP_PROXY": "p:1", "NO_PROXY": "2001:db9::/32"}, None),
    ],
)
def test_the_environment_says_which_calls_go_through(
    url: str, variables: dict[str, str], proxy: str | None
) -> None:
    assert chosen(url, **variables) == proxy


@pytest.mark.parametrize(
    "host",
    [
        *("localhost", "app.localhost", "127.0.0.1", "127.9.9.9", "[::1]", "0.0.0.0"),
        *("qa-cloud", "qa-cloud.default.svc", "qa-cloud.default.svc.cluster.local"),
        *("qa-cloud.default.svc.cluster.local.", "QA.default.SVC", "x.ns.svc.corp.example"),
        *("10-0-0-7.default.pod.cluster.local", "10.96.0.1", "172.20.0.9", "192.168.1.4"),
        *("100.64.3.2", "169.254.1.1", "fd00::7", "::ffff:10.0.0.1"),
    ],
)
def test_what_is_near_never_goes_through(host: str) -> None:
    assert is_near(host)
    url = f"http://[{host}]" if ":" in host and "[" not in host else f"http://{host}"
    assert chosen(url, HTTP_PROXY="http://p:1", ALL_PROXY="http://p:1") is None


@pytest.mark.parametrize(
    "host",
    ["api.openai.com", "8.8.8.8", "svc.example.com", "cluster.local.example.com", "2600::1"],
)
def test_other_hosts_are_far(host: str) -> None:
    assert not is_near(host)


@pytest.mark.parametrize(
    "url", ["socks5://user:pa/ss@p:1", "http://", "http://u:pa/ss@:x", "ftp://p"]
)
def test_a_proxy_that_is_none_is_told_without_its_password(url: str) -> None:
    with pytest.raises(ConfigurationError, match="HTTPS_PROXY is not a proxy's URL") as raised:
        as_proxy(url, "HTTPS_PROXY")
    assert "pa/" not in str(raised.value)


async def text_of(url: str, transport: str, **options: Any) -> str:
    async with linked(url, transport, **options) as engine:
        return (await engine.generate([Query("hello")]))[0].text


async def test_rest_goes_through_to_another_host(monkeypatch: pytest.MonkeyPatch) -> None:
    with FarSide() as far:
        async with proxy_to(far.port) as proxy:
            monkeypatch.setenv("HTTP_PROXY", f"http://user:{PASSWORD[:2]}@127.0.0.1:{proxy.port}")
            assert await text_of("http://far.example", "rest") == "HELLO"
            assert await text_of(far.url, "rest") == "HELLO"
    assert proxy.asked == ["POST http://far.example/v2/models/m/infer HTTP/1.1"]
    assert "proxy-authorization: basic" in proxy.headers.lower()


async def test_https_goes_through_a_tunnel(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("far.example").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with FarSide(context) as far:
        async with proxy_to(far.port) as proxy:
            monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{proxy.port}")
            options = {"ca_bundle": str(tmp_path / "ca.pem")}
            assert await text_of("https://far.example", "rest", **options) == "HELLO"
    assert proxy.asked == ["CONNECT far.example:443 HTTP/1.1"]


@pytest.mark.parametrize("named", [True, False], ids=["--proxy", "environment"])
async def test_grpc_goes_through_a_tunnel(monkeypatch: pytest.MonkeyPatch, named: bool) -> None:
    async with far_side(answer_text) as port, proxy_to(port) as proxy:
        url = f"http://user:p%2Fw@127.0.0.1:{proxy.port}"
        if not named:
            monkeypatch.setenv("HTTP_PROXY", url)
        options = {"proxy": url} if named else {}
        assert await text_of("http://far.example:81", "grpc", **options) == "yes"
        assert proxy.asked == ["CONNECT far.example:81 HTTP/1.1"]
        assert "proxy-authorization: basic dxnlcjpwl3c=" in proxy.headers.lower()
        monkeypatch.setenv("HTTP_PROXY", url)
        assert await text_of(f"http://127.0.0.1:{port}", "grpc") == "yes"
    assert len(proxy.asked) == 1


async def test_a_proxy_that_refuses_is_told_without_its_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with answering(b"", status=407) as url:
        monkeypatch.setenv("HTTPS_PROXY", url.replace("//", "//user:word@"))
        with failing(
            Cause.UNUSABLE, r"the proxy to https://far\.example/.* refused.*407"
        ) as raised:
            await text_of("https://far.example", "rest")
    assert "word" not in str(raised.value)


async def test_a_proxy_of_a_kind_that_is_not_had_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", f"socks5://user:{PASSWORD}@127.0.0.1:1")
    with failing(Cause.UNREACHABLE, "^ALL_PROXY is not a proxy's URL: http://"):
        await text_of("http://far.example", "rest")
    with pytest.raises(ConfigurationError, match=r"^ALL_PROXY is not a proxy's URL"):
        await text_of("http://far.example", "grpc")
    with FarSide() as far:
        assert await text_of(far.url, "rest") == "HELLO"
