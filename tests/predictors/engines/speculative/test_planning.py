"""Who answers where the server that checks can't be asked."""

import asyncio
from typing import Any

import pytest

from predictors.contract import Query, Sampling
from predictors.contract.openai.errors import InvalidField
from predictors.contract.speculation import VerifyModel
from predictors.engines.speculative.drafting import Drafting
from predictors.engines.speculative.planning import Planner
from predictors.engines.speculative.policy import Always
from predictors.engines.speculative.settings import SpeculativeSettings
from predictors.errors import UpstreamError
from predictors.upstream.ledger.decision import decided
from tests.predictors.engines.speculative.scripted import ScriptedDrafter, ScriptedVerifier

ASKED = Query("x", Sampling())


class Down(ScriptedVerifier):
    """It is known to be so once `gate` is open."""

    def __init__(self) -> None:
        super().__init__([])
        self.asked = 0
        self.gate = asyncio.Event()

    async def model(self, near: object = None) -> VerifyModel:
        self.asked += 1
        await self.gate.wait()
        raise UpstreamError("it is down")


def planner(verifier: Down) -> Planner:
    given: dict[str, Any] = {"url": "http://scripted", "model_dir": "embedded:long-edge"}
    nothing: Any = None  # no model is looked at
    drafting = Drafting(nothing, ScriptedDrafter([]))
    return Planner(SpeculativeSettings(**given), drafting, verifier, Always())


async def test_queries_that_wait_for_the_same_answer_are_refused_with_it() -> None:
    far = Down()
    made = planner(far)
    queries = [asyncio.ensure_future(made.plan(ASKED)) for _ in range(5)]
    await asyncio.sleep(0.01)
    far.gate.set()
    said = await asyncio.gather(*queries, return_exceptions=True)
    assert [type(each) for each in said] == [UpstreamError] * 5
    assert far.asked == 1


async def test_while_one_query_asks_again_no_other_waits_for_it() -> None:
    far = Down()
    made = planner(far)
    far.gate.set()
    with pytest.raises(UpstreamError):
        await made.plan(ASKED)
    far.gate.clear()
    again = asyncio.ensure_future(made.plan(ASKED))
    await asyncio.sleep(0.01)
    with pytest.raises(UpstreamError, match="it is down"):
        await asyncio.wait_for(made.plan(ASKED), 5)
    assert (far.asked, again.done()) == (2, False)
    far.gate.set()
    with pytest.raises(UpstreamError):
        await again


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        (Query("x", options={"tools": []}), "tools"),
        (Query("x", echo=True), "echo"),
        (Query("x", top_logprobs=2), "logprobs"),
    ],
)
async def test_what_the_small_model_can_not_take_names_the_field(asked: Query, field: str) -> None:
    """So that a gateway may ask the cloud, where nothing private is in it."""
    far = Down()
    made = planner(far)
    with decided({"hem_route": "edge"}), pytest.raises(InvalidField) as error:
        await made.plan(asked)
    assert (error.value.param, error.value.code, far.asked) == (field, "unsupported", 0)
