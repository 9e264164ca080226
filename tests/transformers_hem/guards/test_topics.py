"""Words and patterns of a list send a query to one side."""

from pathlib import Path

import pytest

from predictors.errors import ConfigurationError
from transformers_hem.algorithms.base import Batch
from transformers_hem.guards.base import Guard
from transformers_hem.guards.settings import load_guard


@pytest.fixture
def guard(tmp_path: Path) -> Guard:
    (tmp_path / "words").write_text("# projects\nAtlas\nsmall talk\n天气\n")
    (tmp_path / "patterns").write_text(r"ticket [A-Z]{2,5}-\d+" + "\n")
    files = {"words": str(tmp_path / "words"), "patterns": str(tmp_path / "patterns")}
    return load_guard("TopicGuard", {**files, "route": "cloud"})


@pytest.mark.parametrize(
    ("text", "route"),
    [
        ("What does ATLAS cost?", "cloud"),
        ("an atlases' shelf", None),
        ("let us have some small talk", "cloud"),
        ("今天天气怎么样", "cloud"),
        ("look at OPS-123", "cloud"),
        ("\uff21tlas, in full width", "cloud"),
        ("at\u200blas, with a letter of no width", "cloud"),
        ("something else", None),
    ],
)
def test_a_query_with_a_word_or_a_pattern_of_the_lists_has_a_side(
    guard: Guard, text: str, route: str | None
) -> None:
    assert guard.route(Batch(1, (text,))) == route


def test_any_row_decides_and_only_the_beginning_is_looked_at(guard: Guard) -> None:
    assert guard.route(Batch(2, ("hello", "atlas"))) == "cloud"
    assert guard.route(Batch(1, ("x " * 20_000 + "atlas",))) is None


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("slow (a+)+\\1", "pattern 'slow' is refused"),
        ("any .*", "matches the empty text"),
        ("one", "must be a name and a pattern"),
    ],
)
def test_a_pattern_that_can_not_be_is_refused(content: str, fault: str, tmp_path: Path) -> None:
    (tmp_path / "patterns").write_text(content + "\n")
    with pytest.raises(ConfigurationError, match=fault):
        load_guard("TopicGuard", {"patterns": str(tmp_path / "patterns")})


@pytest.mark.parametrize(
    ("values", "fault"),
    [({}, "needs words or patterns"), ({"words": "absent"}, "absent can't be read")],
)
def test_one_that_can_not_be_is_refused(values: dict[str, str], fault: str) -> None:
    with pytest.raises(ConfigurationError, match=fault):
        load_guard("TopicGuard", values)
