"""All calls in flight together hold so many bytes at most; one that holds few is always let in."""

import asyncio
import subprocess
import sys

import pytest

from predictors.errors import Overloaded
from predictors.memory import FREE_BYTES, ByteBudget, hold

MIB = 1 << 20


def test_what_two_calls_hold_is_too_much_for_a_third_until_one_ends() -> None:
    budget = ByteBudget(2 * MIB)
    with budget.call() as first, budget.call() as second:
        first.take(MIB)
        second.take(MIB)
        with budget.call() as third:
            third.take(FREE_BYTES)
            with pytest.raises(Overloaded, match=r"hold \d+ of 2097152 \(max_bytes_in_flight\)"):
                third.take(MIB)
        first.release()
        with budget.call() as fourth:
            fourth.take(MIB)
        second.release()
    assert budget.held == 0


def test_bytes_are_counted_part_by_part() -> None:
    budget = ByteBudget(MIB)
    with budget.call() as call:
        for _ in range(16):
            call.take(FREE_BYTES)
        assert budget.held == 15 * FREE_BYTES
    assert budget.held == 0


def test_many_small_calls_are_never_refused() -> None:
    budget = ByteBudget(1)
    for _ in range(1000):
        with budget.call() as call:
            call.take(FREE_BYTES)
    assert budget.held == 0


async def test_what_is_read_for_a_call_is_held_by_it_wherever_it_runs() -> None:
    budget = ByteBudget(MIB)
    hold(10 * MIB)  # of nobody's call
    with budget.call():
        await asyncio.create_task(asyncio.sleep(0))

        async def reads() -> None:
            hold(FREE_BYTES + 1000)

        await asyncio.create_task(reads())
        assert budget.held == 1000
    assert budget.held == 0


def test_after_a_burst_free_pages_go_back_to_the_system() -> None:
    """A small piece after many others keeps the C library from giving them back by itself."""
    code = """if True:
        import ctypes
        from predictors.memory import give_back
        c = ctypes.CDLL(None)
        c.malloc.restype, c.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
        def resident():
            return int(open("/proc/self/statm").read().split()[1]) * 4096
        pieces = [c.malloc(50_000) for _ in range(2000)]
        for piece in pieces:
            ctypes.memset(piece, 1, 50_000)
        kept = c.malloc(50_000)
        for piece in pieces:
            c.free(piece)
        before = resident()
        give_back()
        print(before - resident())
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) > 50 * MIB
