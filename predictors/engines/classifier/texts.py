"""Hugging Face directories that classify texts."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from predictors.contract import PROBABILITIES, TEXT_INPUT
from predictors.contract.tensors import BYTES, TensorType
from predictors.engines.classifier.head import activate
from predictors.engines.classifier.inputs import decoded
from predictors.engines.classifier.pretrained import Pretrained, part
from predictors.engines.classifier.settings import ClassifierSettings
from predictors.engines.classifier.source import Arrays, Port, Source

NO_LIMIT = 1 << 31  # tokenizers that know no limit say 1e30


class TextSource(Source):
    """A text longer than the model's positions is cut, as it was in training."""

    def __init__(self, path: Path, settings: ClassifierSettings) -> None:
        super().__init__(path, settings)
        self._tokenizer = part(AutoTokenizer, path, "tokenizer")
        self._model = Pretrained(AutoModelForSequenceClassification, path, settings)
        self._activation = self._model.activation(path, settings.activation)
        positions = getattr(self._model.model.config, "max_position_embeddings", None)
        self._longest = min(self._tokenizer.model_max_length, positions or NO_LIMIT, NO_LIMIT)

    @property
    def inputs(self) -> Sequence[Port]:
        return [Port(TEXT_INPUT, (BYTES,), (-1,))]

    @property
    def outputs(self) -> Sequence[TensorType]:
        return [TensorType(PROBABILITIES, "FP32", (-1, self._model.classes()))]

    def run(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        texts = decoded(TEXT_INPUT, inputs[TEXT_INPUT]).tolist()
        features = self._tokenizer(
            texts, truncation=True, max_length=self._longest, padding=True, return_tensors="pt"
        )
        logits = self._model(features).logits
        return {PROBABILITIES: activate(logits.float().cpu().numpy(), self._activation)}
