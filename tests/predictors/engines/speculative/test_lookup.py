"""Drafts of what stood behind the same tokens before."""

import pytest
from pydantic import ValidationError

from predictors.contract.speculation import Drawing, Whole
from predictors.engines.speculative.lookup import PromptLookup
from predictors.engines.speculative.settings import SpeculativeSettings

DRAWING = Drawing(temperature=0, top_p=1, repetition_penalty=1, key=0)


async def drafted(lookup: PromptLookup, tokens: list[int], count: int = 3) -> list[int]:
    whole = Whole(tokens=tokens, prompt=1, drawing=DRAWING)
    return (await lookup.draft("a", whole, count)).tokens


async def test_the_longest_run_that_was_there_before_goes_on() -> None:
    lookup = PromptLookup(3, 1)
    lookup.begin("a")
    assert await drafted(lookup, [1, 2, 3, 4, 9, 3, 5, 1, 2, 3]) == [4, 9, 3]


async def test_of_two_places_the_latest_counts() -> None:
    lookup = PromptLookup(2, 2)
    lookup.begin("a")
    assert await drafted(lookup, [1, 2, 3, 1, 2, 4, 1, 2], 2) == [4, 1]


async def test_without_a_run_of_the_least_length_there_is_no_draft() -> None:
    lookup = PromptLookup(4, 2)
    lookup.begin("a")
    assert await drafted(lookup, [1, 2, 3, 4, 2]) == []


async def test_it_goes_back_with_the_answer() -> None:
    lookup = PromptLookup(2, 2)
    lookup.begin("a")
    assert await drafted(lookup, [1, 2, 7, 8, 1, 2, 7, 8]) == [1, 2, 7]
    assert await drafted(lookup, [1, 2, 7, 8, 1, 2]) == [7, 8, 1]
    assert await drafted(lookup, [1, 2, 7, 8, 1, 3]) == []


async def test_a_sequence_that_nobody_told_of_has_no_draft() -> None:
    assert await drafted(PromptLookup(2, 1), [1, 1, 1]) == []


def test_settings_by_which_nothing_would_be_looked_up_are_refused() -> None:
    given = {"url": "http://x", "model_dir": "m", "lookup_longest": 2, "lookup_shortest": 3}
    with pytest.raises(ValidationError, match="lookup_shortest 3 is more than lookup_longest 2"):
        SpeculativeSettings.model_validate(given)
