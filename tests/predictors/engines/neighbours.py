"""Good queries and bad ones at once, each of a caller of its own."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from predictors.contract import Query
from predictors.engines.base import TextEngine

SECONDS: Final = 120.0


async def among(
    engine: TextEngine, neighbours: Sequence[Query], bad: Sequence[Query]
) -> tuple[list[Any], list[Any]]:
    """What the neighbours get, their texts or their errors, and what the bad queries get, which
    stand in the middle of them."""
    half = len(neighbours) // 2
    asked = [*neighbours[:half], *bad, *neighbours[half:]]
    calls = [engine.generate([query]) for query in asked]
    got = await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), SECONDS)
    good = [*got[:half], *got[half + len(bad) :]]
    texts = [each if isinstance(each, BaseException) else each[0].text for each in good]
    return texts, got[half : half + len(bad)]
