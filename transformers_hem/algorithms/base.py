"""What an algorithm is: a stage, typed parameters, and a difficulty per row."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from transformers_hem.arrays import Floats
from transformers_hem.calibration.config import CalibratedConfig

Stage = Literal["query", "answer"]
Route = Literal["edge", "cloud"]
# A field of Batch that comes with the edge's answer.
Signal = Literal[
    "mean_logprob", "min_logprob", "mean_margin", "probabilities", "boxes", "answers", "samples"
]
Scores = Floats

# Scoring this many characters takes a cheap algorithm about 10 ms; more than that goes to a thread.
INLINE_CHARACTERS = 16_384
# Of a query that are scored at most, 10 to 30 ms: a longer one would take seconds and gigabytes.
SCORED_CHARACTERS = 32_768


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Leaving:
    """All of a request that would leave the edge, as JSON, for guards of privacy. `private`: its
    conversation was private before.

    `body` is what of `content` may leave with placeholders, as who sends it puts back in the answer
    what they stand for; None: nobody does. `before`: of the same chat, so that it has the same
    ones."""

    content: Any
    private: bool = False
    body: Mapping[str, Any] | None = None
    before: "Leaving | None" = None


@dataclass(frozen=True, slots=True)
class Batch:
    """The N rows of one request, as an algorithm sees them.

    `texts` holds the N queries; it is empty in the answer stage when the request has no text.
    `answers` holds the edge model's N answers, and `samples` k more of each where the algorithm
    has a `sampling`; both are empty where there are none. `leaving` is the whole request, which the
    texts are only a part of; None where they are all of it. `client` is who calls, as a short hash;
    empty where nobody knows. The arrays can't be written to; each is
    None before there is an answer and where the engine gives none or a malformed one:

    - the edge model's telemetry on its own answers, float [N] in nats (`mean_margin`: difference
      of probabilities);
    - `probabilities`, float [N, C], of the classes;
    - `boxes`, float [N, M, 6]: xmin, ymin, xmax, ymax, score, label. A row with fewer boxes than M
      is filled up with boxes whose label is below 0.
    """

    size: int
    texts: tuple[str, ...] = ()
    mean_logprob: Scores | None = None
    min_logprob: Scores | None = None
    mean_margin: Scores | None = None
    probabilities: Scores | None = None
    boxes: Scores | None = None
    answers: tuple[str, ...] = ()
    samples: tuple[tuple[str, ...], ...] = ()
    leaving: Leaving | None = None
    client: str = ""


def bounded(batch: Batch, characters: int) -> Batch:
    """With queries of at most so many: of a longer one the first and the last half of them, as a
    question stands before a long text or behind it."""
    if all(len(text) <= characters for text in batch.texts):
        return batch
    half = max(1, characters // 2)
    texts = (
        text if len(text) <= characters else f"{text[:half]}\n{text[-half:]}"
        for text in batch.texts
    )
    return replace(batch, texts=tuple(texts))


class AlgorithmParameters(BaseModel):
    """Base of every algorithm's parameters; values arrive as the strings of the CRDs."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    # What Sedna or Ianvs call a parameter -> its name here.
    aliases: ClassVar[Mapping[str, str]] = {}
    # Those that name a file or a folder which is read once: a change of it is taken up.
    files: ClassVar[frozenset[str]] = frozenset({"router"})


@dataclass(frozen=True, slots=True)
class ExtraAnswers:
    """What an answer-stage algorithm asks for beyond the answer: `count` sampled answers to every
    query."""

    count: int
    temperature: float


class Algorithm(ABC):
    """Says how difficult each row is for the edge model. It never applies a threshold.

    One instance serves concurrent requests, at times from several threads: `score` changes
    nothing on it.
    """

    stage: ClassVar[Stage]
    # An algorithm that knows its route whatever the threshold names it here.
    fixed_route: ClassVar[Route | None] = None
    Parameters: ClassVar[type[AlgorithmParameters]] = AlgorithmParameters
    # Parameters of its own that set `default_threshold`: HEM_THRESHOLD must not contradict them.
    threshold_parameters: ClassVar[frozenset[str]] = frozenset()
    # What `score` reads of the answer: rows of a file that have none are refused by these names.
    signals: tuple[Signal, ...] = ()
    # The edge model is asked for these, beyond its answer, unless the client or a guard overrules.
    sampling: ExtraAnswers | None = None
    # What a trained router's config.json says of thresholds and scores.
    calibrated: CalibratedConfig | None = None

    def __init__(self, parameters: AlgorithmParameters) -> None:  # noqa: B027 - many load nothing
        """Loads what scoring needs. Raises ConfigurationError for missing or damaged files."""

    @property
    def default_threshold(self) -> float | None:
        """The threshold that came with the algorithm's own files, if any."""
        return self.calibrated.served_threshold if self.calibrated else None

    @property
    def prefix_tokens(self) -> int | None:
        """It decides on so many first tokens of an answer, all of a shorter one; None: on whole
        answers."""
        return self.calibrated.prefix_tokens if self.calibrated else None

    def blocks(self, batch: Batch) -> bool:
        """True where scoring would hold the event loop too long and belongs in a thread."""
        return sum(map(len, batch.texts)) > INLINE_CHARACTERS

    @abstractmethod
    def score(self, batch: Batch) -> Scores:
        """Difficulty per row: float [N] in [0, 1], 1 = hardest; NaN where a signal is missing."""
