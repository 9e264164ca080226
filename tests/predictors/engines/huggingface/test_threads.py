"""A small model computes in one thread, unless it is told otherwise."""

from concurrent.futures import ThreadPoolExecutor

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
        with ThreadPoolExecutor() as another:  # the number is each thread's own; new ones get it
            assert another.submit(torch.get_num_threads).result() == used
    finally:
        await engine.close()
        torch.set_num_threads(before)
