"""Trains an EnsembleRouter: a fine-tuned encoder and a linear router, on the same rows."""

from pathlib import Path
from typing import ClassVar

from pydantic import Field

from transformers_hem.algorithms.base import AlgorithmParameters
from transformers_hem.encoder_router import BERT, LINEAR, EnsembleConfig, fingerprints
from transformers_hem.router_directory import new_directory, write_config
from transformers_hem.training.encoder import BERTLearner, ClassifierTraining
from transformers_hem.training.judgement import judge
from transformers_hem.training.learner import Learner, Metrics
from transformers_hem.training.linear import learn
from transformers_hem.training.rows import Labels


class EnsembleTraining(ClassifierTraining):
    """`linear_weight`: share of the linear router's difficulty in the score. A third lies between
    what single splits of MMLU liked best: a quarter at most with 1,530 labels, a half with 6,300.
    """

    linear_weight: float = Field(default=0.33, gt=0, lt=1)


class EnsembleLearner(Learner):
    Parameters: ClassVar[type[AlgorithmParameters]] = EnsembleTraining

    def __init__(self, parameters: EnsembleTraining) -> None:
        self._weight = parameters.linear_weight
        self._encoder = BERTLearner(parameters)

    def train(self, labels: Labels, out: Path, seed: int) -> Metrics:
        with new_directory(out) as aside:
            linear, elsewhere = learn(labels, seed)
            linear.save(aside / LINEAR)
            bert, judged, raw = self._encoder.learn(labels, aside / BERT, seed)
            known = {"linear_weight": self._weight, "files": fingerprints(aside)}
            draft = EnsembleConfig(
                **{**bert.model_dump(exclude={"algorithm", "hard_label"}), **known}
            )
            # The linear router's are out of fold: as little fitted to these rows as the encoder.
            judgement = judge(draft.blend(elsewhere[judged], raw), labels.subset(judged), seed)
            learner = f"{bert.metrics['learner']}, {linear.config.metrics['learner']}"
            config = draft.model_copy(
                update={
                    "threshold": judgement.threshold,
                    "probability": judgement.probability,
                    "scores": judgement.scores,
                    "metrics": {"learner": learner, **judgement.metrics},
                }
            )
            write_config(aside, config)
        return {**config.metrics, "rows": config.rows, "threshold": config.threshold}
