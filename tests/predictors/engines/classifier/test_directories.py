"""Hugging Face directories: images, texts and detectors, through the directory's own processor."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoImageProcessor, AutoModelForImageClassification

from predictors.contract.tensors import TensorType
from predictors.errors import InvalidRequest
from tests.predictors.engines.classifier import tiny_models as tiny
from tests.predictors.engines.classifier.conftest import Start, ask

IMAGES = np.random.default_rng(3).integers(0, 256, (3, 10, 12, 3), dtype=np.uint8)


async def test_images_are_classified_as_transformers_does(tmp_path: Path, start: Start) -> None:
    path = tiny.image_classifier(tmp_path / "vit")
    processor = AutoImageProcessor.from_pretrained(path)
    model = AutoModelForImageClassification.from_pretrained(path)
    features = processor(images=list(IMAGES), return_tensors="pt")
    with torch.inference_mode():
        expected = model(**features).logits.softmax(dim=1).numpy()
    engine = await start(path, max_batch_size=2)
    found = await ask(engine, image=IMAGES)
    np.testing.assert_allclose(found["probabilities"], expected, atol=1e-5)
    assert engine.inputs() == [TensorType("image", "UINT8", (-1, -1, -1, -1))]
    assert engine.outputs() == [TensorType("probabilities", "FP32", (-1, 3))]


async def test_floats_from_0_to_1_are_the_same_picture(tmp_path: Path, start: Start) -> None:
    engine = await start(tiny.image_classifier(tmp_path / "vit"))
    square = IMAGES[:, :8, :8]  # of the model's size: resizing rounds bytes and floats differently
    as_bytes = await ask(engine, image=square)
    as_floats = await ask(engine, image=(square / np.float32(255)).astype(np.float32))
    np.testing.assert_allclose(as_floats["probabilities"], as_bytes["probabilities"], atol=1e-5)


async def test_grey_pictures_are_taken_by_a_model_of_colours(tmp_path: Path, start: Start) -> None:
    engine = await start(tiny.image_classifier(tmp_path / "vit"))
    grey = IMAGES[..., :1]
    found = await ask(engine, image=grey)
    repeated = await ask(engine, image=np.repeat(grey, 3, axis=3))
    np.testing.assert_array_equal(found["probabilities"], repeated["probabilities"])


async def test_a_model_of_many_labels_has_probabilities_of_each(
    tmp_path: Path, start: Start
) -> None:
    path = tiny.image_classifier(tmp_path / "vit", problem_type="multi_label_classification")
    by_config = (await ask(await start(path), image=IMAGES))["probabilities"]
    by_setting = (await ask(await start(path, activation="softmax"), image=IMAGES))["probabilities"]
    assert not np.allclose(by_config.sum(axis=1), 1)
    np.testing.assert_allclose(by_setting.sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize(
    ("image", "fault"),
    [
        (IMAGES[..., :2], r"\[3, 10, 12, 2\]; this model takes \[N, H, W, 3\]"),
        (IMAGES[:, :0], r"\[3, 0, 12, 3\]"),
        (IMAGES[0], r"'image' is UINT8 \[10, 12, 3\]; this model takes 'image' UINT8 or FP32"),
        (IMAGES.astype(np.int64), "is INT64"),
        (IMAGES.astype(np.float32), r"lies in \[0, 1\]"),
        (np.full((1, 8, 8, 3), np.nan, dtype=np.float32), "'image' holds NaN or infinity"),
    ],
)
async def test_what_is_no_picture_is_refused(
    image: np.ndarray, fault: str, tmp_path: Path, start: Start
) -> None:
    engine = await start(tiny.image_classifier(tmp_path / "vit"))
    with pytest.raises(InvalidRequest, match=fault):
        await ask(engine, image=image)


async def test_texts_are_classified_alone_as_in_a_batch(tmp_path: Path, start: Start) -> None:
    engine = await start(tiny.text_classifier(tmp_path / "bert"))
    texts = ["good film", "bad", "good " * 50, ""]
    together = (await ask(engine, text_input=np.array(texts, dtype=object)))["probabilities"]
    assert together.shape == (4, 2)
    np.testing.assert_allclose(together.sum(axis=1), 1, atol=1e-6)
    for index, text in enumerate(texts[:3]):
        alone = await ask(engine, text_input=np.array([text], dtype=object))
        np.testing.assert_allclose(alone["probabilities"][0], together[index], atol=1e-6)
    assert not np.allclose(together[0], together[1])
    with pytest.raises(InvalidRequest, match="'text_input' is not UTF-8"):
        await ask(engine, text_input=np.array([b"\xff"], dtype=object))


async def test_boxes_are_in_pixels_and_filled_up(tmp_path: Path, start: Start) -> None:
    path = tiny.detector(tmp_path / "yolos")
    every = (await ask(await start(path, min_box_score=0), image=IMAGES))["boxes"]
    assert every.shape == (3, 5, 6)
    assert (every[:, :, 0] < 12).all() and (every[:, :, 3] < 24).all()
    scores = every[:, :, 4]
    assert (np.diff(scores, axis=1) <= 0).all() and set(every[:, :, 5].ravel()) <= {0, 1, 2}
    levels = np.unique(scores)
    widest = int(np.argmax(np.diff(levels)))
    limit = float(levels[widest : widest + 2].mean())
    engine = await start(path, min_box_score=limit, max_batch_size=1)
    some = (await ask(engine, image=IMAGES))["boxes"]
    kept = some[:, :, 5] >= 0
    assert 0 < kept.sum() == (scores > limit).sum() < scores.size
    assert (some[~kept][:, 4] == 0).all()
    assert (some[kept][:, 4] > limit).all()
