"""What importers write is what the other commands read."""

import asyncio
from pathlib import Path

import pytest

from inferencegraph.evaluate.datasets import read_data
from inferencegraph.evaluate.importing.rows import Pair
from tests.conftest import ROOT
from tests.inferencegraph.evaluate.importing import SMALL_AND_BIG, imported
from transformers_hem.labels.job import Job, Watcher, label
from transformers_hem.labels.labels import read_labels, read_queries
from transformers_hem.labels.question import read_questions
from transformers_hem.labels.scorers.options import make_scorer, require_scorable
from transformers_hem.routers.training import train

NINE_MODELS = ROOT.parent / "shared" / "data" / "llmrouter_9models.jsonl.gz"
VENDOR = Pair("small", "vendor/big")


@pytest.mark.parametrize(
    ("format", "file", "scorer"),
    [
        ("mmlu", "mmlu", "multiple_choice"),
        ("cmmlu", "cmmlu", "multiple_choice"),
        ("gsm8k", "gsm8k.jsonl", "numeric"),
        ("ianvs", "ianvs", "exact_match"),
    ],
)
def test_questions_are_taken_by_label_and_evaluate(
    tmp_path: Path, format: str, file: str, scorer: str
) -> None:
    rows, _ = imported(tmp_path, format, file)
    out = tmp_path / "rows.jsonl"
    questions = read_questions(out, None)
    require_scorable(make_scorer(scorer, []), scorer, questions)
    assert [question.id for question in questions] == [row["id"] for row in rows]
    references = [item.question.references[0] for item in read_data(out).items]
    assert references == [row["reference"] for row in rows]


@pytest.mark.parametrize(
    ("format", "files", "pair", "edge", "cloud"),
    [
        ("routerbench", ["routerbench.csv"], VENDOR, [0, 1], [1, 0.25]),
        ("mixinstruct", ["mixinstruct.json"], SMALL_AND_BIG, [-3.5, -1], [-1.25, -1.5]),
        ("mt-bench", ["mt_bench"], SMALL_AND_BIG, [6, 10], [9, 10]),
        (
            "routerarena",
            ["routerarena_small.jsonl", "routerarena_big.jsonl"],
            SMALL_AND_BIG,
            [0, 1],
            [1, 1],
        ),
        ("llmrouter", ["llmrouter.jsonl"], SMALL_AND_BIG, [0, 0], [1, 1]),
    ],
)
def test_scores_of_a_pair_are_taken_by_train_and_calibrate(
    tmp_path: Path,
    format: str,
    files: list[str],
    pair: Pair,
    edge: list[float],
    cloud: list[float],
) -> None:
    imported(tmp_path, format, *files, pair=pair)
    labels = read_labels(tmp_path / "rows.jsonl")
    assert labels.edge.tolist() == edge and labels.cloud.tolist() == cloud


def test_winners_are_taken_by_train(tmp_path: Path) -> None:
    imported(tmp_path, "mt-bench", "mt_bench", pair=SMALL_AND_BIG, options=["judged=pair"])
    assert read_labels(tmp_path / "rows.jsonl").edge.tolist() == [0, 0.5, 1]


@pytest.mark.parametrize(
    ("format", "file"),
    [
        ("openai-chat", "openai_chat.jsonl"),
        ("litellm", "litellm.csv"),
        ("semantic-router", "semantic_router.jsonl"),
        ("text", "lines.txt"),
    ],
)
def test_logs_are_taken_by_score_and_label_does_not_ask_for_the_answers_they_have(
    tmp_path: Path, format: str, file: str
) -> None:
    rows, _ = imported(tmp_path, format, file)
    out = tmp_path / "rows.jsonl"
    assert [row["id"] for _, row in read_queries(out)] == [row["id"] for row in rows]
    for row, question in zip(rows, read_questions(out, None), strict=True):
        answer = question.answers.get("cloud")
        assert (answer.text if answer else None) == row.get("cloud_answer")
        if answer and "cloud_prompt_tokens" in row:
            assert answer.prompt_tokens == row["cloud_prompt_tokens"]


def test_recorded_answers_are_scored_anew_by_label(tmp_path: Path) -> None:
    files = ("routerarena_small.jsonl", "routerarena_big.jsonl")
    imported(tmp_path, "routerarena", *files, pair=SMALL_AND_BIG)
    job = Job(tmp_path / "rows.jsonl", tmp_path / "labels.jsonl", "multiple_choice")
    result = asyncio.run(label(job, Watcher()))
    assert (result.summary.edge, result.summary.cloud, result.asked) == (1, 1, 0)


@pytest.mark.slow
@pytest.mark.skipif(not NINE_MODELS.exists(), reason="needs ../shared/data")
def test_a_router_is_trained_on_recorded_scores_of_nine_models(tmp_path: Path) -> None:
    pair = Pair("qwen2.5-7b-instruct", "llama-3.3-nemotron-super-49b-v1")
    rows, report = imported(tmp_path, "llmrouter", NINE_MODELS, pair=pair, limit=100)
    assert report.read == 5419 and len(rows) == 100
    metrics = train(tmp_path / "rows.jsonl", "LinearRouter", tmp_path / "router")
    assert metrics["rows"] == 100 and (tmp_path / "router" / "config.json").exists()
