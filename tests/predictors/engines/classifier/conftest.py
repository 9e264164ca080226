from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from predictors.contract.tensors import Tensor, TensorRequest
from predictors.engines.classifier import ClassifierEngine, ClassifierSettings

Start = Callable[..., Awaitable[ClassifierEngine]]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """await start(path, activation="none"): a started engine."""
    started: list[ClassifierEngine] = []

    async def starter(path: Path | str, **settings: Any) -> ClassifierEngine:
        engine = ClassifierEngine(ClassifierSettings(model_dir=str(path), **settings))
        started.append(engine)
        await engine.start()
        return engine

    yield starter
    for engine in started:
        await engine.close()


async def ask(engine: ClassifierEngine, **arrays: Any) -> dict[str, Any]:
    """The output arrays; an input that is no array becomes one."""
    inputs = {name: Tensor.of(np.asarray(values)) for name, values in arrays.items()}
    response = await engine.infer(TensorRequest(inputs))
    return {name: tensor.values for name, tensor in response.outputs.items()}
