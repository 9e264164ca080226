from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from predictors.engines.huggingface import HuggingFaceEngine, HuggingFaceSettings
from tests.predictors.engines.huggingface.tiny_llama import write_tiny_llama


@pytest.fixture(scope="session")
def tiny_llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_llama(tmp_path_factory.mktemp("tiny-llama"))


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["continuous", "plain"])
async def engine(
    request: pytest.FixtureRequest, tiny_llama: Path
) -> AsyncIterator[HuggingFaceEngine]:
    """Started, once with each way of batching: what a test says must hold for both."""
    engine = HuggingFaceEngine(
        HuggingFaceSettings(model_dir=str(tiny_llama), batching=request.param, threads=1)
    )
    await engine.start()
    yield engine
    await engine.close()
