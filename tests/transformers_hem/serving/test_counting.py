"""Guards that count, in V2: a decision for the cloud takes an estimate, which stands, as nobody
here sees what the cloud answers."""

from pathlib import Path
from typing import Any

import orjson
import pytest
from kserve import InferInput, InferRequest

from tests.transformers_hem.guards.budget.budgets import budget
from transformers_hem.algorithms.base import Batch
from transformers_hem.guards.admission import KeptAtEdge, usage_of_texts
from transformers_hem.guards.base import Guard
from transformers_hem.guards.rate import RateGuard, RateParameters
from transformers_hem.serving.query_stage import MiningThenInference
from transformers_hem.serving.settings import HEMSettings, build_decider


def mining(algorithm: str = "CloudOnly", **guards: Guard) -> MiningThenInference:
    decider = build_decider(HEMSettings(algorithm=algorithm))
    decider.guards = guards
    return MiningThenInference("m", decider)


async def mined(
    model: MiningThenInference,
    *texts: str,
    headers: dict[str, str] | None = None,
    **parameters: Any,
) -> tuple[str, str]:
    tensor = InferInput("text_input", [len(texts)], "BYTES", data=list(texts))
    request = InferRequest("m", [tensor], parameters=parameters)
    answer = orjson.loads(await model.predict(request, headers))["parameters"]
    return answer["hem_route"], answer["hem_reason"]


CLOUD, KEPT = ("cloud", "algorithm"), ("edge", "BudgetGuard")


async def test_so_many_requests_go_to_the_cloud(tmp_path: Path) -> None:
    model = mining(BudgetGuard=budget(tmp_path / "b", requests=2))
    assert [await mined(model, "x") for _ in range(4)] == [CLOUD, CLOUD, KEPT, KEPT]


async def test_the_verdict_is_that_of_the_guard_that_refused(tmp_path: Path) -> None:
    guards = {"RateGuard": RateGuard(RateParameters(calls=9))}
    decider = mining(**guards, BudgetGuard=budget(tmp_path / "b", requests=1)).decider
    decision = decider.judge(Batch(1, ("x",)))
    assert decision.guards == "RateGuard@1=clear BudgetGuard@1=clear"
    assert decision.kept("BudgetGuard").guards == "RateGuard@1=clear BudgetGuard@1=edge"


async def test_the_estimate_is_of_all_rows_and_what_they_may_say(tmp_path: Path) -> None:
    guard = budget(tmp_path / "b", tokens=1000)
    model = mining(BudgetGuard=guard)
    texts = ("What is 2 + 2?", "grüß dich")
    assert await mined(model, *texts, max_tokens=200) == CLOUD
    usage = usage_of_texts(texts, {"max_tokens": 200})
    assert usage.completion_tokens == 400
    assert guard.left() == {"tokens": 1000 - 400 - usage.prompt_tokens}
    assert await mined(model, "x") == CLOUD  # 512, the contract's default
    assert await mined(model, "x") == KEPT
    assert await mined(model, "x", max_tokens=10) == CLOUD


async def test_what_stays_at_the_edge_costs_nothing(tmp_path: Path) -> None:
    guard = budget(tmp_path / "b", requests=2)
    model = mining("EdgeOnly", BudgetGuard=guard)
    assert [await mined(model, "x") for _ in range(3)] == [("edge", "algorithm")] * 3
    assert guard.left() == {"requests": 2}


async def test_the_caller_wins_unless_the_budget_is_hard(tmp_path: Path) -> None:
    model = mining(BudgetGuard=budget(tmp_path / "b", requests=1))
    for _ in range(3):
        assert await mined(model, "x", hem_prefer="cloud") == ("cloud", "prefer")
    hard = mining(BudgetGuard=budget(tmp_path / "hard", requests=1, hard=True))
    assert await mined(hard, "x", hem_prefer="cloud") == ("cloud", "prefer")
    with pytest.raises(KeptAtEdge, match="has no room") as kept:
        await mined(hard, "x", hem_prefer="cloud")
    assert kept.value.status == 429
    assert await mined(hard, "x", hem_prefer="edge") == ("edge", "prefer")


async def test_a_guard_that_refuses_takes_nothing_from_the_one_before(tmp_path: Path) -> None:
    counted = budget(tmp_path / "b", requests=5)
    model = mining(BudgetGuard=counted, RateGuard=RateGuard(RateParameters(calls=1, hard=True)))
    assert await mined(model, "x") == CLOUD
    with pytest.raises(KeptAtEdge):
        await mined(model, "x", hem_prefer="cloud")
    assert counted.left() == {"requests": 4}


async def test_a_client_is_told_by_the_header_that_a_setting_names() -> None:
    model = mining(RateGuard=RateGuard(RateParameters(calls=1, window=3600)))
    model.client_header = "X-Tenant"
    for tenant in ("a", "b"):
        asked = [await mined(model, "x", headers={"x-tenant": tenant}) for _ in range(2)]
        assert asked == [CLOUD, ("edge", "RateGuard")]
