"""The shipped pair is as good as its card says, on images that it was never trained on."""

import json
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from predictors.contract.tensors import Tensor, TensorRequest, TensorType
from predictors.digits import FILES, TRITON_REPOSITORY
from predictors.digits.workshop.data import Digits, split
from predictors.digits.workshop.train import (
    EDGE_SHARE,
    choose,
    doubt,
    routed,
)
from predictors.engines.classifier import ClassifierEngine, ClassifierSettings

CARD: dict[str, Any] = json.loads((FILES["edge"].parents[1] / "training.json").read_text())
_, TEST = split()


@pytest.fixture(params=["edge", "cloud"])
async def engine(request: pytest.FixtureRequest) -> AsyncIterator[ClassifierEngine]:
    started = ClassifierEngine(ClassifierSettings(model_dir=f"digits:{request.param}"))
    await started.start()
    yield started
    await started.close()


async def probabilities(model: str, digits: Digits) -> NDArray[np.float32]:
    engine = ClassifierEngine(ClassifierSettings(model_dir=f"digits:{model}"))
    await engine.start()
    try:
        response = await engine.infer(TensorRequest({"image": Tensor.of(digits.images)}))
    finally:
        await engine.close()
    return response.outputs["probabilities"].values


async def test_both_take_and_give_the_same_tensors(engine: ClassifierEngine) -> None:
    assert engine.inputs() == [TensorType("image", "FP32", (-1, 8, 8))]
    assert engine.outputs() == [TensorType("probabilities", "FP32", (-1, 10))]


async def test_the_cards_figures_are_reproduced() -> None:
    """Within two images of 899: processors round differently."""
    edge, cloud = await probabilities("edge", TEST), await probabilities("cloud", TEST)
    edge_right = edge.argmax(axis=1) == TEST.labels
    cloud_right = cloud.argmax(axis=1) == TEST.labels
    accuracy, share = routed(doubt(edge), CARD["threshold"], edge_right, cloud_right)
    found = {"edge": edge_right.mean(), "cloud": cloud_right.mean()}
    found |= {"routed": accuracy, "edge_share": share}
    assert found == pytest.approx(CARD["test"], abs=2.5 / len(TEST))
    assert accuracy >= cloud_right.mean() - 0.005
    assert share >= 0.7


def test_no_test_image_was_trained_on() -> None:
    train, test = split()
    assert CARD["test_indices"] == test.indices.tolist()
    assert (len(train), len(test)) == (CARD["training_images"], CARD["test_images"])
    everyone = np.concatenate([train.indices, test.indices])
    assert sorted(everyone.tolist()) == list(range(len(load_digits().target)))
    assert np.ptp(np.bincount(test.labels)) <= 10  # every class has its half


def test_no_image_of_one_half_is_in_the_other() -> None:
    train, test = split()
    assert not {each.tobytes() for each in train.images} & {each.tobytes() for each in test.images}


def test_the_threshold_leaves_the_share_that_was_decided_on_at_the_edge() -> None:
    doubts = np.random.default_rng(1).random(1000)
    assert (doubts <= choose(doubts)).mean() == pytest.approx(EDGE_SHARE, abs=1e-3)


def test_doubt_is_the_score_of_the_algorithm_that_mines() -> None:
    rows = np.array([[0.5, 0.5, 0, 0], [1, 0, 0, 0], [0.25] * 4], dtype=np.float32)
    assert doubt(rows).tolist() == pytest.approx([0.5, 0.0, 1.0])


def test_the_files_are_small_and_no_pickles() -> None:
    for path in FILES.values():
        assert path.suffix == ".onnx" and path.stat().st_size < 150_000
    assert not [path for path in TRITON_REPOSITORY.rglob("*.p*kl")]
