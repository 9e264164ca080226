import numpy as np
import pytest

from transformers_hem.lifelong.observations import Observation, Observations, Propensity
from transformers_hem.lifelong.recalibration import plain_sample
from transformers_hem.lifelong.windows import RESERVED, windows


def test_a_plain_sample_makes_up_for_what_was_likelier_to_be_paired() -> None:
    often, seldom = Propensity(1.0, 0.4, 0.1), Propensity(0.0, 0.4, 0.1)
    rows = [
        Observation(f"q{i}", 1.0, 1.0, "shadow", often if i % 5 else seldom, at=float(i))
        for i in range(5000)
    ]
    seen = Observations.of([*rows, Observation("one side", 1.0, None, "explicit", often)])
    kept = plain_sample(seen)
    at_cloud = kept % 5 == 0
    assert at_cloud.sum() == 1000  # the rarest are all kept
    assert (~at_cloud).sum() == pytest.approx(1000, abs=120)  # a quarter of the 4,000
    assert (np.diff(seen.times[kept]) > 0).all()
    assert plain_sample(seen).tolist() == kept.tolist()


def test_what_was_likelier_to_be_paired_is_learned_from_where_no_promise_can_stand_on_it() -> None:
    shares = Propensity(1.0, 0.1, 0.4), Propensity(0.0, 0.1, 0.4)
    rows = [
        Observation(f"q{i}", 1.0, 1.0, "shadow", shares[i % 5 > 0], at=float(i))
        for i in range(1000)
    ]
    seen = Observations.of(rows)
    parts = windows(seen, np.arange(1000), -np.inf)
    reserved = seen.subset(parts.reserved)
    assert len(plain_sample(reserved)) == len(reserved) == pytest.approx(RESERVED * 400, abs=40)
    assert len(parts.train) == 1000 - len(reserved)


def test_labelled_rows_all_count_and_in_no_order_of_their_file() -> None:
    seldom = Propensity(1.0, 0.02, 0.02)
    labelled = [Observation(f"b{i}", 1.0, 1.0, "base", at=-1.0) for i in range(200)]
    pairs = [Observation(f"q{i}", 1.0, 1.0, "shadow", seldom, at=float(i)) for i in range(20)]
    kept = plain_sample(Observations.of([*labelled, *pairs])).tolist()
    assert sorted(kept[:200]) == list(range(200)) != kept[:200]
    assert kept[200:] == list(range(200, 220))


def pairs(edge: int, cloud: int, shares: tuple[float, float]) -> list[Observation]:
    served = [1.0] * edge + [0.0] * cloud
    return [
        Observation(f"q{i}", 1.0, 1.0, "shadow", Propensity(side, *shares), at=float(i))
        for i, side in enumerate(served)
    ]


@pytest.mark.parametrize("shares", [(0.002, 0.3), (0.1, 1.0), (0.00002, 0.02)])
def test_a_sample_is_plain_whatever_the_shares_are(shares: tuple[float, float]) -> None:
    """However small, and where all are drawn. The cloud served two thirds as often as the edge."""
    count = 100 / shares[0]
    seen = Observations.of(pairs(100, min(int(count * shares[1] * 2 / 3), 10_000), shares))
    expected = (seen.sides == 1).sum() * shares[0] / shares[1]
    kept = seen.sides[plain_sample(seen)]
    assert (kept == 0).sum() == 100
    assert (kept == 1).sum() == pytest.approx(expected, abs=4 * expected**0.5)


def test_what_a_user_compared_was_drawn_by_nobody() -> None:
    both = Propensity.of_served("edge", 1.0, 1.0)
    said = [Observation(f"u{i}", 0.0, 1.0, "explicit", both, client="ada") for i in range(30)]
    seen = Observations.of([*pairs(10, 10, (0.1, 0.1)), *said])
    assert sorted(plain_sample(seen)) == list(range(20))
    parts = windows(seen, np.arange(50), -np.inf)
    assert sorted(parts.plain) == list(range(20)) and len(parts.judging) == 50
