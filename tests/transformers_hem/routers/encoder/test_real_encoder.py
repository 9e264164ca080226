"""all-MiniLM-L6-v2: a real encoder in the files that its makers published."""

from pathlib import Path

import numpy as np
import pytest

from transformers_hem.routers.encoder.directory import EncoderDirectory
from transformers_hem.routers.encoder.runner import FairRunner, QueryTokens, open_network
from transformers_hem.routers.knn.score import Neighbours, embed

LABELLED = (
    "What is the derivative of x^2?",
    "Solve the integral of sin(x).",
    "Who wrote Hamlet?",
    "Name a play by Shakespeare.",
)


@pytest.fixture(scope="module")
def runner(minilm: Path) -> FairRunner:
    directory = EncoderDirectory.open(str(minilm))
    return FairRunner(
        QueryTokens(directory), open_network(directory, "torch", output="states", threads=0)
    )


def test_what_is_near_in_meaning_is_near(runner: FairRunner) -> None:
    labelled = Neighbours(embed(runner.run(LABELLED)), np.array([1.0, 1.0, 0.0, 0.0]))
    queries = embed(runner.run(["Differentiate x squared.", "Which author made Macbeth?"]))
    assert np.linalg.norm(queries, axis=1) == pytest.approx([1, 1], abs=1e-6)
    calculus, plays = labelled.difficulty(queries, k=2, temperature=0.05)
    assert (calculus, plays) == (pytest.approx(1), pytest.approx(0))
    graded = labelled.difficulty(queries, k=4, temperature=0.1)
    assert graded[0] > 0.9 and graded[1] < 0.1


def test_padding_does_not_move_an_embedding(runner: FairRunner) -> None:
    together = embed(runner.run([LABELLED[2], "what " * 300]))
    assert together[0] == pytest.approx(embed(runner.run([LABELLED[2]]))[0], abs=1e-5)


def test_the_limit_is_the_model_s_not_the_one_its_tokenizer_came_with(minilm: Path) -> None:
    """Its tokenizer.json cuts at 128; the model has 512 positions."""
    rows = QueryTokens(EncoderDirectory.open(str(minilm))).rows(["what " * 600])
    assert len(rows[0]) == 512
    assert len(QueryTokens(EncoderDirectory.open(str(minilm), 256)).rows(["what " * 600])[0]) == 256
