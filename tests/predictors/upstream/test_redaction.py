"""A key stays out of every error, whatever its length and however a far side repeats it."""

import pytest

from predictors.engines.kserve import KServeSettings
from predictors.engines.openai_api import OpenAIAPISettings
from predictors.engines.triton.settings import TritonSettings
from predictors.errors import ConfigurationError, UpstreamError
from predictors.settings import EngineSettings, read_settings
from predictors.upstream.ask import ask, check_url
from predictors.upstream.client import build_client
from predictors.upstream.redaction import MAX_REASON, Redaction, shown_url, shown_value
from tests.conftest import free_port
from tests.predictors.upstream.far_side import FarSide

KEY = "sk-0123456789abcdef"


@pytest.mark.parametrize(
    ("value", "text", "said"),
    [
        (f"Bearer {KEY}", f"bad credentials: Bearer {KEY}!", "bad credentials: ***!"),
        (f"Bearer {KEY}", f"Incorrect API key provided:{KEY}x", "Incorrect API key provided:***x"),
        (f"Bearer {KEY}", "a Bearer token is missing", "a Bearer token is missing"),
        ("Bearer k3y!", "no such key: k3y!", "no such key: ***"),
        ("abc", "the key abc, in abcdef", "the key ***, in abcdef"),
        ("user pass1234", "pass1234 is not that of user", "*** is not that of ***"),
        ('Bearer "q\\1"', r'{"detail": "\"q\\1\""}', '{"detail": "***"}'),
        ("", "nothing is secret", "nothing is secret"),
    ],
)
def test_a_key_is_struck_out(value: str, text: str, said: str) -> None:
    assert Redaction([value]).reason(text) == said


@pytest.mark.parametrize(
    ("key", "text", "said"),
    [
        ("x", "max_tokens: at most 4096, not x", "max_tokens: at most 4096, not x"),
        ("a", "a key is missing; got: a", "a key is missing; got: ***"),
        ("sk", 'the key is "sk", no task', 'the key is "***", no task'),
        ("1", "temperature must be 1, token '1'", "temperature must be 1, token '***'"),
        ("none", "nonesuch; none is not a key", "nonesuch; *** is not a key"),
        ("model7", "models model7x and model7", "models model7x and ***"),
    ],
)
def test_a_short_key_is_struck_out_where_it_is_a_key(key: str, text: str, said: str) -> None:
    assert Redaction([f"Bearer {key}"]).reason(text) == said


def test_a_short_value_of_a_header_that_is_no_secret_stays_readable() -> None:
    fields = {"x-team": "edge", "x-api-key": "k3y-9", "cookie": "id=7abc"}
    said = Redaction.of(fields, {"code": "s3cret-of-azure"}).reason(
        "the edge has no k3y-9, id=7abc, s3cret-of-azure"
    )
    assert said == "the edge has no ***, ***, ***"


ODD_URLS = [
    ("http://user:pa/ss@host:80/v1", "http://***@host:80/v1"),
    ("http://user:pa?ss@host/v1", "http://***@host/v1"),
    ("http://user:pa#ss@host/v1", "http://***@host/v1"),
    ("http://user:p@ss@host/v1", "http://***@host/v1"),
    ("http://user:pa ss'\"@host", "http://***@host"),
    ("https://pa/ss@host", "https://***@host"),
    ("user:pass@host:80", "***@host:80"),
    ("socks5h://user:pass@host", "socks5h://***@host"),
    ("http://user:pass@[::1]:80/v1", "http://***@[::1]:80/v1"),
]


@pytest.mark.parametrize(("url", "expected"), ODD_URLS)
def test_a_url_is_shown_without_its_password(url: str, expected: str) -> None:
    assert shown_url(url) == expected
    assert shown_value("url", url) == expected


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://host/v1?api-version=2024-06-01&key=abc", "http://host/v1"),
        ("http://host/v1#abc", "http://host/v1"),
        ("http://host/v1", "http://host/v1"),
        ("", ""),
    ],
)
def test_a_url_is_shown_without_its_parameters(url: str, expected: str) -> None:
    assert shown_url(url) == expected


def test_other_values_are_shown_as_they_are() -> None:
    assert shown_value("stop", "a@b") == "a@b"
    assert shown_value("retries", 7) == 7


TOLD = ("pa/", "pa?", "pa#", "pass", "p@ss", "pa ss")


@pytest.mark.parametrize("settings", [KServeSettings, OpenAIAPISettings, TritonSettings])
@pytest.mark.parametrize("url", [url for url, _ in ODD_URLS])
def test_a_password_in_the_url_of_an_engine_is_refused_and_not_told(
    settings: type[EngineSettings], url: str
) -> None:
    with pytest.raises(ConfigurationError, match=r"^--url '.*\*\*\*@") as raised:
        read_settings(settings, {"url": url, "upstream_model": "m"})
    assert not [words for words in TOLD if words in str(raised.value).replace("a password", "")]


@pytest.mark.parametrize("url", [url for url, _ in ODD_URLS if " " not in url and "[" not in url])
def test_an_odd_password_in_the_url_of_a_command_is_refused_and_not_told(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^--url '.*\*\*\*@") as raised:
        check_url(url, "--url", "http://127.0.0.1:8080")
    assert not [words for words in TOLD if words in str(raised.value).replace("a password", "")]


def test_a_password_that_is_written_rightly_is_taken_by_clients() -> None:
    url = "http://user:pa%2Fss@host:80/v2"
    assert check_url(url, "--url", "http://127.0.0.1:8080") == url
    for accepted in ("http://host/v2/models/a%40b/infer", "http://user:pa ss@host"):
        assert check_url(accepted, "--url", "http://127.0.0.1:8080") == accepted


async def test_the_user_of_a_url_is_sent_as_a_header() -> None:
    with FarSide() as far:
        async with build_client(5) as client:
            url = far.url.replace("//", "//user:pa%2Fss@") + "/v2/models/m/infer"
            assert (await ask(client, url, ["hi"], {})).answers[0].text == "HI"
    assert far.requests[0].headers["authorization"] == "Basic dXNlcjpwYS9zcw=="


async def test_no_error_of_a_call_tells_the_password() -> None:
    async with build_client(1) as client:
        url = f"http://user:pass@127.0.0.1:{free_port()}/v2?key=abc"
        with pytest.raises(UpstreamError, match=r"http://127\.0\.0\.1:\d+/v2 can't") as raised:
            await ask(client, url, ["x"], {})
    assert "pass" not in str(raised.value) and "abc" not in str(raised.value)


def test_a_key_across_the_end_of_the_reason_leaves_no_half() -> None:
    text = "x" * (MAX_REASON - 6) + f" {KEY}"
    reason = Redaction([f"Bearer {KEY}"]).reason(text)
    assert reason.endswith("x ***")
    assert len(reason) <= MAX_REASON


def test_a_key_that_holds_another_is_struck_out_whole() -> None:
    assert Redaction(["abcd", "abcdefgh"]).reason("abcdefgh and abcd") == "*** and ***"
