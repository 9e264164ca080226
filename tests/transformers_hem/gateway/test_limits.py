"""What is too large for a gateway is refused, whichever of its paths it comes by."""

import gzip
from collections.abc import AsyncIterator

import pytest

from tests.transformers_hem.gateway.gateway_under_test import chat, gateway

MIB = 2**20
PATHS = ("/v1/chat/completions", "/openai/v1/completions", "/v1/responses", "/elsewhere")


@pytest.mark.parametrize("path", PATHS)
async def test_a_body_above_the_limit_is_413(path: str) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(9):
            yield b" " * MIB

    packed = gzip.compress(b" " * 9 * MIB)
    async with gateway() as client:
        for content, headers in (
            (b" " * 9 * MIB, {}),
            (endless(), {}),
            (packed, {"content-encoding": "gzip"}),
        ):
            answer = await client.post(path, content=content, headers=headers)
            assert answer.status_code == 413
            assert answer.json()["error"]


@pytest.mark.parametrize(
    "headers",
    [{f"x-{number}": "1" for number in range(101)}, {"x-long": "1" * 70_000}],
    ids=["many", "long"],
)
async def test_headers_above_the_limits_are_431(headers: dict[str, str]) -> None:
    async with gateway() as client:
        answer = await client.post("/v1/chat/completions", json=chat(), headers=headers)
        assert answer.status_code == 431
        assert answer.json()["error"]
        assert (await client.get("/v1/models")).status_code == 200
