"""What an answer-stage algorithm sees of the edge model's response."""

from typing import Any

import numpy as np
import pytest

from transformers_hem.serving.answer_batch import answer_batch

BOXES = [[[0, 0, 4, 4, 0.9, 1], [1, 1, 2, 2, 0.3, 2]]]


def output(name: str, shape: list[int], data: Any) -> dict[str, Any]:
    return {"name": name, "shape": shape, "datatype": "FP32", "data": data}


def response(*outputs: Any) -> dict[str, Any]:
    return {"outputs": list(outputs)}


@pytest.mark.parametrize("data", [BOXES, np.array(BOXES).ravel().tolist()])
def test_tensors_come_nested_or_flat_and_cannot_be_written_to(data: list[Any]) -> None:
    batch = answer_batch(response(output("boxes", [1, 2, 6], data)), ())
    assert batch.size == 1
    assert batch.boxes is not None and batch.boxes.tolist() == BOXES
    with pytest.raises(ValueError, match="read-only"):
        batch.boxes[0, 0, 4] = 1


def test_rows_without_a_text_are_counted_by_the_first_output() -> None:
    batch = answer_batch(response(output("probabilities", [3, 2], [0.5] * 6)), ())
    assert batch.size == 3
    assert batch.probabilities is not None and batch.probabilities.shape == (3, 2)


def test_an_image_without_boxes_is_an_empty_tensor_not_a_missing_one() -> None:
    batch = answer_batch(response(output("boxes", [1, 0, 6], [])), ())
    assert batch.boxes is not None and batch.boxes.shape == (1, 0, 6)


@pytest.mark.parametrize(
    "malformed",
    [
        output("boxes", [2, 1, 6], [[0, 0, 1, 1, 0.9, 0]] * 2),  # two rows to one query
        output("boxes", [1, 2, 5], [0.5] * 10),
        output("boxes", [1, 2], [0.5, 0.5]),
        output("boxes", [1, 2, 6], [0.5] * 11),
        output("boxes", [1, 2, 6], [[[0.5] * 6, [0.5] * 5]]),
        output("boxes", [1, 1, 6], ["0.9"] * 6),
        output("boxes", [1, 1, 6], None),
        output("boxes", "large", [0.5] * 6),  # type: ignore[arg-type]
        {"name": "boxes", "shape": [1, 1, 6]},
    ],
)
def test_a_malformed_tensor_is_none_and_said_in_the_log(
    malformed: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    batch = answer_batch(response(malformed), ("one query",))
    assert batch.boxes is None
    assert "boxes" in caplog.text


def test_what_is_not_there_is_none_in_silence(caplog: pytest.LogCaptureFixture) -> None:
    batch = answer_batch(response("no output"), ("one query",))
    assert (batch.boxes, batch.probabilities, batch.mean_logprob, batch.answers) == (
        *(None, None, None, ()),
    )
    assert caplog.text == ""


@pytest.mark.parametrize("data", [["a"], ["a", "b", "c"], ["a", 1], "ab", None])
def test_answers_that_are_not_one_string_a_row_are_none(data: Any) -> None:
    answered = response(output("text_output", [2], data))
    assert answer_batch(answered, ("q", "r")).answers == ()
    assert answer_batch(response(output("text_output", [2], ["a", "b"])), ("q", "r")).answers == (
        *("a", "b"),
    )
