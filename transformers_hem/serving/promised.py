"""What the threshold in force promises."""

from transformers_hem.calibration.config import Calibration
from transformers_hem.serving.decision import Decider


def promised_by(decider: Decider) -> Calibration | None:
    """None where it is not the one that was calibrated: one that was set by hand promises
    nothing."""
    calibrated = decider.algorithm.calibrated
    calibration = calibrated.calibration if calibrated else None
    if calibration is None or calibration.threshold != decider.threshold:
        return None
    return calibration


def promised_loss(decider: Decider) -> float | None:
    """The quality that may be lost against cloud-only, in units of the labels; None where the
    promise is of something else, or there is none."""
    calibration = promised_by(decider)
    if calibration is None or calibration.target != "max_quality_loss":
        return None
    return calibration.limit
