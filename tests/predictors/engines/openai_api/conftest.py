"""An engine in front of a far side that misbehaves as its query says."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest

from predictors.contract import Answer, Query, Sampling
from predictors.engines.openai_api import OpenAIAPIEngine, OpenAIAPISettings
from predictors.settings import read_settings
from tests.predictors.upstream.far_side import MODEL, FarSide

KEY = "sk-0123456789abcdef"
PLAIN = Sampling(temperature=0, repetition_penalty=1)


@pytest.fixture(scope="module")
def far() -> Iterator[FarSide]:
    with FarSide() as far:
        yield far


Ask = Callable[..., Awaitable[list[Answer]]]


@pytest.fixture
async def ask(far: FarSide) -> AsyncIterator[Ask]:
    """ask(query, ..., sampling=..., option=...): the answers of an engine in front of `far`."""
    far.requests.clear()

    async def ask(*queries: str, sampling: Sampling = PLAIN, **options: Any) -> list[Answer]:
        given = {"url": f"{far.url}/v1", "upstream_model": MODEL, "retries": 0, **options}
        engine = OpenAIAPIEngine(read_settings(OpenAIAPISettings, given))
        try:
            await engine.start()
            return await engine.generate([Query(query, sampling) for query in queries])
        finally:
            await engine.close()

    yield ask
