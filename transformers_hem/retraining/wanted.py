"""What a retraining is asked to do."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from predictors.errors import ConfigurationError
from transformers_hem.calibration.any_time import MaxQualityLossAnyTime
from transformers_hem.calibration.config import Calibration
from transformers_hem.calibration.targets import EdgeRatio, Target
from transformers_hem.lifelong.contest import SIGNIFICANCE
from transformers_hem.versions.folder import KEEP

QUALITY_LOSS: Final = 0.05
CONFIDENCE: Final = 0.9
# Rows to learn from, where nobody says how many: an encoder takes long for each.
LIMITS: Final[Mapping[str, int]] = {"KernelRouter": 6000}


@dataclass(frozen=True, slots=True)
class Wanted:
    """`folder` has the versions. `base` are files of labelled rows, `store` is a store of feedback,
    empty where there is none. `own`: of feedback not what is known to come from another client than
    the one who asked.

    `algorithm`, `target` and `confidence` are by default those of the version in force. `limit`: at
    most so many rows are learned from, the newest and a draw of the others; None: as `LIMITS` says.
    `significance`: how likely a challenger may be promoted that is only as good.
    """

    folder: Path
    base: tuple[Path, ...] = ()
    store: str = ""
    own: bool = False
    algorithm: str | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    target: Target | None = None
    confidence: float | None = None
    limit: int | None = None
    significance: float = SIGNIFICANCE
    seed: int = 0
    keep: int = KEEP
    dry_run: bool = False

    def __post_init__(self) -> None:
        if not (self.base or self.store):
            raise ConfigurationError(
                "there is nothing to learn from: name a store of feedback with --store, labelled "
                "rows with --data, or both"
            )


def limit_of(wanted: Wanted, algorithm: str) -> int | None:
    return LIMITS.get(algorithm) if wanted.limit is None else wanted.limit


def target_of(wanted: Wanted, calibrated: Calibration | None) -> tuple[Target, float]:
    """With its confidence: what is wanted, else what the version in force promises."""
    confidence = wanted.confidence or (calibrated.confidence if calibrated else CONFIDENCE)
    if wanted.target is not None:
        return wanted.target, confidence
    if calibrated is None or calibrated.target == "max_quality_loss":
        limit = calibrated.limit if calibrated else QUALITY_LOSS
        return MaxQualityLossAnyTime(limit), confidence
    if calibrated.target == "edge_ratio":
        return EdgeRatio(calibrated.limit), confidence
    raise ConfigurationError(
        "the version in force keeps to a budget, whose costs are not written in it; say what the "
        "next one shall keep to: --max-quality-loss or --edge-ratio"
    )
