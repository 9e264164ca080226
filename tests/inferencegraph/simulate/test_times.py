"""Distributions of seconds, and how they are written."""

from pathlib import Path
from random import Random

import numpy as np
import pytest

from inferencegraph.simulate.times import parse_times
from predictors.errors import ConfigurationError


@pytest.mark.parametrize(
    ("text", "mean", "variation"),
    [("0.2", 0.2, 0.0), ("exponential:0.2", 0.2, 1.0), ("lognormal:0.2,1.5", 0.2, 1.5)],
)
def test_a_time_has_the_mean_and_the_variation_that_were_asked_for(
    text: str, mean: float, variation: float
) -> None:
    times, random = parse_times(text), Random(0)
    drawn = np.array([times.draw(random) for _ in range(200_000)])
    assert times.mean == mean
    assert drawn.mean() == pytest.approx(mean, rel=0.02)
    assert drawn.std() / drawn.mean() == pytest.approx(variation, rel=0.05, abs=1e-9)


def test_measured_times_are_drawn_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "seconds.txt"
    path.write_text("0.5\n\n1.5\n")
    times, random = parse_times(f"measured:{path}"), Random(0)
    assert times.mean == 1.0
    assert {times.draw(random) for _ in range(100)} == {0.5, 1.5}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("soon", "'soon' is no number of seconds"),
        ("-1", "a time is a number of 0 or more, not -1"),
        ("nan", "a time is a number of 0 or more, not nan"),
        ("exponential:0", "a mean time is a number above 0, not 0"),
        ("exponential:1,2", "exponential takes a mean"),
        ("lognormal:1", "lognormal takes a mean and a coefficient of variation"),
        ("exponental:1", "did you mean 'exponential'"),
        ("measured:/nowhere", "/nowhere can't be read"),
    ],
)
def test_a_time_that_is_none_is_named(text: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        parse_times(text)


@pytest.mark.parametrize(
    ("content", "said"),
    [("", "no measured times"), ("1\nx\n", "line 2: 'x' is no number"), ("-1\n", "not -1")],
)
def test_a_file_of_times_that_is_wrong_is_named(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "seconds.txt"
    path.write_text(content)
    with pytest.raises(ConfigurationError, match=said):
        parse_times(f"measured:{path}")
