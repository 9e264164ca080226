"""The answer-generation example with another engine on one side, and what it answers."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from inferencegraph.read.documents import MANIFESTS
from inferencegraph.spec.examples import FOLDER, files, setup, write
from predictors.contract import HEM_ROUTE, SERVED_BY
from predictors.embedded.workshop.questions import test_questions as shipped_questions
from predictors.upstream.attempt import error_reason
from tests.inferencegraph.running_hem import RunningHem

QUESTIONS = [question.query for question in shipped_questions()[:40]]


@dataclass(frozen=True, slots=True)
class Asked:
    route: str
    served_by: str
    answer: str


@cache
def as_shipped(mode: str) -> list[Asked]:
    """What the example answers with the engine huggingface on both sides."""
    with RunningHem(["-f", str(MANIFESTS / FOLDER / mode)], timeout=300) as hem:
        return answers(hem)


def written(root: Path, mode: str, side: str, values: Mapping[str, Any]) -> Path:
    """The folder of the example by `mode`, with `values` in place of the side's own."""
    made = setup(FOLDER / mode)
    changed = replace(made, **{side: replace(getattr(made, side), **values)})
    write(root, FOLDER / mode, files(changed))
    return root / FOLDER / mode


def answers(hem: RunningHem) -> list[Asked]:
    """What the running graph says to each of QUESTIONS."""
    return [_asked(hem, question) for question in QUESTIONS]


def _asked(hem: RunningHem, question: str) -> Asked:
    response = hem.ask(question)
    assert response.status_code == 200, error_reason(response.content)
    body = response.json()
    (text,) = next(out["data"] for out in body["outputs"] if out["name"] == "text_output")
    said = body["parameters"]
    # What the escalation of the answer stage brings is the cloud's own answer: no route in it.
    return Asked(said.get(HEM_ROUTE, ""), said[SERVED_BY], text)
