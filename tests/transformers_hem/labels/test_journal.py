"""The journal: what survives, and what it refuses to go on with."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from predictors.contract import Answer
from predictors.errors import ConfigurationError
from tests.transformers_hem.labels.questions import question
from transformers_hem.labels.journal import Journal
from transformers_hem.labels.scorers.base import Pair

SETTINGS = {"scorer": "numeric", "edge": "http://e"}
FIRST, SECOND = question("one"), replace(question("two"), id=2, fingerprint="g")


def opened(out: Path, settings: dict[str, Any] = SETTINGS) -> Journal:
    return Journal.open(out, settings, [FIRST, SECOND])


def begun(out: Path) -> Path:
    journal = opened(out)
    journal.answered(FIRST, "edge", Answer("42\n", mean_logprob=-0.5, served_by="m"))
    journal.scored(SECOND, Pair(0.25, 1.0))
    journal.close()
    return journal.path


def test_answers_and_scores_come_back_as_they_were(tmp_path: Path) -> None:
    begun(tmp_path / "out")
    journal = opened(tmp_path / "out")
    assert journal.answers == {"a": {"edge": Answer("42\n", mean_logprob=-0.5, served_by="m")}}
    assert journal.scores == {2: Pair(0.25, 1.0)}
    journal.close()


def test_parts_of_a_score_come_back_and_keep_the_journal(tmp_path: Path) -> None:
    journal = opened(tmp_path / "out")
    assert journal.empty
    journal.parts_of(FIRST)["edge_first"] = Pair(0.5, 0.5)
    journal.close()
    journal = opened(tmp_path / "out")
    assert dict(journal.parts_of(FIRST)) == {"edge_first": Pair(0.5, 0.5)}
    assert (journal.empty, dict(journal.parts_of(SECOND)), journal.scores) == (False, {}, {})
    journal.close()
    with pytest.raises(ConfigurationError, match="begun with scorer 'numeric', not 'token_f1'"):
        opened(tmp_path / "out", SETTINGS | {"scorer": "token_f1"})


def test_a_line_is_there_as_soon_as_it_is_written(tmp_path: Path) -> None:
    journal = opened(tmp_path / "out")
    journal.scored(FIRST, Pair(1, 0))
    assert journal.path.read_bytes().endswith(b'"scores":[1,0]}\n')
    journal.close()


def test_a_journal_of_the_last_release_goes_on(tmp_path: Path) -> None:
    """Each kind of line, as it was written then."""
    before = (
        b'{"hem_label":1,"settings":{"scorer":"numeric","edge":"http://e"}}\n'
        b'{"id":"a","of":"f","side":"edge","answer":{"text":"42\\n","prompt_tokens":3,'
        b'"completion_tokens":1,"time_to_first_token":0.5,"mean_logprob":-0.5,"served_by":"m",'
        b'"cached":false}}\n'
        b'{"id":"a","of":"f","part":"edge_first","gives":[0.5,1.0]}\n'
        b'{"id":2,"of":"g","scores":[0.25,1.0]}\n'
        b'{"id":"a","of":"f","failed":"503"}\n'
    )
    (tmp_path / "out.journal").write_bytes(before)
    journal = opened(tmp_path / "out")
    answer = Answer(
        "42\n",
        prompt_tokens=3,
        completion_tokens=1,
        time_to_first_token=0.5,
        mean_logprob=-0.5,
        served_by="m",
        cached=False,
    )
    assert journal.answers == {"a": {"edge": answer}}
    assert journal.parts == {"a": {"edge_first": Pair(0.5, 1)}}
    assert (journal.scores, journal.failures) == ({2: Pair(0.25, 1)}, {"a"})
    journal.close()
    assert journal.path.read_bytes() == before


@pytest.mark.parametrize("cut", [1, 5, 30])
def test_a_last_line_that_was_cut_is_dropped_and_written_again(tmp_path: Path, cut: int) -> None:
    path = begun(tmp_path / "out")
    path.write_bytes(path.read_bytes()[:-cut])
    journal = opened(tmp_path / "out")
    assert (list(journal.answers), journal.scores) == (["a"], {})
    journal.scored(SECOND, Pair(0, 1))
    journal.close()
    journal = opened(tmp_path / "out")
    assert journal.scores == {2: Pair(0, 1)}
    journal.close()


def test_a_first_line_that_was_cut_begins_anew(tmp_path: Path) -> None:
    (tmp_path / "out.journal").write_bytes(b'{"hem_la')
    opened(tmp_path / "out").close()


def test_a_failure_is_not_an_answer(tmp_path: Path) -> None:
    begun(tmp_path / "out")
    journal = opened(tmp_path / "out")
    journal.failed(FIRST, "503")
    journal.close()
    journal = opened(tmp_path / "out")
    assert (list(journal.answers), list(journal.scores)) == (["a"], [2])
    journal.close()


def test_a_journal_that_says_nothing_is_gone_and_takes_other_settings(tmp_path: Path) -> None:
    opened(tmp_path / "out").close()
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "out.journal").write_bytes(b'{"hem_label":1,"settings":{"scorer":"x"}}\n')
    opened(tmp_path / "out").close()


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (SETTINGS | {"scorer": "token_f1"}, "begun with scorer 'numeric', not 'token_f1'; choose"),
        (SETTINGS | {"cloud": "http://c"}, "begun with cloud None, not 'http://c'; choose"),
    ],
)
def test_other_settings_are_refused(tmp_path: Path, settings: dict[str, str], told: str) -> None:
    path = begun(tmp_path / "out")
    before = path.read_bytes()
    with pytest.raises(ConfigurationError, match=told):
        opened(tmp_path / "out", settings)
    assert path.read_bytes() == before


def test_another_question_of_that_id_is_refused(tmp_path: Path) -> None:
    begun(tmp_path / "out")
    with pytest.raises(ConfigurationError, match="line 1: id 'a' was another question, or had"):
        Journal.open(tmp_path / "out", SETTINGS, [replace(FIRST, fingerprint="h")])


def test_two_processes_do_not_share_a_journal(tmp_path: Path) -> None:
    journal = opened(tmp_path / "out")
    with pytest.raises(ConfigurationError, match="is being written by another process"):
        opened(tmp_path / "out")
    journal.close()


def test_labels_from_elsewhere_are_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(ConfigurationError, match=r"out exists, and has no out\.journal; choose"):
        opened(tmp_path / "out")


@pytest.mark.parametrize(
    "damage", [b"{\n", b"[]\n", b'{"id":"a"}\n', b'{"id":"a","of":"f","answer":{"x":1}}\n']
)
def test_a_damaged_line_before_the_last_is_named(tmp_path: Path, damage: bytes) -> None:
    path = begun(tmp_path / "out")
    path.write_bytes(path.read_bytes() + damage + b"{}\n")
    with pytest.raises(ConfigurationError, match=r"out\.journal, line 4: damaged: ") as raised:
        opened(tmp_path / "out")
    assert "\n" not in str(raised.value)


def test_a_folder_that_is_missing_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"out\.journal can't be written: No such file"):
        opened(tmp_path / "none" / "out")
