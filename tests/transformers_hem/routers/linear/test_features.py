"""Features: the same text gives the same row, wherever and whenever."""

import numpy as np

from transformers_hem.routers.linear.features import (
    LENGTHS,
    FeatureConfig,
    extract,
    fit,
)

CONFIG = FeatureConfig(buckets=2**12)


def test_numbers_and_capitals_of_one_length_look_alike() -> None:
    one, other = (extract(f"Reverse {w} {n}", 2**18) for w, n in (("ABCD", 385), ("XYZW", 912)))
    shared = np.intersect1d(one.buckets, other.buckets)
    assert len(one.buckets) == len(other.buckets) == len(shared) + 1  # the raw number differs


def test_hashes_do_not_depend_on_the_process() -> None:
    assert extract("a", 2**18).buckets.tolist() == [0xE8B7BE43 % 2**18]  # CRC-32 of "a"


def test_the_word_part_has_length_one_and_unseen_words_weigh_nothing() -> None:
    texts = ("the first text", "the second text", "a third")
    features = fit(CONFIG, [extract(text, CONFIG.buckets) for text in texts])
    columns, values = features.row(extract("the third xylophone", CONFIG.buckets))
    words = values[columns < CONFIG.buckets]
    assert np.linalg.norm(words) == np.float32(1)
    assert np.count_nonzero(words) == 2
    assert columns[-2 * len(LENGTHS) :].tolist() == list(range(CONFIG.buckets, CONFIG.width))


def test_a_text_of_nothing_known_still_has_lengths() -> None:
    features = fit(CONFIG, [extract("one", CONFIG.buckets), extract("two 22", CONFIG.buckets)])
    for text in ("", "ü" * 100_000, "\u0663\u0664 \u00b2 _ \x00"):
        _, values = features.row(extract(text, CONFIG.buckets))
        assert np.isfinite(values).all()


def test_lengths_of_open_queries_stand_apart_where_others_offer_options() -> None:
    count = len(LENGTHS)
    choice, open_ = "Which?\nA. one\nB. two two", "How many apples, then, A or B?"
    found = [extract(text, CONFIG.buckets) for text in (choice, open_, "And how many pears?")]
    assert [each.open for each in found] == [False, True, True]
    rows = [fit(CONFIG, found).row(each)[1] for each in found]
    assert not rows[0][-count:].any()
    assert rows[1][-count:].any()
    alone = fit(CONFIG, found[1:])
    assert not alone.row(found[1])[1][-count:].any()
