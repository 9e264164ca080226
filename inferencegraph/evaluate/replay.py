"""Routes recorded questions: what each system would have answered, from what both sides did.

Both sides' answers are taken as they were given; only the decision is made anew. A replay tells
nothing of queues: its latency is that of the side that was asked, one after the other where the
edge's answer is mined.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from inferencegraph.evaluate.datasets import Item
from inferencegraph.evaluate.outcome import Outcome
from inferencegraph.evaluate.systems import ORACLE, System
from predictors.contract import CLOUD, EDGE
from transformers_hem.algorithms.row_fields import score_rows
from transformers_hem.arrays import Floats
from transformers_hem.labels.labels import is_hard

NO_SIGNAL = "no_signal"


def replay(
    system: System,
    items: Sequence[Item],
    edge: Sequence[Outcome],
    cloud: Sequence[Outcome],
    epsilon: float = 0.0,
) -> list[Outcome]:
    """One outcome a question, in their order. The oracle sends a question to the cloud where the
    cloud's answer is better by more than `epsilon`."""
    if system.kind == ORACLE and system.algorithm is None:
        scores = _oracle(edge, cloud, epsilon)
        threshold, reason = 0.5, ORACLE
    else:
        assert system.algorithm is not None
        rows = [_row(item, outcome) for item, outcome in zip(items, edge, strict=True)]
        scores = score_rows(system.algorithm, rows)
        threshold, reason = system.threshold or 0.0, system.kind
    fixed = system.algorithm.fixed_route if system.algorithm else None
    # Without a score nobody knows that the query is easy.
    hard = ~(scores <= threshold) if fixed is None else np.full(len(items), fixed == CLOUD)
    return [
        _outcome(small, large, bool(is_cloud), float(score), reason, system.stage == "answer")
        for small, large, is_cloud, score in zip(edge, cloud, hard, scores, strict=True)
    ]


def _outcome(
    small: Outcome, large: Outcome, is_cloud: bool, score: float, reason: str, mined: bool
) -> Outcome:
    chosen = large if is_cloud else small
    unknown = np.isnan(score)
    decision: dict[str, Any] = {
        "route": CLOUD if is_cloud else EDGE,
        "difficulty": None if unknown else score,
        "reason": NO_SIGNAL if unknown else reason,
        "edge_row": {},
    }
    if is_cloud and mined:
        decision |= _after(small, large)
    return replace(chosen, **decision)


def _after(small: Outcome, large: Outcome) -> dict[str, Any]:
    """What the edge's answer took, before the cloud was asked."""
    waited = small.seconds
    first = large.time_to_first_token
    return {
        "seconds": _sum(waited, large.seconds),
        "time_to_first_token": _sum(waited, first),
        "edge_prompt_tokens": small.edge_prompt_tokens,
        "edge_completion_tokens": small.edge_completion_tokens,
    }


def _sum(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one + other


def _row(item: Item, edge: Outcome) -> dict[str, Any]:
    """The question with the edge's answer, as a row of `hem label`."""
    return {**item.row, "query": item.question.query, **edge.edge_row}


def _oracle(edge: Sequence[Outcome], cloud: Sequence[Outcome], epsilon: float) -> Floats:
    small, large = qualities(edge), qualities(cloud)
    return np.asarray(is_hard(small, large, epsilon), dtype=np.float64)


def qualities(outcomes: Sequence[Outcome], worst: float = 0.0) -> Floats:
    """Float [N]; a question that failed has `worst`."""
    return np.array([worst if o.quality is None else o.quality for o in outcomes])
