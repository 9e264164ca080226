"""How many tokens to draft: known answers of the formulas, and what a pace learns."""

import pytest

from predictors.contract.speculation import PassCost, Verdict
from predictors.engines.speculative.pace import (
    Costs,
    Mean,
    Pace,
    best_block,
    cheapest_block,
    in_turns,
    passes_a_token,
    without_waiting,
)


def verdict(seconds: float = 0.002, passes: int = 1, rows: int = 1) -> Verdict:
    return Verdict(
        0, [1], [-1.0], [0.5], 5, passes=passes, seconds=seconds, held=seconds, rows=rows
    )


def test_tokens_of_a_round_that_is_waited_for() -> None:
    costs = Costs(link=0.0485, check=0.0, step=0.0, taken=0.5)
    # 1 + 1/2 + 1/4 tokens in 50 ms, one and a half of which a request itself takes.
    assert in_turns(costs, 2) == pytest.approx(1.75 / 0.05)


@pytest.mark.parametrize(
    ("taken", "block", "passes"),
    [
        (0.0, 4, 1.0),  # each pass gives the model's own token alone
        (0.5, 1, 0.5 * 1.5),  # 2 tokens, by 1 + 1/4 + 1/8 + ... passes
        (0.7, 3, 0.3 * (1 + 0.7**4 / (1 - 0.7**3))),
    ],
)
def test_passes_a_token(taken: float, block: int, passes: float) -> None:
    assert passes_a_token(taken, block) == pytest.approx(passes)


def test_seconds_until_a_refused_token_is_heard_of() -> None:
    costs = Costs(link=0.05, check=0.0, step=0.01, taken=0.0)
    # The first token is refused: a block of two, the link, and what a request takes. One token.
    assert without_waiting(costs, 2) == pytest.approx(1 / 0.0715)


def test_a_block_costs_few_passes_and_is_longer_where_a_round_costs_more() -> None:
    quick = Costs(link=0.05, check=0.001, step=0.004, taken=0.95)
    slow = Costs(link=0.05, check=0.02, step=0.004, taken=0.95)
    assert passes_a_token(0.95, best_block(quick)) <= 0.5
    assert best_block(quick) < best_block(slow)


def test_the_cheapest_block_is_short_where_tokens_cost_as_much_as_passes() -> None:
    by_memory = PassCost(fixed=0.01, row=0.0, token=0.0)
    by_arithmetic = PassCost(fixed=0.0, row=0.0, token=0.01)
    assert cheapest_block(0.8, by_memory, 1) > 8
    assert cheapest_block(0.8, by_arithmetic, 1) == 1
    assert cheapest_block(0.8, None, 1) > 8


def test_a_mean_forgets_and_begins_evenly() -> None:
    mean = Mean(0.5)
    for value in (2.0, 4.0):
        mean.add(value)
    assert mean.value == 3.0
    mean.add(7.0)
    assert mean.value == 5.0


def test_a_fixed_length_is_kept_in_turns_and_ahead() -> None:
    pace = Pace(7)
    assert pace.block(0, 1) == pace.block(0, 16) == 7


def test_nothing_is_drafted_where_hardly_anything_before_it_will_be_taken() -> None:
    pace = Pace()
    pace.judged(50, 50)
    assert pace.block(0, 16) > 0
    assert pace.block(20, 16) == 0


def test_the_link_is_what_the_verify_side_does_not_hold() -> None:
    pace = Pace()
    pace.checked(4, verdict(seconds=0.002), 0.052)
    pace.checked(4, verdict(seconds=0.002), None)  # others were under way
    assert pace.link.value == pytest.approx(0.05) and pace.link.count == 1
    assert pace.check.value == pytest.approx(0.002) and pace.check.count == 2


def test_the_share_of_the_far_servers_computing() -> None:
    pace = Pace(far_cost=PassCost(fixed=0.008, row=0.001, token=0.001))
    assert pace.share() is None
    pace.checked(4, verdict(rows=4), None)  # a token alone: 8 / 4 + 1 + 1 ms
    pace.answered(10, 0.02)
    assert pace.share() == pytest.approx(0.5)
