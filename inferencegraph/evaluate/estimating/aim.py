"""What an estimate is to find out, and how surely."""

from dataclasses import dataclass
from typing import Final, Literal

from predictors.errors import ConfigurationError
from transformers_hem.labels.labels import LEAST_ROWS

About = Literal["traffic", "log"]

TRAINING_ROWS: Final = 400
_TRAINING_SHARE: Final = 0.25  # at most, of the log
LEAST_LOG: Final = 40  # rows: with fewer neither training nor a promise comes to anything
_PRECISION: Final = {"loss": 0.1, "ratio": 0.02}
_ENOUGH: Final = 0.5


@dataclass(frozen=True, slots=True)
class Aim:
    """Either `max_quality_loss`, on the scores' scale, or `edge_ratio`.

    `precision`: with a largest loss, how far the promised edge share may be below the one that is
    estimated to be possible; with an edge ratio, half of the width of the loss's interval.
    `enough`: with this share of the log labelled it ends less precisely, where it can promise
    something; 1 where a precision was asked for.
    `about`: `traffic` takes the log's rows for independent draws of what is to come, `log` speaks
    of the logged queries alone. `max_labels` counts those for training, too.
    """

    max_quality_loss: float | None = None
    edge_ratio: float | None = None
    confidence: float = 0.9
    precision: float = 0.0
    enough: float = 1.0
    about: About = "traffic"
    max_labels: int | None = None
    training_rows: int | None = None
    algorithm: str = "LinearRouter"
    seed: int = 0

    @classmethod
    def of(
        cls,
        max_quality_loss: float | None,
        edge_ratio: float | None,
        precision: float | None,
        about: About | None,
        **others: object,
    ) -> "Aim":
        """Raises ConfigurationError where it can't be aimed at."""
        if (max_quality_loss is None) == (edge_ratio is None):
            raise ConfigurationError("give one of --max-quality-loss and --edge-ratio")
        if max_quality_loss is not None and not 0 < max_quality_loss < 1:
            raise ConfigurationError(
                f"a largest quality loss must be above 0 and below 1, not {max_quality_loss:g}"
            )
        if edge_ratio is not None and not 0 < edge_ratio <= 1:
            raise ConfigurationError(f"an edge ratio must be above 0 and up to 1, not {edge_ratio}")
        if edge_ratio is not None and about == "traffic":
            raise ConfigurationError(
                "--edge-ratio picks its threshold by the log's own scores, so what it says is of "
                "the log: leave --about out, or give --max-quality-loss"
            )
        kind = "loss" if edge_ratio is None else "ratio"
        return cls(
            max_quality_loss,
            edge_ratio,
            precision=_PRECISION[kind] if precision is None else precision,
            enough=_ENOUGH if precision is None else 1.0,
            about=about or ("traffic" if edge_ratio is None else "log"),
            **others,  # type: ignore[arg-type]
        )

    def enough_labels(self, training: int, pool: int) -> int:
        """Of the `pool`, besides those for training."""
        return max(0, int(self.enough * (training + pool)) - training)

    def rows_to_train(self, logged: int) -> int:
        """Raises ConfigurationError where the log, or what may be labelled, is too small."""
        if logged < LEAST_LOG:
            raise ConfigurationError(
                f"{logged} usable rows are not enough data: {LEAST_LOG - logged} more would be the "
                "least to train a router and to test it"
            )
        rows = self.training_rows or min(TRAINING_ROWS, int(_TRAINING_SHARE * logged))
        if not LEAST_ROWS <= rows < logged:
            raise ConfigurationError(
                f"{rows} training rows of {logged}: at least {LEAST_ROWS}, and some have to be left"
            )
        if self.max_labels is not None and self.max_labels <= rows:
            raise ConfigurationError(
                f"--max-labels {self.max_labels} leaves none to test on: {rows} rows are for "
                "training; give --training-rows less"
            )
        return rows
