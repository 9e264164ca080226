"""What is known, drafted and under way: verdicts in any order, and refused tokens."""

from predictors.contract.speculation import Verdict
from predictors.engines.speculative.chain import Chain, Flight


def verdict(*tokens: int, accepted: int | None = None) -> Verdict:
    count = len(tokens)
    taken = count - 1 if accepted is None else accepted
    return Verdict(taken, list(tokens), [-0.1] * count, [0.5] * count, 0)


def told(chain: Chain, flight: Flight, said: Verdict) -> list[int]:
    return [sure.token for sure in chain.judged(flight, said)]


def test_a_block_goes_out_behind_the_one_before() -> None:
    chain = Chain([1, 2], [3, 4, 5, 6])
    first = chain.leaves(2)
    assert (first.at, first.draft, first.pending) == (2, [3, 4], [])
    second = chain.leaves(chain.unsent)
    assert (second.at, second.draft, second.pending) == (4, [5, 6], [3, 4])
    assert chain.unsent == 0


def test_taken_tokens_are_known_and_the_rest_stays_ahead() -> None:
    chain = Chain([1], [2, 3, 4, 5])
    first, second = chain.leaves(2), chain.leaves(2)
    assert told(chain, first, verdict(2, 3, 4)) == [2, 3, 4]
    assert chain.ahead == [5] and chain.flights == [second]
    assert told(chain, second, verdict(4, 5, 9)) == [5, 9]
    assert chain.known == [1, 2, 3, 4, 5, 9] and not chain.ahead
    assert (chain.taken, chain.refused) == (4, 0)


def test_what_was_built_on_a_refused_token_is_dropped() -> None:
    chain = Chain([1], [2, 3, 4, 5])
    first, second = chain.leaves(2), chain.leaves(2)
    assert told(chain, first, verdict(2, 8, accepted=1)) == [2, 8]
    assert not chain.ahead and not chain.flights
    assert told(chain, second, verdict(accepted=0)) == []
    assert (chain.taken, chain.refused) == (1, 1)


def test_a_verdict_that_comes_too_early_waits_for_the_one_before() -> None:
    chain = Chain([1], [2, 3, 4, 5])
    first, second = chain.leaves(2), chain.leaves(2)
    assert told(chain, second, verdict(4, 5, 6)) == []
    assert told(chain, first, verdict(2, 3, 4)) == [2, 3, 4, 5, 6]


def test_a_lost_round_leaves_again() -> None:
    chain = Chain([1], [2, 3, 4, 5])
    first, second = chain.leaves(2), chain.leaves(2)
    chain.lost(first)
    assert chain.unsent == 4 and chain.flights == [second]
    assert chain.leaves(4).draft == [2, 3, 4, 5]


def test_a_branch_that_has_the_models_own_token_is_what_goes_on() -> None:
    chain = Chain([1], [2, 3])
    first = chain.leaves(2)
    branch = chain.branches([1, 7, 8, 9], 1)
    other = chain.branches([1, 6, 8, 9], 1)
    assert told(chain, first, verdict(7, accepted=0)) == [7]
    assert chain.ahead == [8, 9] and chain.flights == [branch] and other not in chain.flights
    assert chain.unsent == 0
    assert told(chain, branch, verdict(7, 8, 9, 5)) == [8, 9, 5]
