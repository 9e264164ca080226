"""The user's own patterns and words."""

from pathlib import Path

import pytest

from predictors.errors import ConfigurationError
from transformers_hem.guards.privacy.base import PrivacyParameters
from transformers_hem.guards.privacy.detectors import Detectors

WIDE = "\uff42\uff4c\uff55\uff45\uff42\uff49\uff52\uff44"


def own(path: Path, which: str, lines: str) -> Detectors:
    path.write_text(lines)
    return Detectors(PrivacyParameters.model_validate({"kinds": "", which: str(path)}))


def test_patterns_find_by_their_names(tmp_path: Path) -> None:
    lines = "# of the clinic\n\ncase  C-\\d{4}\nward (?i)ward \\pL\n"
    detectors = own(tmp_path / "p", "patterns", lines)
    text = "Ärztin: C-1234 in WARD ö"
    found = [(each.kind, text[each.start : each.end]) for each in detectors.find(text)]
    assert found == [("case", "C-1234"), ("ward", "WARD ö")]


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        ("twice (a)\\1", "line 1: pattern 'twice' is refused: invalid escape sequence.*linear"),
        ("ok a\nahead a(?=b)", "line 2: pattern 'ahead' is refused"),
        ("alone", "line 1: must be a name and a pattern, not 'alone'"),
        ("a x\na y", "line 2: there is a pattern 'a' above already"),
        ("any x*", "line 1: pattern 'any' matches the empty text"),
    ],
)
def test_a_pattern_that_can_not_be_is_refused_by_its_name(
    tmp_path: Path, lines: str, fault: str
) -> None:
    with pytest.raises(ConfigurationError, match=fault):
        own(tmp_path / "p", "patterns", lines)


def test_a_pattern_that_others_would_hang_on_takes_linear_time(tmp_path: Path) -> None:
    detectors = own(tmp_path / "p", "patterns", "evil (a+)+$\n")
    assert detectors.find("a" * 50_000 + "b") == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Project BLUEBIRD starts", ["BLUEBIRD"]),
        ("bluebird bluebird", ["bluebird", "bluebird"]),
        ("bluebirds, Xbluebird", []),
        ("ann, anna lee and Anna", ["ann", "anna lee", "Anna"]),
        ("Über ÅNGSTRÖM.", ["ÅNGSTRÖM"]),
        ("在北京大学里", ["北京大学"]),
        (f"bl\u200buebird {WIDE}", ["bl\u200buebird", WIDE]),
    ],
)
def test_words_are_found_whole_and_in_any_case(tmp_path: Path, text: str, words: list[str]) -> None:
    lines = "bluebird\nann\nanna\nanna lee\nångström\n北京大学\n"
    detectors = own(tmp_path / "w", "words", lines)
    found = detectors.find(text)
    assert [text[each.start : each.end] for each in found] == words
    assert {each.kind for each in found} <= {"word"}


@pytest.mark.parametrize("which", ["patterns", "words"])
def test_a_file_that_is_not_there_is_named(tmp_path: Path, which: str) -> None:
    path = str(tmp_path / "none")
    with pytest.raises(ConfigurationError, match=f"{path} can't be read"):
        Detectors(PrivacyParameters.model_validate({which: path}))
