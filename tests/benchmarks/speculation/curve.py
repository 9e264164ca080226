"""Milliseconds of one verify step: so many requests in it, so many tokens of each looked at.

A step is what the verify side does between two answers: the tokens go through the model, behind what
its cache has of them, and the rule says which are taken.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from statistics import median
from typing import Any, Final

import torch

from predictors.contract import Sampling
from predictors.engines.huggingface.accepting import Drafted, Place, accept
from predictors.engines.huggingface.loading import Loaded
from predictors.engines.huggingface.slots import Slots
from tests.benchmarks.speculation.cost import Step

ROWS: Final = (1, 2, 4, 8, 16, 32)
TOKENS: Final = (1, 2, 3, 5, 9, 17, 32)
KNOWN: Final = 96  # tokens that a request's cache has by then
REPEATS: Final = 7
LONGEST: Final = 2.0  # seconds of the repeats of one cell
GREEDY: Final = Sampling(max_tokens=64, temperature=0.0, repetition_penalty=1.0)


def measured(
    model: Loaded, rows: Sequence[int] = ROWS, tokens: Sequence[int] = TOKENS
) -> Iterator[Step]:
    """Medians, the cells one after another."""
    slots = Slots(model.model, max(rows), KNOWN + max(tokens))
    for row in range(max(rows)):
        slots.logits([row], [0], [[5] * KNOWN])
    for count in rows:
        for width in tokens:
            yield Step(count, width, _median(_step(model, slots, count, width), model))


def _step(model: Loaded, slots: Slots, rows: int, tokens: int) -> Callable[[], None]:
    torch.manual_seed(rows * 100 + tokens)
    fed = torch.randint(4, model.vocabulary, (rows, tokens)).tolist()
    known = [5] * KNOWN

    def step() -> None:
        logits = slots.logits(range(rows), [KNOWN] * rows, fed)
        for row in range(rows):
            place = Place(GREEDY, 1, known, [])
            accept(logits[row].clone(), place, Drafted(fed[row][1:]), coupled=True)

    return step


def _median(step: Callable[[], None], model: Loaded) -> float:
    """Seconds."""
    step()
    found: list[float] = []
    while len(found) < REPEATS and sum(found) < LONGEST:
        _finish(model)
        began = time.perf_counter()
        step()
        _finish(model)
        found.append(time.perf_counter() - began)
    return median(found)


def _finish(model: Any) -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
