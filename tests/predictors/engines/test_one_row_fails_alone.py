"""Whatever one caller's row does, the others are answered: engines that call others or compute
rows. (The batches of the huggingface engine have a file of their own.)"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from predictors.cache.engine import CachedEngine
from predictors.cache.store import MemoryStore
from predictors.contract import PROBABILITIES, Query, Sampling
from predictors.contract.tensors import Tensor, TensorRequest
from predictors.engines.base import TextEngine
from predictors.engines.classifier import ClassifierEngine, ClassifierSettings
from predictors.engines.kserve import KServeEngine, KServeSettings
from predictors.engines.openai_api import OpenAIAPIEngine, OpenAIAPISettings
from predictors.engines.recorded.engine import RecordedEngine, RecordedSettings
from predictors.engines.sedna.engine import SednaEngine, SednaSettings
from predictors.errors import EngineError, HEMError, InvalidRequest
from tests.predictors.engines.classifier import tiny_models as tiny
from tests.predictors.upstream.far_side import MODEL, FarSide

GOOD: Final = [f"good {number}" for number in range(20)]
GREEDY: Final = Sampling(temperature=0.0, repetition_penalty=1.0)
# What a far side of these engines does with such a query: see far_side.
BAD: Final = {
    "a row that fails": Query("status 500", GREEDY),
    "a row that is refused": Query("status 400 bad", GREEDY),
    "an answer that is none": Query("html", GREEDY),
    "a stop string": Query("html stop", Sampling(temperature=0.0, stop=("x" * 5000,))),
    "a seed": Query("cut seed", Sampling(seed=2**63 - 1, repetition_penalty=1.0)),
    "a tiny temperature": Query("drop", Sampling(temperature=1e-320, top_p=1e-320)),
}


def recordings(folder: Path) -> Path:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps({"query": q, "text": q.upper()}) + "\n" for q in GOOD))
    return path


def cached(engine: TextEngine) -> CachedEngine:
    return CachedEngine(engine, MemoryStore(1_000_000), b"m", "m")


ENGINES: Final[dict[str, Callable[[FarSide, Path], TextEngine]]] = {
    "kserve": lambda far, folder: KServeEngine(
        KServeSettings(url=far.url, upstream_model=MODEL, retries=0)
    ),
    "openai_api": lambda far, folder: OpenAIAPIEngine(
        OpenAIAPISettings(url=f"{far.url}/v1", upstream_model=MODEL, retries=0)
    ),
    "recorded": lambda far, folder: RecordedEngine(
        RecordedSettings(recordings=str(recordings(folder)))
    ),
    "sedna": lambda far, folder: SednaEngine(
        SednaSettings(estimator="tests.predictors.engines.sedna.picky:Picky")
    ),
    "cache": lambda far, folder: cached(
        RecordedEngine(RecordedSettings(recordings=str(recordings(folder))))
    ),
}


@asynccontextmanager
async def started(engine: Any) -> AsyncIterator[Any]:
    await engine.start()
    try:
        yield engine
    finally:
        await engine.close()


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
@pytest.mark.parametrize("name", ENGINES)
async def test_only_the_bad_query_fails(name: str, bad: Query, tmp_path: Path) -> None:
    with FarSide() as far:
        async with started(ENGINES[name](far, tmp_path)) as engine:
            queries = [*(Query(text, GREEDY) for text in GOOD[:10]), bad]
            queries += [Query(text, GREEDY) for text in GOOD[10:]]
            calls = [engine.generate([query]) for query in queries]
            outcomes = await asyncio.gather(*calls, return_exceptions=True)
    failed = outcomes.pop(10)
    assert [answers[0].text for answers in outcomes] == [text.upper() for text in GOOD]
    assert isinstance(failed, HEMError)


async def test_a_row_of_another_callers_request_fails_without_ours(tmp_path: Path) -> None:
    """The cache computes a query once for both."""
    engine = cached(RecordedEngine(RecordedSettings(recordings=str(recordings(tmp_path)))))
    async with started(engine):
        both = [Query(GOOD[0], GREEDY), BAD["a row that fails"]]
        outcomes = await asyncio.gather(
            engine.generate(both), engine.generate(both[:1]), return_exceptions=True
        )
    assert isinstance(outcomes[0], HEMError)
    assert outcomes[1][0].text == GOOD[0].upper()


def images(*rows: list[float], dtype: Any = np.float32) -> TensorRequest:
    return TensorRequest({"x": Tensor.of(np.array(rows, dtype=dtype))})


@pytest.mark.parametrize("file", ["onnx", "torchscript"])
@pytest.mark.parametrize(
    ("bad", "error", "said"),
    [
        (images([np.nan, 1]), InvalidRequest, "'x' holds NaN or infinity"),
        (images([1, 2], [np.inf, 1]), InvalidRequest, "'x' holds NaN or infinity"),
        (images([1, 2], [1, -np.inf]), InvalidRequest, "send finite numbers"),
        (images([3e38, 3e38]), EngineError, "the model computed NaN or infinity instead of prob"),
        (TensorRequest({"y": Tensor.of(np.ones((1, 2)))}), InvalidRequest, "unknown input 'y'"),
    ],
)
async def test_only_the_bad_tensor_fails(
    file: str, bad: TensorRequest, error: type[HEMError], said: str, tmp_path: Path
) -> None:
    path = tmp_path / ("model.onnx" if file == "onnx" else "model.pt")
    (tiny.onnx_model if file == "onnx" else tiny.torchscript)(path)
    engine = ClassifierEngine(ClassifierSettings(model_dir=str(path)))
    good = images([1, 0], [0, 1])
    async with started(engine):
        calls = [engine.infer(bad), *(engine.infer(good) for _ in range(5)), engine.infer(bad)]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
    for failed in (outcomes[0], outcomes[-1]):
        assert type(failed) is error
        assert said in str(failed)
    for response in outcomes[1:-1]:
        scores = response.outputs[PROBABILITIES].values
        np.testing.assert_allclose(scores, tiny.softmax(tiny.WEIGHTS), rtol=1e-5)


async def test_missing_values_may_be_nan(tmp_path: Path) -> None:
    path = tiny.onnx_model(tmp_path / "model.onnx")
    engine = ClassifierEngine(ClassifierSettings(model_dir=str(path), missing_values=True))
    async with started(engine):
        with pytest.raises(EngineError, match="the model computed NaN"):
            await engine.infer(images([np.nan, 1]))
