"""A pass waits for those who come back soon, and for nobody else."""

import time

from predictors.engines.huggingface.gathering import TRIES, Gathering

SECONDS = 0.004


def turn(gathering: Gathering, answered: list[int], back: list[int]) -> float:
    """Seconds that it would wait still, once those who are back have come; that time passes."""
    gathering.answered(answered)
    for slot in back:
        gathering.came(slot)
    left = gathering.left()
    time.sleep(max(left, 0.0) + 0.001)
    gathering.left()
    return left


def test_it_waits_for_those_who_were_answered_until_all_are_back() -> None:
    gathering = Gathering(SECONDS)
    assert turn(gathering, [0, 1, 2], [0, 1]) > 0
    assert turn(gathering, [0, 1, 2], [0, 1, 2]) == 0


def test_it_waits_the_longer_the_more_of_them_there_are() -> None:
    few, many = Gathering(SECONDS), Gathering(SECONDS)
    assert turn(many, list(range(40)), []) > 2 * turn(few, [0], [])


def test_without_a_time_it_never_waits() -> None:
    assert turn(Gathering(), [0, 1], []) == 0


def test_who_never_is_back_in_time_is_hardly_ever_waited_for_and_the_others_are() -> None:
    gathering = Gathering(SECONDS)
    near = [0, 1]
    for _ in range(8):
        turn(gathering, [*near, 7], near)
    waited = [turn(gathering, [*near, 7], near) > 0 for _ in range(2 * TRIES)]
    assert waited.count(True) == 2
    assert turn(gathering, near, [0]) > 0


def test_who_comes_back_soon_again_is_waited_for_again() -> None:
    gathering = Gathering(SECONDS)
    for _ in range(8):
        turn(gathering, [3], [])
    for _ in range(2 * TRIES):
        turn(gathering, [3], [3])
    assert turn(gathering, [3], []) > 0
