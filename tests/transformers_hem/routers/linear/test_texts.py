"""Rows that training makes of many texts at once are those that serving makes of one."""

import numpy as np
import pytest

from transformers_hem.routers.linear import features as one_by_one
from transformers_hem.routers.linear.features import FeatureConfig, HashedQuery, extract
from transformers_hem.routers.linear.texts import Reading, columns_of, fit, matrix

CONFIG = FeatureConfig()


def queries(count: int, words: int, seed: int) -> list[str]:
    """Of any of so many words; some offer options, some have nothing in them that counts."""
    chance = np.random.default_rng(seed)
    endings = ("", " 385", "\nA. 8\nB. 9", "?")
    found = [
        " ".join(f"w{each}" for each in chance.integers(words, size=chance.integers(1, 60)))
        + endings[chance.integers(4)]
        for _ in range(count)
    ]
    return [*found, "\u200b", "USB of 1234 ABCD"]


@pytest.mark.parametrize("seed", range(3))
def test_rows_are_to_the_last_bit_those_of_serving(seed: int) -> None:
    reading = Reading()
    known, asked = queries(60, 50, seed), queries(40, 200, seed + 10)  # most words are unknown
    features = fit(CONFIG, reading.of(known))
    expected = one_by_one.fit(CONFIG, [extract(query, CONFIG.buckets) for query in known])
    for name in ("idf", "mean", "rate"):
        assert (getattr(features, name) == getattr(expected, name)).all()
    rows = matrix(features, reading.of(asked)).toarray()
    columns = columns_of(features)
    for query, row in zip(asked, rows, strict=True):
        there, values = expected.row(extract(query, CONFIG.buckets))
        whole = np.zeros(CONFIG.width, np.float32)
        whole[there] = values
        assert (row == whole[columns]).all()


def test_texts_come_in_the_order_that_they_are_asked_in_however_often() -> None:
    reading = Reading()
    some = reading.of(["one two", "three"])
    more = reading.of(["four", "three", "one two", "three"])
    assert (more.words[1:3].toarray() == some.words[[1, 0]].toarray()).all()
    assert (more.words[3].toarray() == more.words[1].toarray()).all()
    assert more.lengths.shape == (4, 6) and len(reading.of([]).open) == 0


def test_a_query_without_its_text_is_read_by_its_features() -> None:
    text = "how many 1234 apples"
    hidden = HashedQuery("0123456789abcdef", extract(text, CONFIG.buckets))
    found = Reading().of([hidden, text])
    assert (found.words[0].toarray() == found.words[1].toarray()).all()
    assert (found.lengths[0] == found.lengths[1]).all()
