"""Milliseconds of one verify step: so many requests in it, so many tokens of each looked at.

A step is what the verify side does between two answers: the tokens go through the model, behind
what its cache has of them, and the rule says which are taken.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from statistics import median
from typing import Any, Final

import torch

from predictors.contract import Sampling
from predictors.engines.huggingface.accepting import Checked, Drafted, Place, accept_all
from predictors.engines.huggingface.loading import Loaded
from predictors.engines.huggingface.slots import Slots
from tests.benchmarks.speculation import results
from tests.benchmarks.speculation.cost import Fit, Step

ROWS: Final = (1, 2, 4, 8, 16, 32)
TOKENS: Final = (1, 2, 3, 5, 9, 17, 32)
KNOWN: Final = 96  # tokens that a request's cache has by then
REPEATS: Final = 7
LONGEST: Final = 1.5  # seconds of the repeats of one cell
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
    place = Place(GREEDY, 1, [5] * KNOWN, [])

    def step() -> None:
        logits = slots.logits(range(rows), [KNOWN] * rows, fed)
        accept_all(
            [
                Checked(place, Drafted(row[1:]), True, scores)
                for row, scores in zip(fed, logits, strict=True)
            ]
        )

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


def show(name: str, steps: Sequence[Step], fit: Fit) -> None:
    told = {(step.rows, step.tokens): 1000 * step.seconds for step in steps}
    rows, tokens = (sorted({step[place] for step in steps}) for place in (0, 1))
    print(f"\n{name}: milliseconds by rows and tokens of each")
    shown = [[count, *(told.get((count, width)) for width in tokens)] for count in rows]
    results.table(["rows", *map(str, tokens)], shown)
    fixed, row, token = (1000 * value for value in fit.cost.model_dump().values())
    print(
        f"fitted: {fixed:.3g} + {row:.3g} a row + {token:.3g} a token; "
        f"off by {fit.median:.0%} (median), {fit.largest:.0%} at most"
    )
