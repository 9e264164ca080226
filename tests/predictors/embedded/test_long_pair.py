"""The shipped pair with long answers: what a cascade and a speculation need of it."""

import pytest
from transformers import AutoTokenizer

from predictors.embedded import PAIRS, directory
from predictors.embedded.workshop.answering import DirectModel, Reply
from predictors.embedded.workshop.labels import FRESH_SEED, LONG_LABELS_FILE, fresh_questions
from predictors.embedded.workshop.prefixes import agreement, error_auc
from predictors.embedded.workshop.questions import LONG, Question, is_right, test_questions
from predictors.jsonl import read_rows

EDGE, CLOUD = PAIRS["long"]


@pytest.fixture(scope="module")
def questions() -> list[Question]:
    return test_questions(LONG)


@pytest.fixture(scope="module")
def replies(questions: list[Question]) -> dict[str, list[Reply]]:
    queries = [question.query for question in questions]
    return {
        name: DirectModel(directory(name), LONG.longest_answer).ask(queries)
        for name in (EDGE, CLOUD)
    }


@pytest.fixture(scope="module")
def right(questions: list[Question], replies: dict[str, list[Reply]]) -> dict[str, list[bool]]:
    return {
        name: [is_right(reply.text, q) for reply, q in zip(given, questions, strict=True)]
        for name, given in replies.items()
    }


def share(values: list[bool]) -> float:
    return sum(values) / len(values)


def test_the_cloud_model_is_right_nine_times_in_ten(right: dict[str, list[bool]]) -> None:
    assert share(right[CLOUD]) >= 0.90


def test_the_edge_model_is_right_about_a_third_of_the_time(right: dict[str, list[bool]]) -> None:
    assert 0.25 <= share(right[EDGE]) <= 0.50


def test_the_edge_model_is_better_at_the_easy_questions_than_at_the_hard(
    questions: list[Question], right: dict[str, list[bool]]
) -> None:
    def edge(*difficulties: int) -> float:
        asked = zip(questions, right[EDGE], strict=True)
        return share([ok for question, ok in asked if question.difficulty in difficulties])

    assert edge(1, 2) >= edge(4, 5) + 0.1


@pytest.mark.parametrize("name", [EDGE, CLOUD])
def test_an_answer_that_is_right_has_at_least_64_tokens(
    name: str, replies: dict[str, list[Reply]], right: dict[str, list[bool]]
) -> None:
    lengths = [len(r.tokens) for r, ok in zip(replies[name], right[name], strict=True) if ok]
    assert min(lengths) > 64  # the end token is one of them


@pytest.mark.parametrize("name", [EDGE, CLOUD])
def test_every_answer_ends_by_itself(name: str, replies: dict[str, list[Reply]]) -> None:
    end = AutoTokenizer.from_pretrained(directory(name)).eos_token_id
    ended = [reply.tokens[-1] == end for reply in replies[name]]
    assert share(ended) >= 0.99


def test_the_first_tokens_tell_of_an_error_but_not_all(
    replies: dict[str, list[Reply]], right: dict[str, list[bool]]
) -> None:
    aucs = [error_auc(replies[EDGE], right[EDGE], length, "mean") for length in (8, 16, 32, None)]
    assert aucs[0] >= 0.6 and aucs[2] < aucs[3]
    assert all(auc < 0.995 for auc in aucs)


def test_the_edge_would_mostly_write_the_clouds_next_token(
    questions: list[Question], replies: dict[str, list[Reply]]
) -> None:
    edge = DirectModel(directory(EDGE))
    queries = [question.query for question in questions[:100]]
    assert 0.8 <= agreement(edge, queries, replies[CLOUD][:100]) < 1


def test_what_a_model_would_write_next_is_what_it_wrote(
    questions: list[Question], replies: dict[str, list[Reply]]
) -> None:
    edge = DirectModel(directory(EDGE))
    queries = [question.query for question in questions[:20]]
    assert agreement(edge, queries, replies[EDGE][:20]) >= 0.999


def test_labels_are_of_training_questions_and_say_what_each_model_did() -> None:
    rows = [row for _, row in read_rows(LONG_LABELS_FILE)]
    fresh = fresh_questions(len(rows), FRESH_SEED, LONG)
    assert [(row["id"], row["query"]) for row in rows] == [(q.id, q.query) for q in fresh]
    assert not {row["query"] for row in rows} & {q.query for q in test_questions(LONG)}
    asked = fresh[:100]
    replies = DirectModel(directory(EDGE), LONG.longest_answer).ask([q.query for q in asked])
    same = [
        is_right(reply.text, q) == row["edge_correct"]
        for reply, q, row in zip(replies, asked, rows[:100], strict=True)
    ]
    assert share(same) >= 0.98
