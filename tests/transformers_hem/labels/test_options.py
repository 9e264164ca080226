"""The table of scorers, and their options as a command line gives them."""

import pytest

from predictors.errors import ConfigurationError
from transformers_hem.labels.scorers import SCORERS
from transformers_hem.labels.scorers.base import Scorer, ScorerOptions
from transformers_hem.labels.scorers.options import make_scorer

NEEDED = {"llm_judge": ["model=judge"]}


@pytest.mark.parametrize("name", SCORERS.names())
async def test_every_scorer_of_the_table_loads(name: str) -> None:
    scorer = make_scorer(name, NEEDED.get(name, []))
    assert isinstance(scorer, Scorer)
    assert issubclass(scorer.Options, ScorerOptions)
    await scorer.close()


@pytest.mark.parametrize(
    ("name", "options", "told"),
    [
        ("rouge", [], "unknown scorer 'rouge'; known: bartscore, chrf, .*'rouge_l'"),
        ("numeric", ["tolerance"], "--option 'tolerance' must be name=value"),
        (
            "numeric",
            ["tolerence=1"],
            "no option 'tolerence'; known: decimal, tolerance; did you",
        ),
        ("numeric", ["tolerance=x"], "numeric: option tolerance can't be 'x': Input should be a"),
        ("numeric", ["tolerance=nan"], "numeric: option tolerance can't be 'nan'"),
        ("exact_match", ["case=1"], "exact_match has no option 'case'; known: none"),
        ("bartscore", ["direction=up"], "option direction can't be 'up'"),
        ("llm_judge", [], "llm_judge needs --option model=..."),
    ],
)
def test_a_bad_option_is_told_in_one_line(name: str, options: list[str], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told) as raised:
        make_scorer(name, options)
    assert "\n" not in str(raised.value)
