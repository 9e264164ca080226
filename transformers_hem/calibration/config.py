"""What a router's config.json holds beside its weights: thresholds, promises, how scores spread.

A trained algorithm's own configuration derives from `CalibratedConfig`, so that `hem calibrate`,
the threshold that HEM reports and the watch on drift work for all of them.
"""

from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from transformers_hem.arrays import Floats

BINS = 10


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ProbabilityMap(Section):
    """From a raw score to P(the cloud does better), by straight lines between knots.

    `raw` and `probability` are strictly ascending: equal scores stay equal, others keep their
    order. Beyond the knots the nearest one counts.
    """

    method: Literal["isotonic", "platt"]
    raw: tuple[float, ...] = Field(min_length=2)
    probability: tuple[float, ...] = Field(min_length=2)

    @model_validator(mode="after")
    def _ascend(self) -> "ProbabilityMap":
        if len(self.raw) != len(self.probability):
            raise ValueError("raw and probability must be of the same length")
        if (np.diff(self.raw) <= 0).any() or (np.diff(self.probability) <= 0).any():
            raise ValueError("raw and probability must be strictly ascending")
        if self.probability[0] < 0 or self.probability[-1] > 1:
            raise ValueError("probability must be in [0, 1]")
        return self

    def apply(self, scores: Floats) -> Floats:
        """Float [N] to float [N] in [0, 1]; NaN stays NaN."""
        return np.interp(scores, self.raw, self.probability)


class ScoreSpread(Section):
    """How a set of scores spreads over bins: `edges` are ascending and inside the range.

    Bin i holds scores up to edges[i], itself included, and the last bin those above. Made of
    deciles there are ten bins, fewer where many scores are equal.
    """

    edges: tuple[float, ...] = Field(max_length=BINS - 1)
    shares: tuple[float, ...] = Field(min_length=1, max_length=BINS)
    rows: int = Field(ge=1)

    @model_validator(mode="after")
    def _fit(self) -> "ScoreSpread":
        if len(self.shares) != len(self.edges) + 1:
            raise ValueError("there must be one more of shares than of edges")
        if (np.diff(self.edges) <= 0).any():
            raise ValueError("edges must be strictly ascending")
        return self

    @classmethod
    def of(cls, scores: Floats) -> "ScoreSpread":
        """Of a sample; rows without a score (NaN) don't count."""
        known = scores[~np.isnan(scores)]
        inner = np.linspace(0, 1, BINS + 1)[1:-1]
        edges = np.unique(np.quantile(known, inner, method="inverted_cdf"))
        edges = edges[edges < known.max()]
        counts = np.bincount(np.searchsorted(edges, known), minlength=len(edges) + 1)
        return cls(
            edges=tuple(edges.tolist()),
            shares=tuple((counts / len(known)).tolist()),
            rows=len(known),
        )


class RoutingCurve(Section):
    """What each of these thresholds would give on `rows` rows: the share of them at the edge, and
    their mean quality, in the labels' units; None where they had no labels.

    `of` training they are its own rows, each scored by a model that was not fitted to it; of a
    calibration those of `hem calibrate`. Both are measured, and neither is promised.
    """

    of: Literal["training", "calibration"]
    rows: int = Field(ge=1)
    thresholds: tuple[float, ...] = Field(min_length=2, max_length=65)
    edge_share: tuple[float, ...]
    quality: tuple[float, ...] | None = None

    @model_validator(mode="after")
    def _fit(self) -> "RoutingCurve":
        lengths = {len(self.thresholds), len(self.edge_share), len(self.quality or self.thresholds)}
        if len(lengths) > 1:
            raise ValueError("thresholds, edge_share and quality must be of the same length")
        if (np.diff(self.thresholds) <= 0).any() or (np.diff(self.edge_share) < 0).any():
            raise ValueError("thresholds and edge_share must be ascending")
        if self.thresholds[0] < 0 or self.thresholds[-1] > 1:
            raise ValueError("thresholds must be in [0, 1]")
        return self


class Calibration(Section):
    """The threshold that `hem calibrate` chose, and what it promises.

    `target` names the option, `limit` is its value, on `rows` rows of a file with this sha256.
    `promise` is the whole of it in a sentence.
    """

    version: Literal[1] = 1
    target: Literal["edge_ratio", "max_quality_loss", "budget"]
    limit: float
    threshold: float = Field(ge=0, le=1)
    confidence: float = Field(gt=0, lt=1)
    edge_share: float = Field(ge=0, le=1)
    rows: int = Field(ge=1)
    data_sha256: str
    promise: str


class CalibratedConfig(Section):
    """The part that every trained router's configuration shares.

    `threshold` is training's own; a calibration's takes its place. `data_sha256` is of the training
    file's uncompressed content. `prefix_tokens`: it learned from so many first tokens of answers,
    and decides on as many; None: from whole answers. `probability` is applied to raw scores before
    anything else; `scores` is the spread of the scores after it, `curve` what other thresholds
    than the chosen one would give.
    """

    threshold: float = Field(ge=0, le=1)
    data_sha256: str
    prefix_tokens: int | None = Field(default=None, ge=1)
    probability: ProbabilityMap | None = None
    scores: ScoreSpread | None = None
    curve: RoutingCurve | None = None
    calibration: Calibration | None = None

    def difficulty(self, raw: Floats) -> Floats:
        """From a model's own scores to those that are served: float [N] in [0, 1]."""
        return self.probability.apply(raw) if self.probability else raw

    @property
    def served_threshold(self) -> float:
        return self.calibration.threshold if self.calibration else self.threshold
