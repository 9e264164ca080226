"""Trains a BERTRouter or an LLMRouter: an encoder or a causal model with a head, fine-tuned."""

from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field
from sklearn.model_selection import train_test_split

from predictors.errors import ConfigurationError
from transformers_hem.algorithms.base import AlgorithmParameters
from transformers_hem.arrays import Floats, Values
from transformers_hem.labels.labels import Labels
from transformers_hem.routers.assessment import assess
from transformers_hem.routers.classifier.score import (
    CLOUD_RIGHT,
    DIFFERENCE,
    EDGE_RIGHT,
    HARD,
    ClassifierConfig,
    Head,
)
from transformers_hem.routers.encoder.network import Output
from transformers_hem.routers.encoder.router import ENCODER
from transformers_hem.routers.encoder.runner import QueryTokens
from transformers_hem.routers.encoder.training import (
    EncoderLearner,
    EncoderTraining,
    run_all,
    write_encoder,
)
from transformers_hem.routers.targets import expected_difference, rightness

LEAST_OF_A_KIND = 2


class ClassifierTraining(EncoderTraining):
    """`objective`: two heads learn whether either model is right (difference), or one learns which
    queries are hard. `held_out`: share of the rows to stop on, and as many to test on.
    `patience`: see `fine_tune.Schedule`."""

    objective: Literal["difference", "hard"] = "difference"
    epochs: float = Field(default=3, gt=0, le=100)
    learning_rate: float = Field(default=5e-5, gt=0, lt=1)
    head_learning_rate: float = Field(default=1e-3, gt=0, lt=1)
    batch_size: int = Field(default=16, ge=1)
    patience: int = Field(default=4, ge=1)
    held_out: float = Field(default=0.1, ge=0.02, le=0.4)


def split(labels: Labels, share: float, seed: int) -> tuple[Labels, Labels, Labels]:
    """Rows to learn from, rows to stop the training by, and as many rows to test on, which give the
    calibration, the threshold and the metrics: nothing else has seen them. The latter two are
    `share` of all each, with hard ones in equal parts.

    Raises ConfigurationError where a part would have fewer than two rows of a kind.
    """
    count = len(labels.queries)
    size = int(np.ceil(share * count))
    smallest = min(int(labels.hard.sum()), int((~labels.hard).sum()))
    if smallest * size / count < LEAST_OF_A_KIND:
        raise ConfigurationError(
            f"{count} rows, {smallest} of them of the rarer kind, are too few to set {share:.0%} "
            f"apart twice with at least {LEAST_OF_A_KIND} of either kind: give more rows, or train "
            "a LinearRouter"
        )
    rest, test = train_test_split(
        np.arange(count), test_size=size, random_state=seed, stratify=labels.hard
    )
    train, validation = train_test_split(
        rest, test_size=size, random_state=seed, stratify=labels.hard[rest]
    )
    # Rows of like length are evaluated together, without padding.
    by_length = np.array(sorted(validation, key=lambda row: len(labels.queries[row])))
    return labels.subset(np.sort(train)), labels.subset(by_length), labels.subset(np.sort(test))


class BERTLearner(EncoderLearner[ClassifierTraining]):
    Parameters: ClassVar[type[AlgorithmParameters]] = ClassifierTraining
    algorithm: ClassVar[Literal["BERTRouter", "LLMRouter"]] = "BERTRouter"

    def __init__(self, parameters: ClassifierTraining) -> None:
        super().__init__(parameters)
        self._head = Head(None) if parameters.objective == DIFFERENCE else Head(0)

    def learn(self, labels: Labels, directory: Path, seed: int) -> ClassifierConfig:
        chosen, scratch, unrounded = self.chosen, directory.parent, None
        train, validation, test = split(labels, chosen.held_out, seed)
        model, tokens = self._fine_tuned(train, validation, seed, scratch / "checkpoints")
        write_encoder(model, tokens, directory / ENCODER, chosen.format, output="logits")
        raw = self._scores(directory / ENCODER, test)
        if chosen.format == "int8":
            write_encoder(model, tokens, scratch / "float32", "onnx", output="logits")
            unrounded = self._scores(scratch / "float32", test)
        learner = f"{chosen.source} {chosen.objective}"
        return ClassifierConfig(
            algorithm=self.algorithm,
            hard_label=DIFFERENCE if chosen.objective == DIFFERENCE else HARD,
            **self.encoder_fields(directory, test),
            **assess(raw, labels, seed, learner, tested=test, unrounded=unrounded),
        )

    def _fine_tuned(
        self, train: Labels, validation: Labels, seed: int, scratch: Path
    ) -> tuple[Any, QueryTokens]:
        from transformers import set_seed

        from transformers_hem.routers.classifier.fine_tune import Examples, Schedule, fine_tune
        from transformers_hem.routers.encoder.torch_network import load_model

        chosen, source = self.chosen, self.chosen.open()
        tokens = QueryTokens(source)
        set_seed(seed)  # before a new head draws its first weights
        model = load_model(source, output="logits", **_new_head(chosen.objective))
        learned, watched = (
            Examples(tokens.rows(part.queries), _targets(part, chosen.objective))
            for part in (train, validation)
        )
        plan = Schedule(
            chosen.epochs,
            chosen.learning_rate,
            chosen.head_learning_rate,
            chosen.batch_size,
            chosen.patience,
            seed,
        )
        return fine_tune(model, tokens, learned, watched, self._errors, plan, scratch), tokens

    def _errors(self, logits: Output, targets: Values) -> Floats:
        """Squared, of each row's difficulty."""
        difficulty = (
            targets[:, 0]
            if targets.shape[1] == 1
            else expected_difference(targets[:, 0], targets[:, 1])
        )
        return np.square(self._head.difficulty(logits) - difficulty)

    def _scores(self, encoder: Path, rows: Labels) -> Floats:
        return run_all(
            encoder,
            self.chosen.max_tokens,
            rows.queries,
            output="logits",
            of=lambda outputs: self._head.difficulty(np.stack(outputs)),
        )


class LLMLearner(BERTLearner):
    algorithm: ClassVar[Literal["BERTRouter", "LLMRouter"]] = "LLMRouter"


def _new_head(objective: str) -> dict[str, Any]:
    names = [EDGE_RIGHT, CLOUD_RIGHT] if objective == DIFFERENCE else [HARD]
    return {
        "id2label": dict(enumerate(names)),
        "label2id": {name: index for index, name in enumerate(names)},
        "problem_type": "multi_label_classification",
        "ignore_mismatched_sizes": True,
    }


def _targets(labels: Labels, objective: str) -> Values:
    """[N, 2]: how well either model did, on a scale from 0 to 1; or [N, 1]: whether it's hard."""
    if objective != DIFFERENCE:
        return labels.hard.astype(np.float32)[:, None]
    return np.stack(rightness(labels), axis=1).astype(np.float32)
