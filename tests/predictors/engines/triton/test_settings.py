"""Where Triton is: addresses, TLS files, and what can't go together."""

from pathlib import Path

import pytest
import trustme

from predictors.engines.triton import TritonEngine, TritonSettings
from predictors.errors import ConfigurationError
from predictors.settings import read_settings


def settings(**given: str) -> TritonSettings:
    return read_settings(TritonSettings, {"upstream_model": "m", **given})


@pytest.mark.parametrize(
    ("given", "location"),
    [
        ({}, "grpc://127.0.0.1:8001"),
        ({"transport": "http"}, "http://127.0.0.1:8000"),
        ({"url": "triton.cloud.svc:9000"}, "grpc://triton.cloud.svc:9000"),
        ({"url": "grpc://t:1"}, "grpc://t:1"),
        ({"url": "http://t:1"}, "grpc://t:1"),
        ({"url": "grpcs://t:1"}, "grpcs://t:1"),
        ({"url": "https://t:1", "transport": "http"}, "https://t:1"),
        ({"url": "[::1]:8001"}, "grpc://[::1]:8001"),
    ],
)
def test_an_address_has_a_host_and_a_port(given: dict[str, str], location: str) -> None:
    assert settings(**given).location == location


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"url": "triton"}, "HOST:PORT"),
        ({"url": "ftp://t:1"}, "HOST:PORT"),
        ({"url": "t:1/v2"}, "HOST:PORT"),
        ({"url": "t:99999"}, "HOST:PORT"),
        ({"url": "grpc://t:1", "transport": "http"}, "transport http"),
        ({"transport": "quic"}, "'grpc' or 'http'"),
        ({"url": "t:1", "ca_bundle": "x.pem"}, "grpcs:// or https://"),
        ({"url": "grpcs://t:1", "client_cert": "x.pem"}, "belong together"),
        ({"prompt_template": "hello"}, "{query}"),
        ({"upstream_model": ""}, "--upstream_model"),
        ({"ready_when": "never"}, "'model' or 'always'"),
    ],
)
def test_what_can_not_be_is_refused_at_the_start(given: dict[str, str], fault: str) -> None:
    with pytest.raises(ConfigurationError, match=fault):
        settings(**given)


@pytest.mark.parametrize("transport", ["grpc", "http"])
async def test_tls_files_that_are_none_end_the_start(tmp_path: Path, transport: str) -> None:
    no_certificate = tmp_path / "ca.pem"
    no_certificate.write_text("none")
    ca = tmp_path / "good.pem"
    trustme.CA().cert_pem.write_to_path(str(ca))
    secure = {"url": "https://t:1", "transport": transport}
    for bad, option in [
        ({"ca_bundle": str(tmp_path / "absent")}, "--ca_bundle"),
        ({"ca_bundle": str(no_certificate)}, "--ca_bundle"),
        ({"ca_bundle": str(ca), "client_cert": str(ca), "client_key": str(ca)}, "--client_key"),
    ]:
        engine = TritonEngine(settings(**secure, **bad))
        with pytest.raises(ConfigurationError, match=option):
            await engine.start()
        await engine.close()
