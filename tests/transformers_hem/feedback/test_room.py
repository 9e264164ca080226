"""What is too old or too much goes, some at a time, in both kinds of stores."""

import time

from tests.transformers_hem.feedback.conftest import Opens
from tests.transformers_hem.feedback.records import decided, said
from transformers_hem.feedback.keeping import Unit, keep
from transformers_hem.feedback.room import AT_ONCE, Retention, counted

DAY = 86_400


def test_what_is_older_than_its_days_goes(opens: Opens) -> None:
    database, now = opens(), time.time()
    decisions = [decided(f"r{n}", at=now - n * DAY) for n in range(10)]
    feedback = [said(f"r{n}", at=now - n * DAY) for n in range(10)]
    with database.transaction() as connection:
        keep(connection, [Unit(decisions, feedback)])
    assert Retention(4.5, 1000).tidy(database) is False
    found = counted(database)
    assert found["decisions"]["rows"] == found["feedback"]["rows"] == 5
    assert found["decisions"]["first"] > now - 4.5 * DAY


def test_of_too_many_the_oldest_go_in_steps(opens: Opens) -> None:
    database, count = opens(), AT_ONCE + 500
    for start in range(0, count, 500):
        unit = Unit([decided(f"r{n}") for n in range(start, start + 500)])
        with database.transaction() as connection:
            keep(connection, [unit])
    retention = Retention(90, 100)
    assert retention.tidy(database) is True  # somebody may come in between
    assert counted(database)["decisions"]["rows"] == 500
    assert retention.tidy(database) is False
    assert counted(database)["decisions"]["rows"] == 100
