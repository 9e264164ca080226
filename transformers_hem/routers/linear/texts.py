"""What many texts hold, in columns: each is read once, and made a row of numbers for every set that
features are fitted to. Training's; `features` is what serving has of it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, vstack

from transformers_hem.arrays import Flags, Indices, Values
from transformers_hem.routers.linear.features import (
    LENGTHS,
    FeatureConfig,
    TextFeatures,
    extract,
    fitted,
)

CONFIG: Final = FeatureConfig()
_OF_LENGTHS: Final = 2 * len(LENGTHS)  # columns, behind those of the buckets


@dataclass(frozen=True, slots=True)
class Texts:
    """N `Extract`s: `words` int8 [N, buckets], 1 in each of a text's buckets, in ascending order;
    `lengths` float32 [N, len(LENGTHS)]; `open` [N]."""

    words: csr_matrix
    lengths: Values
    open: Flags

    @classmethod
    def of(cls, queries: Iterable[str], buckets: int) -> "Texts":
        texts = [extract(query, buckets) for query in queries]
        found = [text.buckets for text in texts]
        ends = np.cumsum([0, *map(len, found)])
        columns = np.concatenate([np.zeros(0, np.int64), *found]).astype(np.int32)
        ones = np.ones(len(columns), np.int8)
        lengths = np.array([text.lengths for text in texts], np.float32)
        return cls(
            csr_matrix((ones, columns, ends), shape=(len(texts), buckets)),
            lengths.reshape(-1, len(LENGTHS)),
            np.array([text.open for text in texts], dtype=bool),
        )

    def subset(self, chosen: Indices) -> "Texts":
        return Texts(self.words[chosen], self.lengths[chosen], self.open[chosen])

    def joined(self, others: "Texts") -> "Texts":
        return Texts(
            vstack([self.words, others.words], format="csr"),
            np.concatenate([self.lengths, others.lengths]),
            np.concatenate([self.open, others.open]),
        )


class Reading:
    """Of texts what they hold, each read once, however often it is asked for."""

    def __init__(self, config: FeatureConfig = CONFIG) -> None:
        self._config = config
        self._places: dict[str, int] = {}
        self._texts = Texts.of((), config.buckets)

    def of(self, queries: Sequence[str]) -> Texts:
        places = self._places
        if new := [query for query in dict.fromkeys(queries) if query not in places]:
            places |= {query: len(places) + number for number, query in enumerate(new)}
            read = Texts.of(new, self._config.buckets)
            self._texts = self._texts.joined(read) if len(places) > len(new) else read
        rows = np.fromiter((places[query] for query in queries), np.int64, len(queries))
        whole = len(rows) == len(places) and bool((np.diff(rows, prepend=-1) == 1).all())
        return self._texts if whole else self._texts.subset(rows)


def fit(config: FeatureConfig, texts: Texts) -> TextFeatures:
    return fitted(config, texts.words.indices, texts.lengths, texts.open)


def columns_of(features: TextFeatures) -> Indices:
    """The columns that the texts have that the features were fitted to, ascending: of all
    `FeatureConfig.width` the only ones that a model of them can weigh."""
    buckets = features.config.buckets
    return np.concatenate([np.flatnonzero(features.idf), np.arange(buckets, features.config.width)])


def matrix(features: TextFeatures, texts: Texts) -> csr_matrix:
    """[N, len(columns_of(features))] of float32: as `features.row` makes them, without the buckets
    that the features don't know."""
    words, seen = texts.words, np.flatnonzero(features.idf)
    values = features.idf[words.indices]
    values = values / np.repeat(_norms(values, words.indptr), np.diff(words.indptr))
    known = values > 0
    places = np.zeros(features.config.buckets, np.int32)
    places[seen] = np.arange(len(seen))
    width = len(seen) + _OF_LENGTHS
    rows = len(texts.open)
    ends = np.concatenate([[0], np.cumsum(known)])[words.indptr]
    ends = ends + _OF_LENGTHS * np.arange(rows + 1)
    of_words = _all_but_the_last(ends)
    columns, filled = np.empty(ends[-1], np.int32), np.empty(ends[-1], np.float32)
    columns[of_words], filled[of_words] = places[words.indices[known]], values[known]
    columns[~of_words] = np.tile(np.arange(len(seen), width), rows)
    filled[~of_words] = _lengths(features, texts).ravel()
    return csr_matrix((filled, columns, ends), shape=(rows, width))


def _norms(values: Values, starts: NDArray[np.integer]) -> Values:
    """[N], 1 for a text of nothing known. One text at a time: a product of its own rounds as it
    does in serving."""
    ends = starts.tolist()
    parts = (values[start:end] for start, end in pairwise(ends))
    squares = np.fromiter((part @ part for part in parts), np.float32, len(ends) - 1)
    return np.sqrt(np.where(squares > 0, squares, np.float32(1)))


def _all_but_the_last(ends: NDArray[np.integer]) -> Flags:
    """Of the places of all rows those of words: each row ends with its lengths."""
    words = np.ones(ends[-1], dtype=bool)
    words[(ends[1:, None] - np.arange(1, _OF_LENGTHS + 1)).ravel()] = False
    return words


def _lengths(features: TextFeatures, texts: Texts) -> Values:
    """[N, 2, len(LENGTHS)]"""
    scale = np.float32(features.config.length_scale)
    found = (texts.lengths[:, None] - features.mean) * features.rate * scale
    found[~texts.open, 1] = 0
    return np.asarray(found, np.float32)
