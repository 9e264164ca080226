"""ONNX, TorchScript and torch.export files: probabilities by the model's own input names."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from predictors.contract.tensors import TensorType
from predictors.engines.classifier import ClassifierEngine
from predictors.errors import EngineError, InvalidRequest, Overloaded
from tests.predictors.engines.classifier import tiny_models as tiny
from tests.predictors.engines.classifier.conftest import Start, ask

ROWS = np.array([[1.0, 0.0], [0.0, 1.0], [-3.0, 5.0]], dtype=np.float32)
EXPECTED = tiny.softmax(ROWS @ tiny.WEIGHTS)
FILES: dict[str, Callable[[Path], Path]] = {
    "model.onnx": tiny.onnx_model,
    "model.pt": tiny.torchscript,
    "model.pt2": tiny.exported,
}


@pytest.mark.parametrize("name", FILES)
async def test_logits_become_probabilities(name: str, tmp_path: Path, start: Start) -> None:
    engine = await start(FILES[name](tmp_path / name))
    found = await ask(engine, x=ROWS)
    assert list(found) == ["probabilities"]
    assert found["probabilities"].dtype == np.float32
    np.testing.assert_allclose(found["probabilities"], EXPECTED, atol=1e-6)
    assert engine.inputs()[0].name == "x"


async def test_a_shape_that_no_file_says_is_none(tmp_path: Path, start: Start) -> None:
    engine = await start(tiny.torchscript(tmp_path / "model.pt"))
    assert engine.inputs() == [TensorType("x", "FP32", ())]


@pytest.mark.parametrize("name", FILES)
async def test_the_directory_of_a_file_is_as_good_as_the_file(
    name: str, tmp_path: Path, start: Start
) -> None:
    FILES[name](tmp_path / name)
    (tmp_path / "README.md").touch()
    found = await ask(await start(tmp_path), x=ROWS)
    np.testing.assert_allclose(found["probabilities"], EXPECTED, atol=1e-6)


@pytest.mark.parametrize("name", FILES)
async def test_rows_above_the_batch_limit_are_cut_up_and_stay_in_order(
    name: str, tmp_path: Path, start: Start
) -> None:
    engine = await start(FILES[name](tmp_path / name), max_batch_size=2)
    many = np.arange(14, dtype=np.float32).reshape(7, 2) / 7
    found = await ask(engine, x=many)
    np.testing.assert_allclose(found["probabilities"], tiny.softmax(many @ tiny.WEIGHTS), atol=1e-6)


async def test_probabilities_stay_as_they_are(tmp_path: Path, start: Start) -> None:
    for output in ("scores", "probabilities"):
        path = tiny.onnx_model(tmp_path / f"{output}.onnx", output=output, softmax=True)
        found = await ask(await start(path), x=ROWS)
        np.testing.assert_allclose(found["probabilities"], EXPECTED, atol=1e-6)


async def test_the_activation_is_a_setting(tmp_path: Path, start: Start) -> None:
    path = tiny.onnx_model(tmp_path / "model.onnx")
    logits = ROWS @ tiny.WEIGHTS
    raw = await ask(await start(path, activation="none"), x=ROWS)
    np.testing.assert_allclose(raw["probabilities"], logits)
    each = await ask(await start(path, activation="sigmoid"), x=ROWS)
    np.testing.assert_allclose(each["probabilities"], 1 / (1 + np.exp(-logits)), atol=1e-6)


async def test_what_may_be_either_is_asked_for_by_name(tmp_path: Path, start: Start) -> None:
    path = tiny.onnx_identity(tmp_path / "model.onnx", "scores", ["n", 3])
    unclear = np.full((2, 3), 0.5, dtype=np.float32)
    with pytest.raises(EngineError, match=r"'scores' lies in .* say with --activation"):
        await ask(await start(path), x=unclear)
    found = await ask(await start(path, activation="none"), x=unclear)
    assert found["probabilities"].tolist() == unclear.tolist()


async def test_large_logits_do_not_overflow(tmp_path: Path, start: Start) -> None:
    found = await ask(await start(tiny.onnx_model(tmp_path / "m.onnx")), x=ROWS * 1e30)
    assert found["probabilities"][2].tolist() == [0.0, 1.0, 0.0]


async def test_other_outputs_come_along_and_the_classes_can_be_named(
    tmp_path: Path, start: Start
) -> None:
    path = tiny.onnx_model(tmp_path / "model.onnx", output="a", extra="b")
    engine = await start(path, output="b")
    found = await ask(engine, x=ROWS)
    assert set(found) == {"a", "probabilities"}
    np.testing.assert_allclose(found["a"], ROWS @ tiny.WEIGHTS)
    assert engine.outputs() == [
        TensorType("a", "FP32", (-1, 3)),
        TensorType("probabilities", "FP32", (-1, 3)),
    ]


async def test_boxes_are_boxes(tmp_path: Path, start: Start) -> None:
    boxes = np.zeros((2, 4, 6), dtype=np.float32)
    engine = await start(tiny.onnx_identity(tmp_path / "m.onnx", "detections", ["n", "m", 6]))
    assert (await ask(engine, x=boxes))["boxes"].shape == (2, 4, 6)
    assert engine.outputs() == [TensorType("boxes", "FP32", (-1, -1, 6))]


@pytest.mark.parametrize("rows", [1, 2])
async def test_a_fixed_batch_takes_any_number_of_rows(
    rows: int, tmp_path: Path, start: Start
) -> None:
    for path in (
        tiny.onnx_model(tmp_path / "model.onnx", rows=rows),
        tiny.exported(tmp_path / "model.pt2", rows=rows),
    ):
        engine = await start(path)
        found = await ask(engine, x=ROWS)
        np.testing.assert_allclose(found["probabilities"], EXPECTED, atol=1e-6)
        assert engine.inputs() == [TensorType("x", "FP32", (-1, 2))]


async def test_a_model_of_strings_refuses_what_is_not_utf8(tmp_path: Path, start: Start) -> None:
    path = tiny.onnx_identity(tmp_path / "m.onnx", "said", ["n", 1], tiny.TensorProto.STRING)
    engine = await start(path, output="said", activation="none")
    assert engine.inputs() == [TensorType("x", "BYTES", (-1, 1))]
    with pytest.raises(InvalidRequest, match="'x' is not UTF-8"):
        await ask(engine, x=np.array([[b"\xff"]], dtype=object))


async def test_a_module_of_two_inputs_and_named_outputs(tmp_path: Path, start: Start) -> None:
    engine = await start(tiny.torchscript(tmp_path / "sum.pt", tiny.Sum()))
    found = await ask(engine, left=ROWS, right=ROWS)
    np.testing.assert_allclose(found["probabilities"], tiny.softmax(2 * ROWS), atol=1e-6)
    np.testing.assert_allclose(found["left"], ROWS)
    with pytest.raises(InvalidRequest, match="'left' has 3, 'right' has 2"):
        await ask(engine, left=ROWS, right=ROWS[:2])


TAKES = r"this model takes 'x' FP32 \[-1, 2\]"


@pytest.mark.parametrize("name", ["model.onnx", "model.pt2"])
@pytest.mark.parametrize(
    ("inputs", "fault"),
    [
        ({}, f"no input 'x'; {TAKES}"),
        ({"y": ROWS}, f"unknown input 'y'; {TAKES}"),
        ({"x": ROWS, "y": ROWS}, f"unknown input 'y'; {TAKES}"),
        ({"x": ROWS[:, :1]}, rf"'x' is FP32 \[3, 1\]; {TAKES}"),
        ({"x": ROWS[0]}, rf"'x' is FP32 \[2\]; {TAKES}"),
        ({"x": np.float32(1)}, r"'x' is FP32 \[\]"),
        ({"x": ROWS.astype(np.float64)}, rf"'x' is FP64 \[3, 2\]; {TAKES}"),
        ({"x": ROWS[:0]}, "at least one: 'x' has 0"),
    ],
)
async def test_wrong_tensors_are_refused_with_what_the_model_takes(
    name: str, inputs: dict[str, Any], fault: str, tmp_path: Path, start: Start
) -> None:
    engine = await start(FILES[name](tmp_path / name))
    with pytest.raises(InvalidRequest, match=fault):
        await ask(engine, **inputs)
    await ask(engine, x=ROWS)


async def test_what_torchscript_cannot_take_is_the_callers_fault(
    tmp_path: Path, start: Start
) -> None:
    engine = await start(tiny.torchscript(tmp_path / "model.pt"))
    with pytest.raises(InvalidRequest, match=r"can't take 'x' \[3, 1\]: .*shapes"):
        await ask(engine, x=ROWS[:, :1])
    with pytest.raises(InvalidRequest, match=r"'x' FP32 or BOOL or .* of any shape"):
        await ask(engine, y=ROWS)
    await ask(engine, x=ROWS)


async def test_a_length_out_of_an_exported_range_is_the_callers_fault(
    tmp_path: Path, start: Start
) -> None:
    engine = await start(tiny.exported(tmp_path / "model.pt2"))
    with pytest.raises(InvalidRequest, match="can't take this"):
        await ask(engine, x=np.ones((17, 2), dtype=np.float32))


class Slow(torch.nn.Module):
    """Turns 100 million times, some seconds, in a loop that gives the interpreter up."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        turns = int(x[0, 0].item())
        for _ in range(turns):
            x = x + 0
        return x


async def test_requests_wait_in_order_and_the_loop_does_not(tmp_path: Path, start: Start) -> None:
    engine = await start(tiny.torchscript(tmp_path / "slow.pt", Slow()), activation="softmax")
    answered: list[str] = []

    async def one(name: str, turns: float) -> None:
        await ask(engine, x=np.array([[turns, 0.0]], dtype=np.float32))
        answered.append(name)

    slow = asyncio.create_task(one("slow", 50_000))
    await asyncio.sleep(0)
    quick = [asyncio.create_task(one(name, 0)) for name in "abc"]
    await asyncio.sleep(0)
    assert answered == []
    await asyncio.gather(slow, *quick)
    assert answered == ["slow", "a", "b", "c"]


async def test_a_caller_who_left_does_not_hold_the_queue(tmp_path: Path, start: Start) -> None:
    engine = await start(
        tiny.torchscript(tmp_path / "slow.pt", Slow()), activation="softmax", max_queue=2
    )
    first = asyncio.create_task(ask(engine, x=np.array([[20_000.0, 0.0]], dtype=np.float32)))
    left = asyncio.create_task(ask(engine, x=np.array([[2e9, 0.0]], dtype=np.float32)))
    await asyncio.sleep(0)
    with pytest.raises(Overloaded, match="2 requests wait already"):
        await ask(engine, x=ROWS)
    left.cancel()
    await first
    with pytest.raises(asyncio.CancelledError):
        await left
    assert (await ask(engine, x=np.zeros((1, 2), np.float32)))["probabilities"].shape == (1, 2)


def test_the_engine_is_one_of_the_table() -> None:
    from predictors.engines import ENGINES

    assert ENGINES.load("classifier") is ClassifierEngine
