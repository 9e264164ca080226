"""Where a store is: what HEM_FEEDBACK_STORE and --store take, and what they refuse."""

from pathlib import Path

import pytest

from predictors.errors import ConfigurationError
from transformers_hem.feedback.place import read_place

ESCAPED = r"is no URL: its port must be a number, and of user and password write / as %2F"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "is empty"),
        (" \n", "is empty"),
        ("postgresq://hem:secret@db/feedback", r"'postgresq://\*\*\*@db/feedback' must be a file"),
        ("mysql://hem:secret@db/feedback", r"'mysql://\*\*\*@db/feedback' must be a file"),
        ("postgresql://hem:secret@db", "names no database"),
        ("postgresql://hem:se?cret@db/feedback", "names no database"),
        ("postgresql://hem:se/cret@db/feedback", ESCAPED),
        ("postgresql://hem:se[cret@db/feedback", ESCAPED),
        ("postgresql://hem:se@cret@db/feedback", ESCAPED),
        ("postgresql://hem:secret@db:54x/feedback", ESCAPED),
        ("postgresql:/hem:secret@db/feedback", "must be postgresql://USER:PASSWORD@HOST/DATABASE"),
        ("host=db password=secret dbname=feedback", "must be postgresql://USER"),
    ],
)
def test_a_slip_is_refused_and_no_part_of_the_password_is_shown(text: str, told: str) -> None:
    with pytest.raises(ConfigurationError, match=f"--store .*{told}") as refused:
        read_place(text, "--store")
    said = str(refused.value)
    assert "secret" not in said and "cret@" not in said and "se/" not in said


def test_a_url_from_a_secret_may_end_with_its_line() -> None:
    place = read_place("postgresql://hem:se%2Fcret@db/feedback\n")
    assert place.url == "postgresql+psycopg://hem:se%2Fcret@db/feedback"
    assert place.shown == "postgresql://***@db/feedback"


def test_a_file_may_have_signs_in_its_name(tmp_path: Path) -> None:
    for name in ("a=b.db", "postgres.db", "x:y.db"):
        assert read_place(str(tmp_path / name)).path == tmp_path / name
