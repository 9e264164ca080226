"""What goes wrong between a draft side and the server that checks: the right answer, or an error
that says what it was."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import httpx
import orjson
import pytest

from predictors.contract.query import Sampling
from predictors.contract.speculation import PATH, Drawing, Round, Verdict, Whole
from predictors.engines.speculative.base import DraftingModel, Replaced
from predictors.engines.speculative.settings import SpeculativeSettings
from predictors.engines.speculative.verifier import RemoteVerifier
from predictors.errors import HEMError, UpstreamError
from tests.conftest import ServerProcess, StartServer
from tests.loopback import Handler, LoopbackServer
from tests.predictors.upstream.ledger.reading import lines, outcomes

READY = "/v2/models/m/ready"
SLOTS = 2
LENGTH = 32
DRAWING = Drawing.of(Sampling(temperature=0.0, repetition_penalty=1.0), 0, coupled=True)
VOCABULARY = 396


@pytest.fixture(scope="module")
def cloud(start_server: StartServer) -> ServerProcess:
    given = ["--model_name", "m", "--model_dir", "embedded:long-cloud"]
    return start_server("predictors", *given, "--verify_slots", str(SLOTS), ready=READY)


@contextmanager
def verifier(url: str, **settings: object) -> Iterator[RemoteVerifier]:
    given = SpeculativeSettings.model_validate(
        {"model_dir": "embedded:long-edge", "url": url, **settings}
    )
    yield RemoteVerifier(given)


class Caller:
    """Greedy, of a prompt of its own. What it drafts is right where it has heard the answer."""

    def __init__(self, number: int, far: RemoteVerifier) -> None:
        self.prompt = [5 + number, *range(40, 40 + number % 5), 9]
        self.tokens: list[int] = []
        self.id = f"caller {number} {time.monotonic_ns()}"
        self._far = far

    def whole(self) -> Whole:
        tokens = [*self.prompt, *self.tokens]
        return Whole(tokens=tokens, prompt=len(self.prompt), drawing=DRAWING, max_tokens=LENGTH)

    async def step(self, draft: list[int]) -> Verdict:
        whole = self.whole()
        at, told = len(whole.tokens), None if self.tokens else whole
        verdict = await self._far.check(
            Round(id=self.id, at=at, draft=draft, whole=told), whole, VOCABULARY
        )
        self.tokens += verdict.tokens
        return verdict

    async def to_end(self, heard: list[int] | None = None) -> list[int]:
        while len(self.tokens) < LENGTH:
            done, left = len(self.tokens), LENGTH - len(self.tokens)
            draft = heard[done : done + 4] if heard is not None else [7, 8]
            await self.step(draft[: left - 1])
        return self.tokens


@pytest.fixture(scope="module")
def answers(cloud: ServerProcess) -> list[list[int]]:
    """One after another, undisturbed."""

    async def all_() -> list[list[int]]:
        with verifier(cloud.url) as far:
            got = [await Caller(number, far).to_end() for number in range(6)]
            await far.close()
            return got

    return asyncio.run(all_())


@pytest.fixture
async def far(cloud: ServerProcess) -> AsyncIterator[RemoteVerifier]:
    with verifier(cloud.url) as far:
        yield far
        await far.close()


async def test_a_server_that_is_started_again_is_told_the_whole_sequence(
    cloud: ServerProcess, far: RemoteVerifier, answers: list[list[int]]
) -> None:
    caller = Caller(0, far)
    await caller.step(answers[0][:6])
    assert 0 < len(caller.tokens) < LENGTH
    await asyncio.to_thread(cloud.restart, READY)
    verdict = await caller.step(answers[0][len(caller.tokens) :][:3])
    assert verdict.cached == 0
    assert await caller.to_end(answers[0]) == answers[0]


async def test_more_callers_than_its_cache_has_room_for_get_their_answers(
    far: RemoteVerifier, answers: list[list[int]]
) -> None:
    async with asyncio.timeout(60):
        got = await asyncio.gather(*(Caller(n, far).to_end(answers[n]) for n in range(6)))
    assert list(got) == answers


async def test_rounds_out_of_order_and_twice_are_answered_alike(
    far: RemoteVerifier, answers: list[list[int]]
) -> None:
    caller, a = Caller(1, far), answers[1]
    whole, at = caller.whole(), len(caller.prompt)
    rounds = [
        Round(id=caller.id, at=at + len(done), draft=a[len(done) :][:3], pending=done)
        for done in (a[:0], a[:4], a[:8])
    ]
    for order in ([2, 0, 1], [1, 1, 0], [0, 2, 2]):
        got = await asyncio.gather(*(far.check(rounds[n], whole, VOCABULARY) for n in order))
        assert [verdict.tokens for verdict in got] == [a[4 * n : 4 * n + 4] for n in order]
    assert {verdict.passes for verdict in got} == {0}


async def test_a_caller_who_leaves_in_the_middle_does_not_hold_up_others(
    cloud: ServerProcess, far: RemoteVerifier, answers: list[list[int]]
) -> None:
    with verifier(cloud.url, timeout=0.05, retries=0) as hasty:
        long = Round(
            id="long",
            at=1000,
            whole=Whole(tokens=[5, 9] * 500, prompt=1000, drawing=DRAWING),
        )
        gone = [
            hasty.check(long.model_copy(update={"id": f"long {n}"}), long.whole, VOCABULARY)
            for n in range(8)
        ]
        said = await asyncio.gather(*gone, return_exceptions=True)
        assert any(isinstance(each, HEMError) for each in said)
        await hasty.close()
    async with asyncio.timeout(30):
        assert await Caller(2, far).to_end(answers[2]) == answers[2]


@contextmanager
def scripted(
    body: bytes, seconds: float = 0.0, keys: list[str | None] | None = None, status: int = 200
) -> Iterator[str]:
    """A server that answers every round so; `keys` are those that came."""

    class Answering(Handler):
        def do_POST(self) -> None:
            self.read()
            if keys is not None:
                keys.append(self.headers["authorization"])
            time.sleep(seconds)
            self.say(status, body)

    with LoopbackServer(Answering) as server:
        yield server.origin


async def told(url: str, **settings: object) -> Verdict:
    """Of two drafted tokens, by the real client."""
    whole = Whole(tokens=[1, 2, 3], prompt=2, drawing=DRAWING)
    with verifier(url, retries=0, **settings) as far:
        try:
            return await far.check(Round(id="x", at=3, draft=[4, 5], whole=whole), whole, 50)
        finally:
            await far.close()


GOOD = {"accepted": 1, "own": 9, "logprobs": [0, -20500], "margins": [10000, 5]}


async def test_a_verdict_says_what_is_new_alone() -> None:
    with scripted(orjson.dumps(GOOD)) as url:
        verdict = await told(url)
    assert (verdict.accepted, verdict.tokens) == (1, [4, 9])
    assert (verdict.logprobs, verdict.margins) == ([0.0, -2.05], [1.0, 0.0005])
    assert (verdict.cached, verdict.passes) == (2, 1)


async def test_rounds_have_the_key_of_the_server_that_checks() -> None:
    keys: list[str | None] = []
    with scripted(orjson.dumps(GOOD), keys=keys) as url:
        await told(url, api_key="of-the-cloud")
    assert keys == ["Bearer of-the-cloud"]


async def test_the_ledger_says_of_each_round_which_model_checked_it_and_how_much_was_told(
    cloud: ServerProcess, answers: list[list[int]], tmp_path: Path
) -> None:
    path, nothing = tmp_path / "ledger", cast(DraftingModel, None)
    with verifier(cloud.url, ledger=str(path)) as far:
        await far.model(nothing)
        caller = Caller(3, far)
        first, second = [await caller.step(answers[3][n : n + 2]) for n in (0, 3)]
        await far.close()
    sent, came = [row for row in lines(path, "intent") if row["method"] == "POST"], outcomes(path)
    prompt = len(caller.prompt)
    assert [(row["tokens"], row["drafted"]) for row in sent] == [(prompt + 2, 2), (2, 2)]
    assert {row["sequence"] for row in sent} == {caller.id}
    told = [came[row["n"]] for row in sent]
    assert {row["model"] for row in told} == {"m"}
    assert [row["prompt_tokens"] for row in told] == [prompt + 2, 2]
    given = [len(verdict.tokens) for verdict in (first, second)]
    assert [row["completion_tokens"] for row in told] == given


@pytest.mark.parametrize(("status", "said"), [(404, "--verify_slots"), (401, "--api_key")])
async def test_a_server_that_refuses_is_an_error_that_says_what_to_do(
    status: int, said: str
) -> None:
    with scripted(b"{}", status=status) as url, pytest.raises(UpstreamError, match=said):
        await told(url)


@pytest.mark.parametrize(
    ("round", "answered", "said"),
    [
        ({"draft": [VOCABULARY + 4]}, 400, "token 400 is none of the 396"),
        ({"tokenizer": "0" * 16}, 412, "numbers tokens otherwise"),
        ({"model": "0" * 16}, 412, "not the one that this answer began with"),
    ],
)
async def test_what_the_caller_can_not_mend_is_the_servers_fault(
    far: RemoteVerifier, round: dict[str, Any], answered: int, said: str
) -> None:
    named = {name: round[name] for name in ("tokenizer", "model") if name in round}
    whole = Whole(tokens=[5, 9, 7], prompt=3, drawing=DRAWING, **named)
    asked = Round(id=f"{said} {time.monotonic_ns()}", at=3, draft=round.get("draft", []))
    with pytest.raises(UpstreamError, match=said) as error:
        await far.check(asked.told(whole), whole, VOCABULARY)
    assert (error.value.status, error.value.answered) == (502, answered)
    assert isinstance(error.value, Replaced) == (answered == 412)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({**GOOD, "own": 50}, "token 50 is none of 50"),
        ({**GOOD, "own": -1}, "own"),
        ({**GOOD, "accepted": 3}, "it takes 3 tokens, but 2 were drafted"),
        ({**GOOD, "accepted": -1}, "accepted"),
        ({**GOOD, "logprobs": [0]}, "as many logprobs and margins"),
        ({**GOOD, "margins": [0, 0, 0]}, "as many logprobs and margins"),
        ({**GOOD, "logprobs": [0, 1]}, "logprobs.1"),
        ({**GOOD, "logprobs": [0, None]}, "logprobs.1"),
        ({**GOOD, "margins": [0, 10001]}, "margins.1"),
        ({**GOOD, "seconds": -1}, "seconds"),
        ({**GOOD, "rows": 0}, "rows"),
        ({}, "it has no token"),
        ([GOOD], "valid dictionary"),
        (b'{"accepted": 1, "own": 9, "logprobs": [0, NaN], "margins": [0, 0]}', "is unusable"),
        (b"", "is unusable"),
        (b'{"accepted": 1, "own": 9, "logpr', "is unusable"),
    ],
)
async def test_a_verdict_that_can_not_be_one_is_an_error_that_says_why(
    body: object, said: str
) -> None:
    sent = body if isinstance(body, bytes) else orjson.dumps(body)
    with scripted(sent) as url, pytest.raises(UpstreamError) as error:
        await told(url)
    assert said in str(error.value) and url in str(error.value)


async def test_a_verdict_of_a_newer_server_that_says_more_is_taken() -> None:
    verdicts = []
    for body in (GOOD, {**GOOD, "watts": 3}):
        with scripted(orjson.dumps(body)) as url:
            verdicts.append(await told(url))
    assert verdicts[0] == verdicts[1]


async def test_a_server_that_takes_too_long_is_an_error_in_time() -> None:
    with scripted(orjson.dumps(GOOD), seconds=1.5) as url:
        began = time.monotonic()
        with pytest.raises(UpstreamError):
            await told(url, timeout=0.2)
    assert time.monotonic() - began < 3.0


def test_rounds_and_verdicts_are_short_on_the_wire(cloud: ServerProcess) -> None:
    whole = Whole(tokens=[5, 9, 7], prompt=3, drawing=DRAWING)
    first = Round(id="0123456789ab", at=3, draft=[7, 8, 9], whole=whole)
    httpx.post(f"{cloud.url}{PATH}", content=first.to_json()).raise_for_status()
    second = Round(id="0123456789ab", at=4, draft=[7, 8, 9, 10]).to_json()
    verdict = httpx.post(f"{cloud.url}{PATH}", content=second)
    assert len(second) < 60 and len(verdict.content) < 140, verdict.content
