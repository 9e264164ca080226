"""What a store keeps, each thing once, in SQLite and in PostgreSQL."""

import random
import threading
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from tests.transformers_hem.feedback.conftest import Opens
from tests.transformers_hem.feedback.records import decided, said
from transformers_hem.feedback.database import Database
from transformers_hem.feedback.faults import Conflict
from transformers_hem.feedback.keeping import Done, Unit, keep
from transformers_hem.feedback.reading import Example, examples
from transformers_hem.feedback.room import counted


def kept(database: Database, *units: Unit) -> list[Done | Conflict]:
    with database.transaction() as connection:
        return keep(connection, units)


def states(done: Done | Conflict) -> list[str]:
    assert isinstance(done, Done)
    return [each.state for each in done.kept]


def read(database: Database) -> list[Example]:
    with database.transaction() as connection:
        return list(examples(connection))


def test_what_hem_itself_noticed_is_kept_where_nobody_said_anything(opens: Opens) -> None:
    database = opens()
    noticed = said("r1 \u00e9\u4e2d\"'", source="signal", signal="retry")
    (done,) = kept(database, Unit((decided(noticed.request_id),), (noticed,)))
    assert states(done) == ["new"]
    (example,) = read(database)
    assert example.feedback == noticed


def test_what_was_kept_is_there_when_it_is_opened_again(opens: Opens) -> None:
    first = opens()
    decision = decided("r1", features=b"\x01\x02", score=0.1)
    feedback = said("r1", rating=0.75, said_at=12.5, at=decision.at + 1)
    kept(first, Unit((decision,), (feedback,)))
    first.close()
    (example,) = read(opens())
    assert example == Example(decision, feedback)
    assert example.scores == (0.75, None) and example.weight == 1


def test_feedback_with_the_same_key_is_kept_once_however_often_it_comes(opens: Opens) -> None:
    database, feedback = opens(), said("r1")
    first, again, both = Unit((), (feedback,)), Unit((), (feedback,)), Unit((), (feedback,) * 2)
    assert [states(done) for done in kept(database, first, again)] == [["new"], ["duplicate"]]
    assert states(kept(database, both)[0]) == ["duplicate", "duplicate"]
    assert counted(database)["feedback"]["rows"] == 1


def test_a_key_that_says_something_else_is_refused_and_others_are_kept(opens: Opens) -> None:
    database, key = opens(), "0" * 32
    kept(database, Unit((), (said("r1", key=key, thumb_up=True),)))
    mixed = Unit((), (said("r2"), said("r1", key=key, thumb_up=False)))
    refused, taken = kept(database, mixed, Unit((), (said("r3"),)))
    assert isinstance(refused, Conflict) and "'r1'" in str(refused)
    assert states(taken) == ["new"]
    assert counted(database)["feedback"]["rows"] == 2  # nothing of the refused one


def test_two_in_one_transaction_can_contradict_each_other(opens: Opens) -> None:
    database, key = opens(), "0" * 32
    first = Unit((), (said("r1", key=key, thumb_up=True),))
    other = Unit((), (said("r1", key=key, thumb_up=False),))
    taken, refused = kept(database, first, other)
    assert states(taken) == ["new"] and isinstance(refused, Conflict)


def test_of_what_one_client_says_of_a_request_the_newest_counts(opens: Opens) -> None:
    database = opens()
    kept(database, Unit((decided("r1", at=1.0),)))
    assert states(kept(database, Unit((), (said("r1", at=2.0, correct=True),)))[0]) == ["new"]
    assert states(kept(database, Unit((), (said("r1", at=3.0, correct=True),)))[0]) == ["new"]
    assert states(kept(database, Unit((), (said("r1", at=4.0, correct=False),)))[0]) == ["replaces"]
    other = said("r1", at=3.5, client="c2", correct=True)
    assert states(kept(database, Unit((), (other,)))[0]) == ["new"]
    assert counted(database)["feedback"]["rows"] == 4  # the history is there
    assert {e.feedback.client: e.scores for e in read(database)} == {
        "c1": (0.0, None),
        "c2": (1.0, None),
    }


def test_feedback_may_come_before_its_decision(opens: Opens) -> None:
    database = opens()
    (done,) = kept(database, Unit((), (said("r1"),)))
    assert isinstance(done, Done) and not done.kept[0].known
    assert counted(database)["unknown"] == 1 and read(database) == []
    kept(database, Unit((decided("r1"),)))
    (again,) = kept(database, Unit((), (said("r1", client="c2"),)))
    assert isinstance(again, Done) and again.kept[0].known
    assert counted(database)["unknown"] == 0 and len(read(database)) == 2


def test_pushed_records_are_the_same_in_any_order_and_however_often(opens: Opens) -> None:
    database = opens()
    decisions = [decided(f"r{n}", at=float(n)) for n in range(20)]
    feedback = [
        said(f"r{n % 20}", at=100.0 + n, client=f"c{n % 3}", correct=n % 2 == 0) for n in range(60)
    ]
    units = [Unit((each,), (), pushed=True) for each in decisions]
    units += [Unit((), (each,), pushed=True) for each in feedback]
    for seed in range(3):
        random.Random(seed).shuffle(units)
        for start in range(0, len(units), 7):
            kept(database, *units[start : start + 7])
    counts = counted(database)
    assert (counts["decisions"]["rows"], counts["feedback"]["rows"]) == (20, 60)
    newest = {(each.request_id, each.client): each for each in feedback}
    assert {e.feedback for e in read(database)} == set(newest.values())


def test_what_edges_have_under_one_key_is_kept_beside_each_other(opens: Opens) -> None:
    """Clients of two edges have both named it "1", say; each edge has acknowledged what it got."""
    database = opens()
    edges = [
        Unit((), (said("r1", key="k", origin="a", thumb_up=True), said("r2")), pushed=True),
        Unit((), (said("r1", key="k", origin="b", thumb_up=False), said("r3")), pushed=True),
    ]
    for unit in (*edges, *reversed(edges)):
        (done,) = kept(database, unit)
        assert isinstance(done, Done)
    assert counted(database)["feedback"]["rows"] == 4
    (refused,) = kept(database, Unit((), (said("r1", key="k", correct=True),)))
    assert isinstance(refused, Conflict)


def test_an_id_that_two_clients_use_leads_each_to_its_own_request(opens: Opens) -> None:
    database = opens()
    mine, theirs = decided("r1", at=1.0), decided("r1", at=2.0, client="c2", route="cloud")
    older = decided("r2", at=1.0, query="old")
    newer = decided("r2", at=5.0, query="new")
    kept(database, Unit((mine, theirs, older, newer)))
    kept(database, Unit((), (said("r1", at=3.0), said("r1", at=3.0, client="c2"))))
    kept(database, Unit((), (said("r2", at=4.0), said("r2", at=6.0, client="c3"))))
    found = {(e.feedback.request_id, e.feedback.client): e.decided for e in read(database)}
    assert found == {
        ("r1", "c1"): mine,
        ("r1", "c2"): theirs,
        ("r2", "c1"): older,
        ("r2", "c3"): newer,
    }


def test_what_fails_in_the_middle_leaves_nothing(opens: Opens) -> None:
    database = opens()
    kept(database, Unit((decided("r1"), decided("r2")), (said("r1"),)))
    nowhere: Any = None
    with pytest.raises(IntegrityError):
        kept(database, Unit((decided("r3"), decided("r4", route=nowhere))))
    assert counted(database)["decisions"]["rows"] == 2


@pytest.mark.parametrize("place", ["postgresql"], indirect=True)
def test_several_servers_may_make_and_write_one_postgresql(opens: Opens) -> None:
    opened: list[Database] = []
    threads = [threading.Thread(target=lambda: opened.append(opens())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == 4
    for number, database in enumerate(opened):
        kept(database, Unit((decided(f"r{number}"),)))
    assert counted(opened[0])["decisions"]["rows"] == 4
