"""Calls that leave the predictor: how many, how long, how often, and when not at all."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from prometheus_client import REGISTRY

from predictors.errors import (
    CAUSES,
    BreakerOpen,
    Cause,
    HEMError,
    InvalidRequest,
    Overloaded,
    UpstreamError,
)
from predictors.upstream.call import Upstream
from predictors.upstream.settings import Limits
from tests.predictors.upstream.failing import failing

pytestmark = pytest.mark.asyncio(loop_factories=["quick"])

Attempt = Callable[[], Awaitable[str]]


@pytest.fixture(autouse=True)
async def seconds_of_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """For the breaker, too."""
    monkeypatch.setattr(time, "monotonic", asyncio.get_running_loop().time)


class Script:
    """An attempt that does what the next entry says: an error, an answer, or a future's outcome."""

    def __init__(self, *entries: Any) -> None:
        self._entries: Iterator[Any] = iter(entries)
        self.calls = 0

    async def __call__(self) -> str:
        self.calls += 1
        entry = next(self._entries)
        if isinstance(entry, Exception):
            raise entry
        return str(await entry) if isinstance(entry, asyncio.Future) else str(entry)


def metric(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"hem_upstream_{name}", labels) or 0.0


def upstream(name: str, **settings: Any) -> Upstream:
    return Upstream(name, Limits(**settings))


def never() -> asyncio.Future[str]:
    return asyncio.get_running_loop().create_future()


async def test_an_answer_costs_one_attempt() -> None:
    script = Script("yes")
    assert await upstream("u1").call(script) == "yes"
    assert script.calls == 1


@pytest.mark.parametrize(
    "error",
    [
        UpstreamError("down", Cause.UNREACHABLE),
        UpstreamError("502", cause=Cause.SERVER_ERROR, retryable=True),
        UpstreamError("slow down", Cause.THROTTLED, retry_after=0.01),
    ],
)
async def test_what_may_pass_is_tried_again(error: HEMError) -> None:
    script = Script(error, error, "yes")
    before = metric("retries_total", upstream="u2")
    assert await upstream("u2", retries=2).call(script) == "yes"
    assert metric("retries_total", upstream="u2") - before == 2


@pytest.mark.parametrize(
    "error",
    [
        InvalidRequest("no"),
        UpstreamError("nonsense"),
        UpstreamError("late", Cause.TIMEOUT),
        RuntimeError("a bug"),
    ],
)
async def test_what_will_not_pass_is_not_tried_again(error: Exception) -> None:
    script = Script(error, "yes")
    with pytest.raises(type(error), match=str(error)):
        await upstream("u3").call(script)
    assert script.calls == 1


async def test_the_last_error_is_the_callers_and_all_are_counted() -> None:
    script = Script(*(UpstreamError(f"down {n}", Cause.UNREACHABLE) for n in range(3)))
    with failing(Cause.UNREACHABLE, match="down 2"):
        await upstream("u4", retries=2).call(script)
    assert metric("failures_total", upstream="u4", kind="unreachable") == 3


async def test_a_wait_beyond_the_deadline_fails_at_once() -> None:
    script = Script(UpstreamError("later", Cause.UNREACHABLE, retry_after=60), "yes")
    async with asyncio.timeout(30):
        with failing(Cause.UNREACHABLE, match="later"):
            await upstream("u5", timeout=50).call(script)
    assert script.calls == 1


async def test_an_attempt_ends_at_the_deadline() -> None:
    with failing(Cause.TIMEOUT, match=r"u6 did not answer within 0\.05 s"):
        await upstream("u6", timeout=0.05).call(Script(never()))
    assert metric("failures_total", upstream="u6", kind="timeout") == 1


async def test_above_the_queue_bound_calls_are_refused_at_once() -> None:
    far, release = upstream("u7", max_concurrency=1, max_queue=1), never()
    running = asyncio.create_task(far.call(Script(release)))
    waiting = asyncio.create_task(far.call(Script("second")))
    await asyncio.sleep(0)
    with pytest.raises(Overloaded, match="u7 has 1 calls at once and 1 waiting"):
        await far.call(Script("third"))
    assert metric("rejected_total", upstream="u7", reason="queue_full") == 1
    release.set_result("first")
    assert await asyncio.gather(running, waiting) == ["first", "second"]


async def test_waiting_in_the_queue_has_a_limit_of_its_own() -> None:
    limits = {"max_concurrency": 1, "timeout": 0.05, "queue_timeout": 0.05}
    far, release = upstream("u8", **limits), asyncio.Event()

    async def stubborn() -> str:
        try:
            return await never()
        finally:
            await release.wait()

    first = asyncio.create_task(far.call(stubborn))
    await asyncio.sleep(0)
    with pytest.raises(Overloaded, match=r"u8 had no place for the call within 0\.05 s"):
        await far.call(Script("never asked"))
    release.set()
    with failing(Cause.TIMEOUT):
        await first


async def test_a_call_waits_a_quarter_of_its_time_limit_for_a_place() -> None:
    far = upstream("u10", max_concurrency=1, timeout=0.2)
    first = asyncio.create_task(far.call(Script(never())))
    await asyncio.sleep(0)
    with pytest.raises(Overloaded, match=r"no place for the call within 0\.05 s"):
        await far.call(Script("never asked"))
    with failing(Cause.TIMEOUT):
        await first


async def test_overload_is_no_failure_of_a_far_side_that_answers_in_time() -> None:
    limits = {"max_concurrency": 2, "timeout": 1.0, "queue_timeout": 0.8, "breaker_failures": 1}
    far = upstream("u11", **limits)

    async def slow() -> str:
        await asyncio.sleep(0.5)
        return "yes"

    outcomes = await asyncio.gather(*(far.call(slow) for _ in range(8)), return_exceptions=True)
    assert outcomes[:4] == ["yes"] * 4
    assert [type(outcome) for outcome in outcomes[4:]] == [Overloaded] * 4
    assert metric("failures_total", upstream="u11", kind="timeout") == 0
    assert metric("breaker", upstream="u11") == 0


async def test_a_retry_that_had_too_little_time_says_nothing_of_the_far_side() -> None:
    far = upstream("u12", timeout=0.5, breaker_failures=2)

    async def refuses() -> str:
        await asyncio.sleep(0.2)
        raise UpstreamError("down", Cause.UNREACHABLE)

    with failing(Cause.TIMEOUT, match=r"u12 did not answer within 0\.5 s"):
        await far.call(Script(asyncio.ensure_future(refuses()), never()))
    assert metric("failures_total", upstream="u12", kind="unreachable") == 1
    assert metric("failures_total", upstream="u12", kind="timeout") == 0
    assert metric("breaker", upstream="u12") == 0


async def test_a_caller_who_leaves_frees_slot_and_queue() -> None:
    far = upstream("u9", max_concurrency=1, max_queue=1)
    tasks = [asyncio.create_task(far.call(Script(never()))) for _ in range(2)]
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    assert [task.cancelled() for task in tasks] == [True, True]
    assert await asyncio.gather(*(far.call(Script("yes")) for _ in range(2))) == ["yes", "yes"]


async def fail(far: Upstream, error: Exception) -> None:
    with pytest.raises(type(error)):
        await far.call(Script(error))


async def test_failures_in_a_row_open_the_breaker_and_nobody_waits() -> None:
    far = upstream("b1", breaker_failures=2, retries=0, breaker_seconds=60)
    await fail(far, UpstreamError("late", Cause.TIMEOUT))
    await fail(far, UpstreamError("500", cause=Cause.SERVER_ERROR))
    script = Script("never asked")
    with failing(Cause.UNREACHABLE, match=r"b1 is not called .* 2 times in a row.*: 500"):
        await far.call(script)
    assert script.calls == 0
    assert metric("breaker", upstream="b1") == 2
    assert metric("rejected_total", upstream="b1", reason="breaker_open") == 1


async def test_a_description_that_is_answered_says_nothing_of_answers_that_are_computed() -> None:
    far = upstream("d1", breaker_failures=2, retries=0)
    for _ in range(2):
        assert await far.call(Script("a description"), computes=False) == "a description"
        await fail(far, UpstreamError("late", Cause.TIMEOUT))
    assert metric("breaker", upstream="d1") == 2
    far = await opened("d2")
    assert await far.call(Script("a description"), computes=False) == "a description"
    assert metric("breaker", upstream="d2") == 1
    assert await far.call(Script("an answer")) == "an answer"
    assert metric("breaker", upstream="d2") == 0


def answered(status: int) -> UpstreamError:
    return UpstreamError(f"it answered {status}", Cause.SERVER_ERROR, answered=status)


@pytest.mark.parametrize("status", [500, 502])
async def test_a_callers_queries_that_break_the_model_take_it_from_others_for_a_moment(
    status: int,
) -> None:
    """502 is what a server in between says of a model's 500."""
    name = f"q1-{status}"
    far = upstream(name, breaker_failures=5, retries=0, breaker_seconds=6.4)
    for _ in range(5):
        await fail(far, answered(status))
    assert metric("breaker", upstream=name) == 2
    await asyncio.sleep(0.25)
    assert await far.call(Script("a good query")) == "a good query"
    for _ in range(4):
        await fail(far, answered(status))
    assert metric("breaker", upstream=name) == 0


async def test_a_server_that_answers_every_query_500_is_asked_ever_less_often() -> None:
    far = upstream("q2", breaker_failures=1, retries=0, breaker_seconds=3.2)
    for pause in (0.1, 0.2, 0.4):
        await fail(far, answered(500))
        with pytest.raises(BreakerOpen) as refused:
            await far.call(Script("never asked"))
        assert refused.value.retry_after == pytest.approx(pause)
        await asyncio.sleep(pause + 0.02)


@pytest.mark.parametrize("status", [503, 504])
async def test_a_server_whose_proxy_answers_for_it_is_left_alone(status: int) -> None:
    far = upstream(f"q{status}", breaker_failures=1, retries=0, breaker_seconds=60)
    await fail(far, answered(status))
    with pytest.raises(BreakerOpen) as refused:
        await far.call(Script("never asked"))
    assert refused.value.retry_after == pytest.approx(60)


async def test_retries_end_when_the_breaker_opens() -> None:
    far = upstream("b2", breaker_failures=2, retries=9, breaker_seconds=60)
    script = Script(*[UpstreamError("down", Cause.UNREACHABLE)] * 10)
    with failing(Cause.UNREACHABLE, match="b2 is not called for now"):
        await far.call(script)
    assert script.calls == 2


@pytest.mark.parametrize(
    "harmless",
    [
        InvalidRequest("the caller's own"),
        UpstreamError("wrong key", cause=Cause.REFUSED),
        UpstreamError("the model failed on this query", down=False),
    ],
)
async def test_a_far_side_that_answers_is_alive(harmless: Exception) -> None:
    far = upstream("b3", breaker_failures=2, retries=0)
    for error in (
        UpstreamError("late", Cause.TIMEOUT),
        harmless,
        UpstreamError("late", Cause.TIMEOUT),
        harmless,
    ):
        await fail(far, error)
    assert metric("breaker", upstream="b3") == 0


async def opened(name: str) -> Upstream:
    """With a breaker that is half open already."""
    far = upstream(name, breaker_failures=1, retries=0, breaker_seconds=0.01)
    await fail(far, UpstreamError("late", Cause.TIMEOUT))
    await asyncio.sleep(0.02)
    assert metric("breaker", upstream=name) == 1
    return far


async def test_half_open_one_probe_asks_and_its_answer_closes() -> None:
    far, release = await opened("b4"), never()
    probe = asyncio.create_task(far.call(Script(release)))
    await asyncio.sleep(0)
    with failing(Cause.UNREACHABLE, match="b4 is not called"):
        await far.call(Script("second probe"))
    release.set_result("well again")
    assert await probe == "well again"
    assert metric("breaker", upstream="b4") == 0
    assert await far.call(Script("yes")) == "yes"


async def test_a_probe_that_fails_opens_again() -> None:
    far = upstream("b5", breaker_failures=3, retries=0, breaker_seconds=1)
    for _ in range(3):
        await fail(far, UpstreamError("late", Cause.TIMEOUT))
    await asyncio.sleep(1.1)
    await fail(far, UpstreamError("the probe", Cause.TIMEOUT))
    assert metric("rejected_total", upstream="b5", reason="breaker_open") == 0
    with failing(Cause.UNREACHABLE, match="at last: the probe"):
        await far.call(Script("never asked"))


async def test_a_probe_whose_caller_leaves_decides_nothing() -> None:
    far = await opened("b6")
    probe = asyncio.create_task(far.call(Script(never())))
    await asyncio.sleep(0)
    probe.cancel()
    await asyncio.wait([probe])
    assert metric("breaker", upstream="b6") == 1
    assert await far.call(Script("the next probe")) == "the next probe"
    assert metric("breaker", upstream="b6") == 0


async def test_callers_who_leave_are_no_failures() -> None:
    far = upstream("b7", breaker_failures=1)
    task = asyncio.create_task(far.call(Script(never())))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert metric("breaker", upstream="b7") == 0
    assert await far.call(Script("yes")) == "yes"


async def test_a_late_answer_does_not_close_an_open_breaker() -> None:
    far, release = upstream("b8", breaker_failures=1, retries=0, breaker_seconds=60), never()
    early = asyncio.create_task(far.call(Script(release)))
    await asyncio.sleep(0)
    await fail(far, UpstreamError("late", Cause.TIMEOUT))
    release.set_result("at last")
    assert await early == "at last"
    assert metric("breaker", upstream="b8") == 2


@pytest.mark.parametrize(
    ("asked", "open_for"),
    [(2.0, 2.0), (30.0, 30.0), (86400.0, 60.0), (float("inf"), 60.0)],
)
async def test_a_wait_beyond_the_time_for_retries_opens_the_breaker_for_as_long(
    asked: float, open_for: float
) -> None:
    name = f"w{asked:g}"
    far = upstream(name, breaker_failures=1000, retries=5, breaker_seconds=0.01)
    script = Script(UpstreamError("429", Cause.THROTTLED, retry_after=asked), "never asked")
    with failing(Cause.THROTTLED, "429"):
        await far.call(script)
    assert script.calls == 1
    with pytest.raises(BreakerOpen, match="is not called for now: 429") as raised:
        await far.call(script)
    assert raised.value.retry_after == pytest.approx(open_for)
    assert script.calls == 1


@pytest.mark.parametrize("asked", [None, 0.0, 0.05])
async def test_a_short_wait_is_waited(asked: float | None) -> None:
    error = UpstreamError("429", Cause.THROTTLED, retry_after=asked)
    assert await upstream("w").call(Script(error, "yes")) == "yes"


async def test_a_retry_begins_within_its_time_or_not_at_all() -> None:
    far = upstream("w2", retries=9, retry_seconds=0.3, timeout=60)

    async def slow_failure() -> str:
        await asyncio.sleep(0.2)
        raise UpstreamError("503", Cause.SERVER_ERROR, retryable=True, retry_after=0.2)

    with failing(Cause.SERVER_ERROR, "503"):
        await far.call(slow_failure)
    assert metric("failures_total", upstream="w2", kind="server_error") == 1


async def test_without_a_breaker_a_long_wait_refuses_nobody() -> None:
    far = upstream("w3", breaker_failures=0)
    await fail(far, UpstreamError("429", Cause.THROTTLED, retry_after=30))
    assert await far.call(Script("yes")) == "yes"


@pytest.mark.parametrize("cause", [cause for cause in Cause if CAUSES[cause].down])
async def test_whoever_gives_no_answer_is_not_asked_for_a_while(cause: Cause) -> None:
    far = upstream(f"d-{cause}", breaker_failures=3, retries=0)
    for _ in range(3):
        await fail(far, UpstreamError("no answer", cause))
    with pytest.raises(BreakerOpen, match="it failed 3 times in a row, at last: no answer"):
        await far.call(Script("never asked"))


async def test_an_open_breaker_is_one_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    far = upstream("l1", breaker_failures=1, retries=0, breaker_seconds=0.2)
    await fail(far, UpstreamError("late", Cause.TIMEOUT))
    for _ in range(3):
        for _ in range(300):
            with pytest.raises(BreakerOpen) as refused:
                await far.call(Script("never asked"))
            assert refused.value.told
        await asyncio.sleep(0.25)
        with failing(Cause.TIMEOUT) as probe:
            await far.call(Script(UpstreamError("still late", Cause.TIMEOUT)))
        assert probe.value.told
    assert caplog.messages == ["l1: the circuit breaker is open: late; calls refused so far: 0"]
    await asyncio.sleep(0.25)
    assert await far.call(Script("well again")) == "well again"
    closed = "l1: the circuit breaker is closed again; calls refused: 900"
    assert caplog.messages[1:] == [closed]
