"""The shipped models: complete and small; those with short answers as good as their card says."""

import gzip
import json
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from predictors.embedded import MODELS, PAIRS, directory
from predictors.embedded.workshop.answering import DirectModel
from predictors.embedded.workshop.evaluate import Accuracy, accuracy
from predictors.embedded.workshop.families import FAMILIES
from predictors.embedded.workshop.labels import FRESH_SEED, LABELS_FILE, fresh_questions
from predictors.embedded.workshop.questions import (
    held_out_questions,
    test_questions,
)
from predictors.errors import ConfigurationError

MEGABYTE = 1_000_000
LIMITS = {
    "edge": (1_100_000, 3 * MEGABYTE),
    "cloud": (5_000_000, 12 * MEGABYTE),
    "long-edge": (300_000, 1 * MEGABYTE),
    "long-cloud": (2_000_000, 4 * MEGABYTE),
}


@pytest.fixture(scope="module")
def results() -> dict[str, Accuracy]:
    questions = test_questions()
    return {name: accuracy(DirectModel(directory(name)), questions) for name in PAIRS["short"]}


def test_a_model_is_found_by_either_name() -> None:
    assert directory("edge") == directory("embedded:edge")
    assert directory("embedded:cloud").name == "cloud"


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match="'embedded:fog'; known: embedded:cloud, embedded"):
        directory("embedded:fog")


@pytest.mark.parametrize("name", MODELS)
def test_a_directory_has_all_that_a_server_reads(name: str) -> None:
    files = {path.name for path in directory(name).iterdir()}
    assert files >= {"config.json", "generation_config.json", "model.safetensors"}
    assert files >= {"tokenizer.json", "tokenizer_config.json"}
    assert json.loads((directory(name) / "config.json").read_text())["model_type"] == "llama"


@pytest.mark.parametrize("name", MODELS)
def test_a_model_keeps_to_its_size(name: str) -> None:
    parameters, size = LIMITS[name]
    assert AutoModelForCausalLM.from_pretrained(directory(name)).num_parameters() <= parameters
    assert sum(path.stat().st_size for path in directory(name).iterdir()) <= size


@pytest.mark.parametrize("name", MODELS)
def test_weights_stored_as_float16_are_loaded_as_float32(name: str) -> None:
    assert AutoModelForCausalLM.from_pretrained(directory(name)).dtype == torch.float32


@pytest.mark.parametrize("name", MODELS)
def test_the_tokenizer_gives_back_any_text(name: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(directory(name))
    for text in ("What is 47 + 385?", "héllo wörld 🙂\n\tx  y", "日本語", "\x00"):
        assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


@pytest.mark.parametrize("name", MODELS)
def test_operands_are_seen_piece_by_piece(name: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(directory(name))
    pieces = tokenizer.tokenize("Reverse the word PLANET. 3852.5")
    assert {*"PLANET", *"3852"} <= set(pieces)


@pytest.mark.parametrize("pair", PAIRS)
def test_both_models_of_a_pair_share_one_tokenizer(pair: str) -> None:
    tokenizers = {(directory(name) / "tokenizer.json").read_bytes() for name in PAIRS[pair]}
    assert len(tokenizers) == 1


def test_replies_come_in_the_order_of_the_queries() -> None:
    model = DirectModel(directory("cloud"))
    queries = [question.query for question in held_out_questions(45, seed=2)]
    together = [reply.text for reply in model.ask(queries)]
    assert together == [model.ask([query])[0].text for query in queries]


def test_logprobs_are_at_most_zero_and_the_lowest_is_below_the_mean() -> None:
    for reply in DirectModel(directory("edge")).ask(["What is 3 + 4?", "Copy BANANA."]):
        assert reply.min_logprob <= reply.mean_logprob <= 0


def test_the_cloud_model_is_right_nine_times_in_ten(results: dict[str, Accuracy]) -> None:
    assert results["cloud"]["all", 0] >= 0.90


def test_the_edge_model_is_right_about_half_the_time(results: dict[str, Accuracy]) -> None:
    assert 0.45 <= results["edge"]["all", 0] <= 0.75


@pytest.mark.parametrize("family", FAMILIES)
def test_each_family_has_easy_and_hard_members(family: str, results: dict[str, Accuracy]) -> None:
    edge = results["edge"]
    assert edge[family, 1] >= 0.7
    assert edge[family, 5] <= edge[family, 1] - 0.3


def test_labels_are_of_training_questions_and_say_what_each_model_did() -> None:
    rows = [json.loads(line) for line in gzip.decompress(LABELS_FILE.read_bytes()).splitlines()]
    fresh = fresh_questions(9000, FRESH_SEED)
    assert [(row["id"], row["query"]) for row in rows] == [(q.id, q.query) for q in fresh]
    assert not {row["query"] for row in rows} & {q.query for q in test_questions()}
    assert {row["edge_correct"] for row in rows} == {row["cloud_correct"] for row in rows} == {0, 1}


def test_labels_agree_with_the_shipped_models() -> None:
    lines = gzip.decompress(LABELS_FILE.read_bytes()).splitlines()[:300]
    rows = [json.loads(line) for line in lines]
    replies = DirectModel(directory("edge")).ask([row["query"] for row in rows])
    found = [reply.mean_logprob for reply in replies]
    assert found == pytest.approx([row["edge_mean_logprob"] for row in rows], abs=1e-2)


def test_everything_shipped_is_inside_the_package() -> None:
    package = Path(__file__).parents[3] / "predictors" / "embedded"
    assert directory("edge").parent == package == LABELS_FILE.parent.parent
