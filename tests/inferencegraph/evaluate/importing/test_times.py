"""Times and numbers as logs write them."""

import pytest

from inferencegraph.evaluate.importing.rows import amount, count, number
from inferencegraph.evaluate.importing.times import seconds_between, unix_seconds


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("2025-01-01T00:00:00Z", 1735689600.0),
        ("2025-01-01 00:00:00", 1735689600.0),
        ("2025-01-01T01:00:00.250+01:00", 1735689600.25),
        ("2025-01-01T00:00:00.123456789Z", 1735689600.123456),
        (1735689600, 1735689600.0),
        ("1735689600.5", 1735689600.5),
        ("0001-01-01T00:00:00Z", None),
        ("0001-01-01T00:00:00+14:00", None),
        ("yesterday", None),
        (None, None),
        ([], None),
    ],
)
def test_times_are_unix_seconds(written: object, seconds: float | None) -> None:
    assert unix_seconds(written) == seconds


def test_an_end_before_the_beginning_is_no_duration() -> None:
    assert seconds_between("2025-01-01 00:00:00", "2025-01-01 00:00:01.5") == 1.5
    assert seconds_between("2025-01-01 00:00:01", "2025-01-01 00:00:00") is None
    assert seconds_between("2025-01-01 00:00:01", None) is None


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("1.5", (1.5, 1.5, None)),
        (" 12 ", (12, 12, 12)),
        (7, (7, 7, 7)),
        (7.0, (7, 7, 7)),
        (-1, (-1, None, None)),
        (True, (1, 1, 1)),
        (2**31, (2.0**31, 2.0**31, None)),
        (10**400, (None, None, None)),
        ("nan", (None, None, None)),
        ("inf", (None, None, None)),
        (None, (None, None, None)),
        ({}, (None, None, None)),
    ],
)
def test_numbers_may_be_texts(written: object, read: tuple[object, object, object]) -> None:
    assert (number(written), amount(written), count(written)) == read
