"""The judge of the faults: what it calls wrong, and that nothing is right by itself."""

import asyncio
from typing import Any

import httpx
import pytest

from tests.faults.caller import Seen
from tests.faults.provider import Provider
from tests.faults.rows import ROWS, Clock
from tests.faults.scripts import well
from tests.faults.stage import TEXTS, Proxy, Stage, providers
from tests.faults.verdicts import Played, not_honest, not_whole

FIRST, SECOND = TEXTS
HALF = FIRST[: len(FIRST) // 2]
ERROR = {"message": "it broke", "type": "server_error"}


def seen(**fields: Any) -> Seen:
    whole = {"status": 200, "text": FIRST, "finish": "stop", "done": True}
    return Seen(0.0, streamed=True, **{**whole, **fields})


def played(*asked: Seen) -> Played:
    primary = Provider("a", FIRST, (1, 1), well)
    return Played(asked, primary, Provider("b", SECOND, (1, 1), well), limit=1.0)


@pytest.mark.parametrize("text", TEXTS)
def test_the_whole_text_of_either_provider_is_an_answer(text: str) -> None:
    assert not_whole(seen(text=text), played()) == ""


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"text": HALF}, "truncated, called a success"),
        ({"text": ""}, "no text, called a success"),
        ({"text": HALF + FIRST}, "words twice, called a success"),
        ({"text": FIRST.replace("alpha12 ", "")}, "a hole"),
        ({"text": HALF + SECOND[len(HALF) :]}, "a text of both"),
        ({"finish": None}, "finish_reason None"),
        ({"done": False}, "no [DONE]"),
        ({"broken": "the connection ended"}, "lost: the connection ended"),
        ({"text": HALF, "error": ERROR}, "an error, and finish_reason stop"),
        ({"text": HALF, "error": ERROR, "finish": None}, "an error, and [DONE] behind it"),
        ({"error": "it broke", "finish": None, "done": False}, "not of OpenAI's shape"),
    ],
)
def test_neither_an_answer_nor_an_error(fields: dict[str, Any], why: str) -> None:
    assert why in not_honest(seen(**fields), played())


def test_an_error_without_an_end_is_honest_and_no_answer() -> None:
    broken = seen(text=HALF, error=ERROR, finish=None, done=False)
    assert not_honest(broken, played()) == ""
    assert not_whole(broken, played()) == "an error: it broke"


# What a caller who asks a provider without any proxy has to put up with.
RIGHT_ALONE = {"first token after 20 s", "context length exceeded", "content filter"}


@pytest.mark.slow
async def test_without_a_proxy_nearly_all_is_wrong() -> None:
    clock = Clock(0.1)
    async with httpx.AsyncClient(timeout=None) as client:

        async def right(row: Any) -> bool:
            async with providers() as (primary, fallback):
                proxy = Proxy("nobody", primary.url.removesuffix("/v1"), primary.model)
                stage = Stage(proxy, primary, fallback, clock, client)
                verdicts = [case.right(await stage.play(case), clock) for case in row.cases]
            return not any(verdicts)

        verdicts = await asyncio.gather(*map(right, ROWS))
    assert {row.name for row, good in zip(ROWS, verdicts, strict=True) if good} == RIGHT_ALONE
