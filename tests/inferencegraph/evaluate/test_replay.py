"""Recorded answers, routed anew by each kind of system."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inferencegraph.evaluate.datasets import DataSet, read_data
from inferencegraph.evaluate.outcome import Outcome
from inferencegraph.evaluate.replay import NO_SIGNAL, replay
from inferencegraph.evaluate.systems import SystemEntry, systems_of
from predictors.errors import ConfigurationError

ROWS: list[dict[str, Any]] = [
    {
        "id": n,
        "query": f"question {n}",
        "edge_correct": n % 2 == 0,
        "cloud_correct": n % 3 != 0,
        "edge_mean_logprob": -n / 10,
        "edge_prompt_tokens": 7,
        "edge_completion_tokens": 3,
        "cloud_prompt_tokens": 8,
        "edge_latency": 0.5,
        "cloud_latency": 2.0,
        "cloud_time_to_first_token": 1.0,
    }
    for n in range(12)
]


@pytest.fixture
def data(tmp_path: Path) -> DataSet:
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(map(json.dumps, ROWS)))
    return read_data(path)


def routed(data: DataSet, entry: dict[str, Any] | str, epsilon: float = 0.0) -> list[Outcome]:
    given = {"algorithm": entry} if isinstance(entry, str) else entry
    (system,) = systems_of([SystemEntry.model_validate(given)])
    edge = [item.recorded["edge"] for item in data.items]
    cloud = [item.recorded["cloud"] for item in data.items]
    return replay(system, data.items, edge, cloud, epsilon)


@pytest.mark.parametrize(("name", "side"), [("EdgeOnly", "edge"), ("CloudOnly", "cloud")])
def test_the_two_ends_take_one_side_whole(data: DataSet, name: str, side: str) -> None:
    outcomes = routed(data, name)
    assert {outcome.route for outcome in outcomes} == {side}
    assert [o.quality for o in outcomes] == [float(row[f"{side}_correct"]) for row in ROWS]


def test_the_oracle_leaves_the_edge_only_where_the_cloud_does_better(data: DataSet) -> None:
    outcomes = routed(data, "OracleRouter")
    for row, outcome in zip(ROWS, outcomes, strict=True):
        better = row["cloud_correct"] and not row["edge_correct"]
        assert outcome.route == ("cloud" if better else "edge")
        assert outcome.quality == max(row["edge_correct"], row["cloud_correct"])


def test_an_answer_that_may_be_worse_by_epsilon_stays(data: DataSet) -> None:
    assert {o.route for o in routed(data, "OracleRouter", epsilon=1.0)} == {"edge"}


def test_a_query_stage_router_asks_one_side_alone(data: DataSet) -> None:
    outcomes = routed(data, {"algorithm": "RandomRouter", "threshold": 0.5})
    assert {outcome.route for outcome in outcomes} == {"edge", "cloud"}
    for outcome in outcomes:
        hard = outcome.difficulty is not None and outcome.difficulty > 0.5
        assert outcome.route == ("cloud" if hard else "edge")
        assert outcome.seconds == (2.0 if hard else 0.5)
        assert outcome.edge_prompt_tokens == (None if hard else 7)
        assert outcome.reason == "RandomRouter"


def test_an_answer_stage_router_pays_for_the_edge_first(data: DataSet) -> None:
    entry = {"algorithm": "ConfidenceRouter", "threshold": 0.3}
    outcomes = routed(data, entry)
    hard = [outcome for outcome in outcomes if outcome.route == "cloud"]
    assert 0 < len(hard) < len(outcomes)
    for outcome in hard:
        assert (outcome.seconds, outcome.time_to_first_token) == (2.5, 1.5)
        assert (outcome.edge_prompt_tokens, outcome.cloud_prompt_tokens) == (7, 8)
    difficulties = [o.difficulty for o in outcomes if o.difficulty is not None]
    assert difficulties == sorted(difficulties)  # the less likely, the harder


def test_a_row_without_the_signal_goes_to_the_cloud(tmp_path: Path) -> None:
    rows = [dict(row) for row in ROWS]
    del rows[3]["edge_mean_logprob"]
    path = tmp_path / "rows"
    path.write_text("\n".join(map(json.dumps, rows)))
    outcomes = routed(read_data(path), {"algorithm": "ConfidenceRouter", "threshold": 1.0})
    assert [o.reason for o in outcomes].count(NO_SIGNAL) == 1
    assert (outcomes[3].route, outcomes[3].difficulty) == ("cloud", None)
    assert {o.route for o in outcomes[:3]} == {"edge"}


def test_lists_of_parameters_make_a_system_of_each_combination() -> None:
    entry = SystemEntry.model_validate(
        {"algorithm": "RandomRouter", "parameters": {"seed": [1, 2]}, "threshold": [0.2, 0.4, 0.6]}
    )
    names = [system.name for system in systems_of([entry])]
    assert len(set(names)) == 6
    assert "RandomRouter (seed=2, threshold=0.4)" in names


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ([{"algorithm": "NoSuch"}], "unknown"),
        ([{"algorithm": "RandomRouter"}], "no threshold of its own"),
        ([{"algorithm": "RandomRouter", "parameters": {"sed": 1}}], "no parameter 'sed'"),
        ([{"algorithm": "EdgeOnly"}, {"algorithm": "EdgeOnly"}], "two are called 'EdgeOnly'"),
        ([{"algorithm": "OracleRouter", "threshold": 0.5}], "takes no parameters here"),
        ([{"router": "/no/such/router"}], "/no/such/router"),
        (
            [
                {
                    "algorithm": "RandomRouter",
                    "parameters": {"seed": list(range(201))},
                    "threshold": 0.5,
                }
            ],
            "201 of them",
        ),
    ],
)
def test_a_system_that_cannot_be_is_named(entries: list[dict[str, Any]], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        systems_of([SystemEntry.model_validate(entry) for entry in entries])


def test_scores_of_a_replay_are_those_that_are_served(data: DataSet) -> None:
    from transformers_hem.algorithms.row_fields import score_rows

    (system,) = systems_of([SystemEntry(router="embedded:general", threshold=(0.5,))])
    outcomes = routed(data, {"router": "embedded:general", "threshold": 0.5})
    assert system.algorithm is not None
    scores = score_rows(system.algorithm, [{"query": row["query"]} for row in ROWS])
    assert np.allclose([o.difficulty for o in outcomes if o.difficulty is not None], scores)
