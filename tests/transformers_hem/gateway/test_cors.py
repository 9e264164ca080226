"""Pages of other origins may call the gateway where they are named, and nowhere else."""

from pathlib import Path

import pytest

from predictors.errors import ConfigurationError
from tests.transformers_hem.gateway.gateway_under_test import chat, gateway
from tests.transformers_hem.gateway.scripted_side import scripted_side, whole
from transformers_hem.gateway.cors import read_origins

PAGE = "https://chat.example.com"
PREFLIGHT = {
    "origin": PAGE,
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization,content-type,x-session-id",
}
ALLOWED = "access-control-allow-origin"


@pytest.mark.parametrize("origins", [(PAGE,), ("*",)])
async def test_a_page_that_is_named_may_ask_and_reads_the_decision(
    tmp_path: Path, origins: tuple[str, ...]
) -> None:
    keys = tmp_path / "keys"
    keys.write_text("sk-good")
    async with (
        scripted_side(lambda _: whole("large", "hi")) as cloud,
        gateway(cloud=cloud.url, origins=origins, keys=keys) as client,
    ):
        asked = await client.options("/v1/chat/completions", headers=PREFLIGHT)
        assert asked.status_code == 200 and asked.headers[ALLOWED] in (PAGE, "*")
        assert "authorization" in asked.headers["access-control-allow-headers"]
        for key, status in (("sk-good", 200), ("sk-bad", 401)):
            headers = {"origin": PAGE, "authorization": f"Bearer {key}"}
            body = chat(stream=False)
            answer = await client.post("/v1/chat/completions", json=body, headers=headers)
            assert answer.status_code == status
            assert answer.headers[ALLOWED] in (PAGE, "*")
            assert "x-hem-route" in answer.headers["access-control-expose-headers"]
        # Refused before it reaches the gateway.
        faulty = {"origin": PAGE, "content-encoding": "zip"}
        refused = await client.post("/v1/chat/completions", content=b"{}", headers=faulty)
        assert refused.status_code == 415 and ALLOWED in refused.headers


async def test_other_pages_and_other_paths_are_not_shared() -> None:
    async with gateway(origins=(PAGE,)) as client:
        other = {**PREFLIGHT, "origin": "https://evil.example.com"}
        refused = await client.options("/v1/chat/completions", headers=other)
        assert refused.status_code == 400 and ALLOWED not in refused.headers
        assert ALLOWED not in (await client.options("/docs", headers=PREFLIGHT)).headers


async def test_it_is_off_where_nobody_is_named() -> None:
    async with gateway() as client:
        asked = await client.options("/v1/chat/completions", headers=PREFLIGHT)
        assert asked.status_code == 405 and ALLOWED not in asked.headers


def test_origins_have_commas_between_them() -> None:
    assert read_origins(f" {PAGE} ,http://localhost:3000,") == (PAGE, "http://localhost:3000")
    assert read_origins("") == ()


@pytest.mark.parametrize(
    "text",
    [f"{PAGE}/", "chat.example.com", "https://Chat.example.com", "null", "https://*.example.com/a"],
)
def test_what_no_browser_sends_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"HEM_CORS_ORIGINS .* is not an origin"):
        read_origins(text)
