"""Scores as probabilities: right on new rows, in the same order."""

import json
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.special import expit

from transformers_hem.algorithms.base import Batch
from transformers_hem.calibration.config import ProbabilityMap
from transformers_hem.evaluation.metrics import expected_calibration_error
from transformers_hem.routers.assessment import calibrate_probabilities
from transformers_hem.routers.scoring import open_router
from transformers_hem.routers.training import train


def draw(rows: int, seed: int, shape: str) -> tuple[np.ndarray, np.ndarray]:
    """Scores that are far from probabilities, and which rows are hard."""
    rng = np.random.default_rng(seed)
    raw = np.clip(rng.normal(0.6, 0.12, rows), 0, 1)
    truth = expit(20 * (raw - 0.65)) if shape == "sigmoid" else np.where(raw < 0.62, 0.08, 0.55)
    return raw, rng.random(rows) < truth


@pytest.mark.parametrize(("shape", "method"), [("sigmoid", "platt"), ("step", "isotonic")])
def test_the_map_that_suits_is_chosen_and_is_right_on_new_rows(shape: str, method: str) -> None:
    made, _ = calibrate_probabilities(*draw(4000, 0, shape), seed=0)
    assert made.method == method
    raw, hard = draw(20_000, 1, shape)
    assert expected_calibration_error(raw, hard) > 0.2
    assert expected_calibration_error(made.apply(raw), hard) < 0.02


def test_the_held_out_scores_show_the_error_that_new_rows_will_have() -> None:
    raw, hard = draw(600, 0, "step")
    made, held_out = calibrate_probabilities(raw, hard, seed=0)
    shown = expected_calibration_error(held_out, hard)
    fitted = expected_calibration_error(made.apply(raw), hard)
    assert fitted < shown < expected_calibration_error(raw, hard)


@pytest.mark.parametrize("shape", ["sigmoid", "step"])
def test_the_order_of_queries_stays(shape: str) -> None:
    raw, hard = draw(500, 2, shape)
    mapped = calibrate_probabilities(raw, hard, seed=0)[0].apply(np.unique(raw))
    assert (np.diff(mapped) > 0).all()
    assert mapped.min() >= 0 and mapped.max() <= 1


def test_scores_without_any_signal_still_get_the_share_of_hard_ones() -> None:
    hard = np.arange(40) % 4 == 0
    made = calibrate_probabilities(np.full(40, 0.3), hard, seed=0)[0]
    assert made.apply(np.array([0.3])) == pytest.approx(0.25, abs=0.01)


@pytest.mark.parametrize("hard_rows", [0, 1, 19, 20])
def test_a_class_with_a_row_or_none_is_no_obstacle(hard_rows: int) -> None:
    raw = np.linspace(0.1, 0.9, 20)
    made, held_out = calibrate_probabilities(raw, np.arange(20) >= 20 - hard_rows, seed=0)
    assert np.isfinite(held_out).all()
    assert made.apply(raw).mean() == pytest.approx(hard_rows / 20, abs=0.05)


def test_scores_that_point_the_wrong_way_do_not_come_out_upside_down() -> None:
    raw, hard = draw(1000, 3, "sigmoid")
    made = calibrate_probabilities(1 - raw, hard, seed=0)[0]
    assert (np.diff(made.probability) > 0).all()


@pytest.mark.parametrize(
    "fault", [{"raw": (0.5, 0.5)}, {"probability": (0.9, 0.1)}, {"probability": (0.1, 1.2)}]
)
def test_a_map_that_could_break_a_score_does_not_load(fault: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ProbabilityMap.model_validate(
            {"method": "platt", "raw": (0.0, 1.0), "probability": (0.1, 0.9), **fault}
        )


def test_a_missing_score_stays_missing() -> None:
    made = ProbabilityMap(method="platt", raw=(0.0, 1.0), probability=(0.2, 0.8))
    assert np.isnan(made.apply(np.array([np.nan, 0.5]))).tolist() == [True, False]


def test_a_trained_router_serves_probabilities(tmp_path: Path) -> None:
    # No number is in two queries, so that nothing but the wording tells hard from easy.
    rows = [
        {"query": f"Add {n} and {n + 1000}.", "edge_correct": int(n % 10 > 6), "cloud_correct": 1}
        for n in range(200)
    ] + [
        {
            "query": f"Name town number {n + 2000}.",
            "edge_correct": int(n % 10 > 2),
            "cloud_correct": 1,
        }
        for n in range(200)
    ]
    data = tmp_path / "rows.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    metrics = train(data, "LinearRouter", tmp_path / "router")
    assert metrics["ece"] < metrics["ece_before"]
    router = open_router(str(tmp_path / "router"))
    shown = router.score(Batch(2, texts=("Add 777 and 1777.", "Name town number 2777.")))
    assert shown == pytest.approx([0.7, 0.3], abs=0.1)
