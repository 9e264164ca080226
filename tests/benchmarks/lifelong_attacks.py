"""What malicious clients, a fifth of all, make of outcomes: (rows, outcomes [n, 2]) to [n, 2]."""

from collections.abc import Callable

import numpy as np

from tests.benchmarks.lifelong_stream import Floats, Rows, Table

Attack = Callable[[Rows, Floats], Floats]


def attacks(table: Table, topic: int) -> dict[str, Attack]:
    """`topic`: the one that is aimed at; elsewhere those who aim say the truth."""
    rng = np.random.default_rng(0)

    def lots(rows: Rows, outcomes: Floats) -> Floats:
        return (rng.random(outcomes.shape) < 0.5).astype(float)

    def opposite(rows: Rows, outcomes: Floats) -> Floats:
        return 1 - outcomes

    def edge_bad(rows: Rows, outcomes: Floats) -> Floats:
        return np.broadcast_to([0.0, 1.0], outcomes.shape)

    def edge_good_at_one_topic(rows: Rows, outcomes: Floats) -> Floats:
        aimed = (table.topics[rows] == topic)[:, None]
        return np.where(aimed, [1.0, 0.0], outcomes)

    return {
        "draws lots": lots,
        "says the opposite": opposite,
        "edge always bad": edge_bad,
        "edge good at one topic": edge_good_at_one_topic,
    }
