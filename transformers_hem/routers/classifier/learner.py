"""Trains a BERTRouter or an LLMRouter: an encoder or a causal model with a head, fine-tuned."""

from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from transformers_hem.algorithms.base import AlgorithmParameters
from transformers_hem.evaluation.quality import Floats, gap_recovered
from transformers_hem.labels.labels import Labels
from transformers_hem.routers.base import Learner, Metrics
from transformers_hem.routers.classifier.heads import (
    CLOUD_RIGHT,
    DIFFERENCE,
    EDGE_RIGHT,
    HARD,
    Head,
)
from transformers_hem.routers.directory import new_directory, write_config
from transformers_hem.routers.encoder.config import (
    ENCODER,
    ClassifierConfig,
    fingerprints,
)
from transformers_hem.routers.encoder.files import (
    EncoderTraining,
    described,
    open_source,
    require_libraries,
    run_all,
    write_encoder,
)
from transformers_hem.routers.encoder.network import Output
from transformers_hem.routers.encoder.tokens import QueryTokens
from transformers_hem.routers.held_out import Split, split
from transformers_hem.routers.judgement import judge
from transformers_hem.routers.targets import require_learnable, rightness


class ClassifierTraining(EncoderTraining):
    """`objective`: two heads learn whether either model is right (difference), or one learns which
    queries are hard. `held_out`: share of the rows to stop on, and as many to judge on.
    `patience`: see `fine_tune.Schedule`."""

    objective: Literal["difference", "hard"] = "difference"
    epochs: float = Field(default=3, gt=0, le=100)
    learning_rate: float = Field(default=5e-5, gt=0, lt=1)
    head_learning_rate: float = Field(default=1e-3, gt=0, lt=1)
    batch_size: int = Field(default=16, ge=1)
    patience: int = Field(default=4, ge=1)
    held_out: float = Field(default=0.1, ge=0.02, le=0.4)


class BERTLearner(Learner):
    Parameters: ClassVar[type[AlgorithmParameters]] = ClassifierTraining
    algorithm: ClassVar[Literal["BERTRouter", "LLMRouter"]] = "BERTRouter"

    def __init__(self, parameters: ClassifierTraining) -> None:
        require_libraries(parameters.format)
        self._parameters = parameters
        self._head = Head(None) if parameters.objective == DIFFERENCE else Head(0)

    def train(self, labels: Labels, out: Path, seed: int) -> Metrics:
        config, _, _ = self.learn(labels, out, seed)
        return {**config.metrics, "rows": config.rows, "threshold": config.threshold}

    def learn(
        self, labels: Labels, out: Path, seed: int
    ) -> tuple[ClassifierConfig, NDArray[np.int64], Floats]:
        """Writes the router; also which rows it was judged on, and its raw difficulties of them."""
        require_learnable(labels)
        parts = split(labels, self._parameters.held_out, seed)
        with new_directory(out) as aside:
            scratch = aside.parent
            model, tokens = self._fine_tuned(parts, seed, scratch / "checkpoints")
            write_encoder(model, tokens, aside / ENCODER, self._parameters.format, output="logits")
            raw = self._scores(aside / ENCODER, parts.judged)
            judgement = judge(raw, parts.judged, seed)
            if self._parameters.format == "int8":
                write_encoder(model, tokens, scratch / "float32", "onnx", output="logits")
                unrounded = self._scores(scratch / "float32", parts.judged)
                judgement.metrics["apgr_lost_in_int8"] = lost(unrounded, raw, parts.judged)
            chosen = self._parameters
            learner = f"{chosen.source} {chosen.objective}"
            config = ClassifierConfig(
                algorithm=self.algorithm,
                hard_label=DIFFERENCE if chosen.objective == DIFFERENCE else HARD,
                files=fingerprints(aside),
                **described(chosen, labels, parts.judged, judgement, learner, seed),
            )
            write_config(aside, config)
        return config, parts.judged_rows, raw

    def _fine_tuned(self, parts: Split, seed: int, scratch: Path) -> tuple[Any, QueryTokens]:
        from transformers_hem.routers.classifier.fine_tune import (
            Examples,
            Schedule,
            fine_tune,
            seed_all,
        )
        from transformers_hem.routers.encoder.torch_network import load_model

        chosen = self._parameters
        source = open_source(chosen)
        tokens = QueryTokens(source)
        seed_all(seed)
        model = load_model(source, output="logits", **_new_head(chosen.objective))
        targets = [_targets(part, chosen.objective) for part in (parts.train, parts.validation)]
        train, validation = (
            Examples(tokens.rows(part.queries), target)
            for part, target in zip((parts.train, parts.validation), targets, strict=True)
        )
        plan = Schedule(
            chosen.epochs,
            chosen.learning_rate,
            chosen.head_learning_rate,
            chosen.batch_size,
            chosen.patience,
            seed,
        )
        tuned = fine_tune(model, tokens, train, validation, self._errors, plan, scratch)
        return tuned, tokens

    def _errors(self, logits: Output, targets: NDArray[np.float32]) -> Floats:
        """Squared, of each row's difficulty."""
        return np.square(self._head.difficulty(logits) - _difficulty(targets))

    def _scores(self, encoder: Path, judged: Labels) -> Floats:
        return run_all(
            encoder,
            self._parameters.max_tokens,
            judged.queries,
            output="logits",
            of=lambda outputs: self._head.difficulty(np.stack(outputs)),
        )


class LLMLearner(BERTLearner):
    algorithm: ClassVar[Literal["BERTRouter", "LLMRouter"]] = "LLMRouter"


def lost(unrounded: Floats, rounded: Floats, judged: Labels) -> float:
    """By every threshold: ten bins would hide so small a difference in their noise."""
    areas = [gap_recovered(scores, judged.edge, judged.cloud) for scores in (unrounded, rounded)]
    lost = areas[0] - areas[1]
    return round(lost, 4) if np.isfinite(lost) else 0.0


def _new_head(objective: str) -> dict[str, Any]:
    names = [EDGE_RIGHT, CLOUD_RIGHT] if objective == DIFFERENCE else [HARD]
    return {
        "id2label": dict(enumerate(names)),
        "label2id": {name: index for index, name in enumerate(names)},
        "problem_type": "multi_label_classification",
        "ignore_mismatched_sizes": True,
    }


def _difficulty(targets: NDArray[np.float32]) -> NDArray[np.float32]:
    """[N], of targets as `_targets` has them."""
    if targets.shape[1] == 1:
        return targets[:, 0]
    return (1 + targets[:, 1] - targets[:, 0]) / np.float32(2)


def _targets(labels: Labels, objective: str) -> NDArray[np.float32]:
    """[N, 2]: how well either model did, on a scale from 0 to 1; or [N, 1]: whether it's hard."""
    if objective != DIFFERENCE:
        return labels.hard.astype(np.float32)[:, None]
    return np.stack(rightness(labels), axis=1).astype(np.float32)
