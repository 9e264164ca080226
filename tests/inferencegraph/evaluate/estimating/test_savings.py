"""What is saved, against sums by hand."""

import numpy as np
import pytest

from inferencegraph.evaluate.estimating.labelling import Labelled
from inferencegraph.evaluate.estimating.log import LoggedRow
from inferencegraph.evaluate.estimating.savings import Pricing, latency, savings
from predictors.contract import Answer
from predictors.contract.usage import Usage
from predictors.errors import ConfigurationError
from predictors.prices import Price, Prices
from transformers_hem.labels.question import read_question
from transformers_hem.labels.scorers.base import Pair


def row(**facts: object) -> LoggedRow:
    question = read_question({"query": "one?", "cloud_answer": "1"}, "log.jsonl, line 3")
    return LoggedRow(question, **facts)  # type: ignore[arg-type]


ANSWER = Answer("1", prompt_tokens=10, completion_tokens=4, served_by="small")
LABELLED = [Labelled(row(), Pair(1, 1), ANSWER, seconds) for seconds in (0.1, 0.2, 0.6)]


def test_what_stays_at_the_edge_costs_what_the_edge_costs() -> None:
    pricing = Pricing("USD", cloud=Price(input=2, output=8), edge=Price(input=0.5, output=1))
    rows = [row(usage=Usage(100, 0, n)) for n in (10, 20, 30, 40)] + [row()]
    found = savings(
        pricing, pricing.of_rows(rows), np.array([0.1, 0.2, 0.9, np.inf, 0.1]), 0.5, LABELLED, 0.9
    )
    assert found is not None
    at_edge = (10 * 0.5 + 4) / 1e6
    bills = [(200 + 8 * n) / 1e6 for n in (10, 20, 30, 40)]
    assert found.rows == 4  # the last one tells no tokens
    assert found.spent == pytest.approx(sum(bills) / 4)
    assert found.saved == pytest.approx((bills[0] + bills[1] - 2 * at_edge) / 4)
    assert found.interval.low <= found.saved <= found.interval.high == found.spent


def test_the_rows_own_costs_count_without_prices() -> None:
    rows = [row(cost=cost) for cost in (1.0, 2.0)]
    pricing = Pricing()
    found = savings(pricing, pricing.of_rows(rows), np.array([0.1, 0.9]), 0.5, [], 0.9)
    assert found is not None
    assert (found.spent, found.saved) == (1.5, 0.5)
    assert savings(pricing, pricing.of_rows([row()]), np.array([0.1]), 0.5, [], 0.9) is None


def test_intervals_narrow_with_the_rows() -> None:
    rng = np.random.default_rng(0)
    costs, scores = rng.random(2000), rng.random(2000)
    found = savings(Pricing(), costs, scores, 0.5, [], 0.9)
    assert found is not None
    off = 1.645 * np.where(scores <= 0.5, costs, 0).std() / np.sqrt(2000)
    assert found.interval == pytest.approx((found.saved - off, found.saved + off), rel=1e-3)


@pytest.mark.parametrize(
    ("model", "option", "said"),
    [
        (None, None, "line 3: it names no model of the cloud"),
        ("lagre", None, "no price of the cloud's model 'lagre'; .*did you mean 'large'"),
        ("large", "huge", None),
        ("other", "large", None),
    ],
)
def test_models_are_looked_up_in_the_price_file(
    model: str | None, option: str | None, said: str | None
) -> None:
    prices = Prices(currency="EUR", models={"large": Price(input=1, output=1)})
    pricing = Pricing("EUR", prices=prices, cloud_model=option)
    given = row(model=model, usage=Usage(10, 0, 10))
    if said is None:
        assert pricing.of_row(given) == pytest.approx(20 / 1e6)
        return
    with pytest.raises(ConfigurationError, match=said):
        pricing.of_row(given)


def test_times_are_those_of_the_queries_that_stay() -> None:
    rows = [row(latency=seconds) for seconds in (1.0, 3.0, 9.0)] + [row()]
    found = latency(rows, np.array([0.1, 0.2, 0.9, 0.3]), 0.5, LABELLED)
    assert found is not None
    assert (found.edge_median, found.edge_answers) == (0.2, 3)
    assert (found.cloud_median, found.cloud_answers) == (2.0, 2)
    assert found.change == pytest.approx(0.75 * (0.3 - 2.0))
    assert latency(rows, np.zeros(4), 0.5, []) is None
    untold = latency([row()], np.zeros(1), 0.5, LABELLED)
    assert untold is not None and untold.cloud_median is None
