"""Exact match, token F1 and ROUGE-L, against values made by hand."""

import pytest

from tests.transformers_hem.labels.questions import question
from transformers_hem.labels.scorers.base import Pair, ScorerOptions
from transformers_hem.labels.scorers.exact_match import ExactMatch
from transformers_hem.labels.scorers.rouge_l import RougeL, RougeLOptions
from transformers_hem.labels.scorers.token_f1 import TokenF1


async def test_exact_match_looks_over_case_blanks_and_spelling_of_unicode() -> None:
    scorer = ExactMatch(ScorerOptions())
    asked = question("q", "New  York\ncafe\u0301")
    assert await scorer.score(asked, " new york CAF\u00c9 ", "new york cafes") == Pair(1, 0)


async def test_exact_match_is_of_the_answer_without_its_reasoning() -> None:
    scorer = ExactMatch(ScorerOptions())
    pair = await scorer.score(question("q", "Paris"), "<think>Rome?</think>\nParis", "Rome</think>")
    assert pair == Pair(1, 0)


async def test_token_f1_counts_shared_words_without_articles_and_punctuation() -> None:
    scorer = TokenF1(ScorerOptions())
    pair = await scorer.score(question("q", "The Eiffel Tower, Paris"), "a tower in Paris!", "Rome")
    assert pair == Pair(pytest.approx(2 * 2 / (3 + 3)), 0)


async def test_token_f1_of_nothing_is_right_for_nothing_only() -> None:
    scorer = TokenF1(ScorerOptions())
    assert await scorer.score(question("q", "the"), "", "Rome") == Pair(1, 0)


async def test_rouge_l_is_the_f_measure_of_the_longest_common_subsequence() -> None:
    """Lin (2004), section 3.1: "police killed the gunman" and its two rewordings."""
    scorer = RougeL(RougeLOptions(stemmer=False))
    asked = question("q", "police killed the gunman")
    pair = await scorer.score(asked, "police kill the gunman", "the gunman kill police")
    assert pair == Pair(0.75, 0.5)


async def test_rouge_l_compares_stems() -> None:
    scorer = RougeL(RougeLOptions())
    assert (await scorer.score(question("q", "police killed"), "police kill", "")) == Pair(1, 0)
