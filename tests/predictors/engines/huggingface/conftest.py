from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from predictors.engines.huggingface import HuggingFaceEngine, HuggingFaceSettings
from tests.predictors.engines.huggingface.tiny_llama import write_tiny_llama


@pytest.fixture(scope="session")
def tiny_llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_llama(tmp_path_factory.mktemp("tiny-llama"))


# A single query of a small model stays out of the continuous batch, unless it is told not to.
WAYS = ["alone", "continuous", "plain"]


async def start_engine(way: str, model_dir: Path) -> HuggingFaceEngine:
    batching = "plain" if way == "plain" else "continuous"
    engine = HuggingFaceEngine(
        HuggingFaceSettings(model_dir=str(model_dir), batching=batching, threads=1)
    )
    await engine.start()
    if way == "continuous":
        engine.batches.alone = False
    return engine


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=WAYS)
async def engine(
    request: pytest.FixtureRequest, tiny_llama: Path
) -> AsyncIterator[HuggingFaceEngine]:
    """Started, once with each way of batching: what a test says must hold for all."""
    engine = await start_engine(request.param, tiny_llama)
    yield engine
    await engine.close()
