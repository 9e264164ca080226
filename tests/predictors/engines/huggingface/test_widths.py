"""Rows of one pass are as long as its longest one: when long ones have a pass of their own."""

import pytest

from predictors.engines.huggingface.widths import long_ones


@pytest.mark.parametrize(
    ("lengths", "pass_tokens", "place"),
    [
        ([], 30, 0),
        ([5], 30, 0),
        ([5, 5, 5, 5], 30, 0),
        ([5, 25], 30, 0),  # 50 tokens beside 30 and a pass
        ([5, 5, 5, 25], 30, 3),  # 100 beside 40 and a pass
        ([5, 5, 5, 25], 200, 0),  # as on a GPU
        ([1, 5, 5, 5, 5, 24, 25], 30, 5),
    ],
)
def test_long_rows_are_apart_where_a_pass_costs_less_than_what_it_would_be_padded_with(
    lengths: list[int], pass_tokens: float, place: int
) -> None:
    assert long_ones(lengths, pass_tokens) == place
