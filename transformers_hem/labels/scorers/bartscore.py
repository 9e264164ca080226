"""BARTScore (arXiv 2106.11520): mean log-likelihood of one text given another, by a seq2seq model.

Section 3.2 names the directions. `recall`, the default, is the reference given the answer: what
the answer says of what it should. `precision` is the answer given the reference, `f` their mean,
and `faithfulness` the answer given the query, without a reference.
"""

import asyncio
import math
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Literal

import torch
from pydantic import Field

from predictors.engines.checkpoint import check, resolve
from predictors.errors import ConfigurationError, EngineError, first_line
from transformers_hem.labels.question import Question
from transformers_hem.labels.scorers.answer_text import answered
from transformers_hem.labels.scorers.base import Pair, Scorer, ScorerOptions

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_PADDED = -100  # transformers' label of a place that is not counted


class BARTScoreOptions(ScorerOptions):
    model: str = Field("facebook/bart-large-cnn", description="a seq2seq directory or hub id")
    direction: Literal["recall", "precision", "f", "faithfulness"] = "recall"
    max_tokens: int = Field(1024, ge=2, description="of either text; longer ones are cut")


class BARTScore(Scorer):
    """At most 0, in nats per token of the target, its special tokens included. One pair at a time
    is computed, in a thread of its own, on a GPU where there is one."""

    Options = BARTScoreOptions
    options: BARTScoreOptions

    def __init__(self, options: BARTScoreOptions) -> None:
        super().__init__(options)
        self.needs_reference = options.direction != "faithfulness"  # type: ignore[misc]
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="bartscore")

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._model, self._tokenizer = await loop.run_in_executor(self._thread, self._load)

    def _load(self) -> "tuple[PreTrainedModel, PreTrainedTokenizerBase]":
        from transformers import AutoModelForSeq2SeqLM, AutoTokenizer
        from transformers.utils.logging import disable_progress_bar

        disable_progress_bar()
        try:
            path = resolve(self.options.model, None)
            check(path)
            tokenizer = AutoTokenizer.from_pretrained(path)
            model, report = AutoModelForSeq2SeqLM.from_pretrained(
                path, dtype=torch.float32, output_loading_info=True
            )
        except Exception as error:  # transformers and what it stands on raise many kinds
            raise ConfigurationError(f"bartscore: {first_line(error)}") from error
        if report["missing_keys"] or tokenizer.pad_token_id is None:
            what = "weights are missing" if report["missing_keys"] else "it has no padding token"
            raise ConfigurationError(f"bartscore: model_dir {path}: {what}")
        limit = getattr(model.config, "max_position_embeddings", None) or self.options.max_tokens
        tokenizer.model_max_length = min(limit, self.options.max_tokens)
        return model.eval().to("cuda" if torch.cuda.is_available() else "cpu"), tokenizer

    async def score(self, question: Question, edge: str, cloud: str) -> Pair:
        loop = asyncio.get_running_loop()
        edge, cloud = answered(edge), answered(cloud)
        try:
            pair = await loop.run_in_executor(
                self._thread, lambda: Pair(self._best(edge, question), self._best(cloud, question))
            )
        except (RuntimeError, IndexError) as error:  # torch's: out of memory, a text too long
            raise EngineError(f"bartscore: {first_line(error)}") from error
        if not all(map(math.isfinite, pair)):
            raise EngineError(f"bartscore: {self.options.model} gave {pair.edge}, {pair.cloud}")
        return pair

    def _best(self, answer: str, question: Question) -> float:
        """Over the references, where the direction has any."""
        direction, references = self.options.direction, list(question.references)
        if direction == "faithfulness":
            return self.likelihoods([question.query], [answer])[0]
        answers = [answer] * len(references)
        directions: list[list[float]] = []
        if direction in ("recall", "f"):
            directions.append(self.likelihoods(answers, references))
        if direction in ("precision", "f"):
            directions.append(self.likelihoods(references, answers))
        best: float = max(sum(means) / len(directions) for means in zip(*directions, strict=True))
        return best

    def likelihoods(self, sources: list[str], targets: list[str]) -> list[float]:
        """Mean log-probability, per token, of each target given its source."""
        given, wanted = self._tokens(sources), self._tokens(targets)
        labels = wanted["input_ids"].masked_fill(wanted["attention_mask"] == 0, _PADDED)
        with torch.inference_mode():
            logits = self._model(**given, labels=labels).logits.float()
        losses = torch.nn.functional.cross_entropy(
            logits.transpose(1, 2), labels, ignore_index=_PADDED, reduction="none"
        )
        means: list[float] = (-losses.sum(1) / wanted["attention_mask"].sum(1)).tolist()
        return means

    def _tokens(self, texts: list[str]) -> dict[str, Any]:
        batch = self._tokenizer(texts, return_tensors="pt", padding=True, truncation=True)
        return {
            name: batch[name].to(self._model.device) for name in ("input_ids", "attention_mask")
        }

    async def close(self) -> None:
        self._thread.shutdown(cancel_futures=True)
