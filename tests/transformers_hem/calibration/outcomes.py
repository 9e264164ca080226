"""What the embedded pair made of 24,000 held-out questions: asked once, kept for the tests.

python -m tests.transformers_hem.calibration.outcomes    (3 minutes on two cores)
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from predictors.embedded import directory
from predictors.embedded.workshop.questions import Question, held_out_questions
from tests.conftest import ROOT

FILE = ROOT / "tests" / "data" / "embedded_outcomes.npz"
COUNT = 24_000
SEED = 11
LOGPROBS = ("mean_logprob", "min_logprob")


@dataclass(frozen=True)
class Outcomes:
    """`edge`, `cloud`: right or wrong, [N]; the log-probabilities are the edge's own, nats, [N]."""

    queries: list[str]
    edge: NDArray[np.float64]
    cloud: NDArray[np.float64]
    mean_logprob: NDArray[np.float64]
    min_logprob: NDArray[np.float64]


def fingerprint(questions: list[Question]) -> str:
    """Changes with the questions and with either model."""
    asked = "".join(f"{question.id}\n{question.answer}\n" for question in questions).encode()
    weights = [(directory(name) / "model.safetensors").read_bytes() for name in ("edge", "cloud")]
    return hashlib.sha256(b"".join([asked, *weights])).hexdigest()


def read() -> Outcomes:
    questions = held_out_questions(COUNT, SEED)
    with np.load(FILE) as kept:
        assert kept["fingerprint"].item() == fingerprint(questions), (
            f"{FILE.name} is of another pair or other questions; "
            "run python -m tests.transformers_hem.calibration.outcomes"
        )
        right = np.unpackbits(kept["right"], axis=1, count=COUNT).astype(np.float64)
        logprobs = [kept[name].astype(np.float64) for name in LOGPROBS]
    return Outcomes([question.query for question in questions], right[0], right[1], *logprobs)


def main(out: Path = FILE) -> None:
    from predictors.embedded.workshop.labels import label

    questions = held_out_questions(COUNT, SEED)
    made = fingerprint(questions)
    rows = label(questions, directory("edge"), directory("cloud"))
    right = [[row[f"{name}_correct"] for row in rows] for name in ("edge", "cloud")]
    np.savez_compressed(
        out,
        fingerprint=np.array(made),
        right=np.packbits(np.array(right, dtype=np.uint8), axis=1),
        allow_pickle=False,
        **{n: np.array([row[f"edge_{n}"] for row in rows], dtype=np.float16) for n in LOGPROBS},
    )
    print(f"{out}: right {np.mean(right, axis=1).round(4).tolist()}")


if __name__ == "__main__":
    main()
