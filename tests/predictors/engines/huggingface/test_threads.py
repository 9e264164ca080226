"""A small model computes in one thread, unless it is told otherwise."""

import pytest
import torch

from predictors.engines.huggingface.engine import HuggingFaceEngine
from predictors.engines.huggingface.settings import HuggingFaceSettings


@pytest.mark.parametrize(("asked", "used"), [(None, 1), (2, 2)])
async def test_threads(asked: int | None, used: int) -> None:
    before = torch.get_num_threads()
    engine = HuggingFaceEngine(HuggingFaceSettings(model_dir="embedded:edge", threads=asked))
    try:
        await engine.start()
        assert torch.get_num_threads() == used
    finally:
        await engine.close()
        torch.set_num_threads(before)
