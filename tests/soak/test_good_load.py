"""What counts as right, wrong, an error and lost: the soak's own measure."""

import asyncio
import contextlib
import itertools
import json
import time
from typing import Any

import httpx
import pytest

from predictors.contract import Query, Sampling
from tests.soak.good_load import GoodLoad, judge
from tests.soak.network import Network
from tests.soak.soak_engine import SoakEngine, SoakSettings

ALONE = {("edge", "q"): "small", ("cloud", "q"): "large", ("edge", "other"): "else"}


def answer(*texts: Any, served_by: object = "edge") -> dict[str, Any]:
    output = {"name": "text_output", "datatype": "BYTES", "shape": [len(texts)], "data": texts}
    return {"model_name": "m", "outputs": [output], "parameters": {"served_by": served_by}}


def judged(body: Any, status: int = 200) -> str:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return judge(status, content, "q", ALONE)[0]


def test_right_is_what_the_model_named_answers_alone() -> None:
    assert judged(answer("small")) == "right"
    assert judged(answer("large", served_by="cloud")) == "right"


@pytest.mark.parametrize(
    "body",
    [
        answer("large"),
        answer("small", served_by="cloud"),
        answer("else"),
        answer("smal"),
        answer("small", "small"),
        answer(),
        answer(None, served_by=None),
        answer("small", served_by="nobody"),
        {"outputs": []},
        {"inputs": [], "parameters": {"served_by": "edge"}},
        {"error": "behind a 200"},
        [],
        b"small",
        b"",
    ],
)
def test_any_other_answer_is_wrong(body: Any) -> None:
    assert judged(body) == "wrong"


@pytest.mark.parametrize("status", [400, 404, 429, 500, 503])
def test_an_error_has_a_body_that_says_so(status: int) -> None:
    assert judged({"error": "no"}, status) == "error"
    assert judged({"error": {"message": "no"}}, status) == "wrong"
    assert judged(b"Internal Server Error", status) == "lost"
    assert judged(b"", status) == "lost"


async def test_questions_keep_their_rate_whatever_the_answers_take() -> None:
    async def late(request: httpx.Request) -> httpx.Response:
        query = json.loads(request.content)["inputs"][0]["data"][0]
        await asyncio.sleep(1)
        return httpx.Response(200, json=answer({"q": "small", "other": "else"}[query]))

    alone = {key: text for key, text in ALONE.items() if key[0] == "edge"}
    async with httpx.AsyncClient(transport=httpx.MockTransport(late)) as client:
        load = GoodLoad(client, "http://graph", alone, 1)
        task, began = asyncio.create_task(load.run(100)), time.monotonic()
        await asyncio.sleep(1)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await load.finish()
    assert {o.kind for o in load.outcomes} == {"right"}
    assert all(o.seconds >= 1 for o in load.outcomes)
    # It makes up for what a busy machine held up.
    due = sorted(o.at - began for o in load.outcomes)
    assert all(later - earlier < 0.0101 for earlier, later in itertools.pairwise(due))


async def test_who_gets_no_answer_is_lost() -> None:
    async with httpx.AsyncClient() as client:
        with contextlib.closing(Network("").listener()) as deaf:
            port = deaf.getsockname()[1]
            load = GoodLoad(client, f"http://127.0.0.1:{port}", ALONE, 1)
            await load._ask("q", time.monotonic())
    assert [o.kind for o in load.outcomes] == ["lost"]


async def test_the_scripted_model_answers_each_query_differently() -> None:
    engine = SoakEngine(SoakSettings(seconds=0))
    await engine.start()
    queries = [Query(text, Sampling()) for text in ("a", "b", "a")]
    a, b, again = [each.text for each in await engine.generate(queries)]
    assert a == again != b
    assert len(a) > 100
