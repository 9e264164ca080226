"""Languages go to one side, the others to the other one, and what is not told to nobody."""

import pytest

from predictors.errors import ConfigurationError
from transformers_hem.algorithms.base import Batch
from transformers_hem.guards.settings import load_guard

ENGLISH = "How many hours does a day have, and why is that so?"
GERMAN = "Wie viele Stunden hat ein Tag, und warum ist das so?"
CHINESE = "一天有多少个小时？为什么会这样？"
SUM = "47 + 385"


def routed(text: str, **parameters: str) -> str | None:
    return load_guard("LanguageGuard", parameters).route(Batch(1, (text,)))


@pytest.mark.parametrize(
    ("text", "route"), [(ENGLISH, "edge"), (GERMAN, "edge"), (CHINESE, "cloud"), (SUM, None)]
)
def test_languages_have_a_side(text: str, route: str | None) -> None:
    assert routed(text, languages="en, DE", route="edge", others="cloud") == route


@pytest.mark.parametrize(("text", "route"), [(ENGLISH, None), (CHINESE, "cloud")])
def test_one_side_may_be_left_to_the_algorithm(text: str, route: str | None) -> None:
    assert routed(text, languages="en,de", others="cloud") == route


def test_a_text_of_few_words_is_told_better_among_fewer_languages() -> None:
    assert routed("What is 2+2?", languages="en", route="edge") is None
    assert routed("What is 2+2?", languages="en", route="edge", among="en,de,zh") == "edge"


def test_only_the_beginning_is_looked_at() -> None:
    assert routed(ENGLISH * 20 + CHINESE * 200, languages="zh", route="cloud") is None


def test_the_first_row_that_is_told_decides() -> None:
    guard = load_guard("LanguageGuard", {"languages": "zh", "route": "cloud"})
    assert guard.route(Batch(2, (SUM, CHINESE))) == "cloud"
    assert guard.route(Batch(0, ())) is None


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        ({"route": "edge"}, "parameter 'languages' is missing"),
        ({"languages": "en"}, "needs route, .*, or others"),
        ({"languages": "english", "route": "edge"}, "language 'english': known: .*en"),
        ({"languages": "en", "among": "e", "route": "edge"}, "language 'e': known"),
        ({"languages": "en", "route": "up"}, "parameter 'route' can't be 'up'"),
    ],
)
def test_one_that_can_not_be_is_refused(values: dict[str, str], fault: str) -> None:
    with pytest.raises(ConfigurationError, match=fault):
        load_guard("LanguageGuard", values)
