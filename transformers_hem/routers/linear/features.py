"""From a query's text to a sparse row of numbers: the one way, in training and in serving.

Word 1-2-grams, hashed by CRC-32, weighted by TF-IDF (binary tf) and scaled to length 1, then a few
lengths. Numbers and all-capital words appear by their shape (385 -> 000, USB -> AAA), so that
"how long is the operand" is seen where the operand itself never was; numbers also as they are.
Where only some queries offer options to choose from, the lengths of the others stand in columns of
their own too: a long word problem is hard for other reasons than a long list of options.
"""

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from transformers_hem.arrays import Flags, Indices, Values

_TOKEN = re.compile(r"\d+|[^\W\d_]+|[^\w\s]")
_OPTION = re.compile(r"^\s*\(?([AB])[.):]\s", re.MULTILINE)
_SHAPE_LIMIT = 16  # longer numbers and words share one shape
LENGTHS = ("characters", "words", "digits", "longest number", "longest word", "marks")


class FeatureConfig(BaseModel):
    """What a router was trained with; travels in its config.json.

    `length_scale` is the weight of one length, a standard deviation from its mean, beside an
    n-gram part of length 1. The default is the best of 0, 0.03, 0.1 and 0.3 on MMLU prompts.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    buckets: int = Field(default=2**18, ge=2**8, le=2**24)
    length_scale: float = Field(default=0.3, ge=0, allow_inf_nan=False)

    @property
    def width(self) -> int:
        """Indices of a row: the buckets, the lengths, then those of open queries."""
        return self.buckets + 2 * len(LENGTHS)


@dataclass(frozen=True, slots=True)
class Extract:
    """What a text holds, before any weights.

    `buckets`: distinct, ascending; `lengths`: float32 [len(LENGTHS)], log(1 + count). `open`: it
    offers no options A and B.
    """

    buckets: Indices
    lengths: Values
    open: bool


class HashedQuery(str):
    """A query whose text was not kept: as a string its hash, and what a router reads of it."""

    __slots__ = ("features",)
    features: Extract

    def __new__(cls, name: str, features: Extract) -> "HashedQuery":
        query = super().__new__(cls, name)
        query.features = features
        return query


def extract(text: str, buckets: int) -> Extract:
    """The distinct n-gram buckets and the lengths of a text."""
    if isinstance(text, HashedQuery):
        known = text.features
        return Extract(np.unique(known.buckets % buckets), known.lengths, known.open)
    tokens = _TOKEN.findall(text)
    words = [_shape(token) for token in tokens]
    numbers = [token for token in tokens if token[0].isdecimal()]
    grams = {*words, *map(" ".join, pairwise(words))}
    grams.update("=" + number for number in numbers)
    hashed = {zlib.crc32(gram.encode()) % buckets for gram in grams}
    columns = np.array(sorted(hashed), dtype=np.int64)
    return Extract(columns, _lengths(text, tokens, numbers), len(set(_OPTION.findall(text))) < 2)


def _shape(token: str) -> str:
    if token[0].isdecimal():
        return "0" * min(len(token), _SHAPE_LIMIT)
    if len(token) > 1 and token.isupper():
        return "A" * min(len(token), _SHAPE_LIMIT)
    return token.lower()


def _lengths(text: str, tokens: list[str], numbers: list[str]) -> Values:
    words = [len(token) for token in tokens if token[0].isalpha()]
    digits = [len(number) for number in numbers]
    counts = (
        len(text),
        len(words),
        sum(digits),
        max(digits, default=0),
        max(words, default=0),
        len(tokens) - len(digits) - len(words),
    )
    return np.log1p(np.array(counts, dtype=np.float32))


@dataclass(frozen=True, slots=True)
class TextFeatures:
    """Features fitted to a set of texts.

    `idf` is float32 [buckets], 0 for a bucket that training never saw; `mean` and `rate`, one over
    the deviation, are float32 [2, len(LENGTHS)], of all texts and of open ones.
    """

    config: FeatureConfig
    idf: Values
    mean: Values
    rate: Values

    def row(self, text: Extract) -> tuple[Indices, Values]:
        """Indices and values of one text."""
        weights = self.idf[text.buckets]
        norm = np.sqrt(weights @ weights)
        if norm > 0:
            weights = weights / norm
        lengths = (text.lengths - self.mean) * self.rate * np.float32(self.config.length_scale)
        if not text.open:
            lengths[1] = 0
        columns = np.arange(self.config.buckets, self.config.width)
        return np.concatenate([text.buckets, columns]), np.concatenate([weights, lengths.ravel()])


def fit(config: FeatureConfig, texts: Sequence[Extract]) -> TextFeatures:
    """Learns weights: idf = ln((1 + n) / (1 + df)) + 1, as scikit-learn's TfidfTransformer."""
    every = np.concatenate([text.buckets for text in texts])
    lengths = np.stack([text.lengths for text in texts])
    return fitted(config, every, lengths, np.array([text.open for text in texts]))


def fitted(
    config: FeatureConfig, buckets: NDArray[np.integer], lengths: Values, is_open: Flags
) -> TextFeatures:
    """The same of N texts in columns: the buckets of all, one after the other; lengths [N,
    len(LENGTHS)]; and which are open, [N]."""
    frequency = np.bincount(buckets, minlength=config.buckets)
    idf = np.log((1 + len(lengths)) / (1 + frequency)) + 1
    mean, rate = _spread(lengths)
    open_mean, open_rate = _spread(lengths[is_open] if is_open.any() else lengths)
    if is_open.all() or not is_open.any():
        open_rate = np.zeros_like(rate)  # one kind only: these columns would repeat the others
    return TextFeatures(
        config,
        np.where(frequency > 0, idf, 0.0).astype(np.float32),
        np.stack([mean, open_mean]),
        np.stack([rate, open_rate]),
    )


def _spread(lengths: Values) -> tuple[Values, Values]:
    """Mean and one over the deviation, float32 [len(LENGTHS)]."""
    deviation = lengths.std(axis=0)
    return lengths.mean(axis=0), (1 / np.where(deviation > 0, deviation, 1)).astype(np.float32)
