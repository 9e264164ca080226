"""The engine that asks an old big-model worker, by Sedna's own protocol."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest

from predictors.contract import BOXES, Answer, Query
from predictors.contract.tensors import Tensor, TensorRequest
from predictors.engines.sedna.worker import SednaWorkerEngine, SednaWorkerSettings
from predictors.errors import Cause, ConfigurationError, InvalidRequest
from predictors.settings import read_settings
from tests.conftest import free_port
from tests.predictors.engines.answering import answering
from tests.predictors.engines.sedna.big_model_service import BigModelServer
from tests.predictors.upstream.failing import failing

IMAGE = TensorRequest({"image": Tensor.of(np.arange(12, dtype=np.uint8).reshape(1, 2, 2, 3))})


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BIG_MODEL_IP", "BIG_MODEL_PORT"):
        monkeypatch.setenv(name, "")


@asynccontextmanager
async def started(url: str | None, **options: Any) -> AsyncIterator[SednaWorkerEngine]:
    engine = SednaWorkerEngine(SednaWorkerSettings(url=url, retries=0, **options))
    try:
        await engine.start()
        yield engine
    finally:
        await engine.close()


async def test_each_row_is_a_call_as_sednas_client_makes_it() -> None:
    with BigModelServer(lambda data: [data[0].upper()], "helmets") as big:
        async with started(big.url, upstream_model="helmets") as engine:
            answers = await engine.generate([Query("a"), Query("b")])
        assert answers == [Answer("A"), Answer("B")]
        assert sorted(big.bodies, key=str) == [{"data": ["a"]}, {"data": ["b"]}]


async def test_an_image_goes_as_nested_lists_and_boxes_come_back() -> None:
    with BigModelServer(lambda data: [[0, 0, 2, 2, 0.5, data[1][1][2]]]) as big:
        async with started(big.url, result="boxes") as engine:
            response = await engine.infer(IMAGE)
        assert big.bodies == [{"data": IMAGE.inputs["image"].values[0].tolist()}]
    assert response.outputs[BOXES].values.tolist() == [[[0, 0, 2, 2, 0.5, 11]]]


def fail(data: Any) -> Any:
    raise RuntimeError("out of memory")


@pytest.mark.parametrize(
    ("predict", "name", "cause", "said"),
    [
        (fail, "sedna", Cause.SERVER_ERROR, "answered 500: Internal Server Error"),
        (lambda data: "a text", "sedna", Cause.SERVER_ERROR, "answered 500"),
        (lambda data: [1], "sedna", Cause.UNUSABLE, r"\[1\] is no answer"),
        (lambda data: data, "other", Cause.REFUSED, "answered 404: Not Found"),
    ],
)
async def test_a_worker_that_fails_is_a_bad_gateway(
    predict: Callable[[Any], Any], name: str, cause: Cause, said: str
) -> None:
    with BigModelServer(predict, name) as big:
        async with started(big.url) as engine:
            with failing(cause, match=said):
                await engine.generate([Query("a")])


async def test_an_answer_of_another_server_is_unusable() -> None:
    async with answering(b'{"outputs": []}') as url, started(url) as engine:
        with failing(Cause.UNUSABLE, match="it has no result"):
            await engine.generate([Query("a")])


async def test_a_worker_that_is_down_is_unavailable() -> None:
    async with started(f"http://127.0.0.1:{free_port()}") as engine:
        with failing(Cause.UNREACHABLE):
            await engine.generate([Query("a")])


@pytest.mark.parametrize("by_port", [True, False])
def test_its_address_is_the_one_that_sedna_gives_a_worker(
    monkeypatch: pytest.MonkeyPatch, by_port: bool
) -> None:
    monkeypatch.setenv("BIG_MODEL_IP", "big.default")
    monkeypatch.setenv("BIG_MODEL_PORT", "5005" if by_port else "")
    port = 5005 if by_port else 5000
    assert read_settings(SednaWorkerSettings, {}).address() == f"http://big.default:{port}"
    given = read_settings(SednaWorkerSettings, {"url": "http://here:1/"})
    assert given.address() == "http://here:1"


@pytest.mark.parametrize(
    ("host", "said"),
    [("", "--url is required, or BIG_MODEL_IP"), ("a b/c?", "BIG_MODEL_IP 'a b/c[?]'")],
)
async def test_no_address_is_an_error_at_the_start(
    monkeypatch: pytest.MonkeyPatch, host: str, said: str
) -> None:
    monkeypatch.setenv("BIG_MODEL_IP", host)
    with pytest.raises(ConfigurationError, match=said):
        async with started(None):
            pass


async def test_a_request_of_the_wrong_kind_is_the_callers_fault() -> None:
    async with started("http://127.0.0.1:1") as engine:
        with pytest.raises(InvalidRequest, match="send text_input"):
            await engine.infer(IMAGE)
