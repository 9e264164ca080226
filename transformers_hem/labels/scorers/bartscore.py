"""BARTScore (arXiv 2106.11520): mean log-likelihood of one text given another, by a seq2seq model.

Section 3.2 names the directions. `recall`, the default, is the reference given the answer: what
the answer says of what it should. `precision` is the answer given the reference, `f` their mean,
and `faithfulness` the answer given the query, without a reference.
"""

import asyncio
import math
from collections import deque
from collections.abc import Sequence
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

Waiting = tuple[str, str, "asyncio.Future[float]"]  # source, target, who waits for their mean

_PADDED = -100  # transformers' label of a place that is not counted


class BARTScoreOptions(ScorerOptions):
    model: str = Field("facebook/bart-large-cnn", description="a seq2seq directory or hub id")
    direction: Literal["recall", "precision", "f", "faithfulness"] = "recall"
    max_tokens: int = Field(1024, ge=2, description="of either text; longer ones are cut")
    batch_size: int = Field(4, ge=1, le=1024, description="texts that are computed together")
    device: str = Field(
        "auto", pattern=r"^(auto|cpu|cuda(:\d+)?|xpu(:\d+)?|mps)$", description="cpu, cuda:0, ..."
    )


class BARTScore(Scorer):
    """At most 0, in nats per token of the target, its special tokens included. Computed in a thread
    of its own, `batch_size` texts at a time of all questions that wait, on a GPU where there is
    one."""

    Options = BARTScoreOptions
    options: BARTScoreOptions
    incidental = frozenset({"batch_size", "device"})

    def __init__(self, options: BARTScoreOptions) -> None:
        super().__init__(options)
        self.needs_reference = options.direction != "faithfulness"  # type: ignore[misc]
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="bartscore")
        self._waiting: deque[Waiting] = deque()
        self._computing: asyncio.Task[None] | None = None

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
        device = self.options.device
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        try:
            return model.eval().to(device), tokenizer
        except (RuntimeError, AssertionError) as error:  # torch's: there is no such device
            raise ConfigurationError(f"bartscore: device {device}: {first_line(error)}") from error

    async def score(self, question: Question, edge: str, cloud: str) -> Pair:
        texts = [answered(edge), answered(cloud)]
        asked = [pairs for text in texts for pairs in self._asked(text, question)]
        means = await asyncio.gather(*(self._mean(source, target) for source, target in asked))
        half = len(means) // 2
        pair = Pair(self._best(means[:half]), self._best(means[half:]))
        if not all(map(math.isfinite, pair)):
            raise EngineError(f"bartscore: {self.options.model} gave {pair.edge}, {pair.cloud}")
        return pair

    def _asked(self, answer: str, question: Question) -> list[tuple[str, str]]:
        """Source and target of what an answer's score is made of."""
        if self.options.direction == "faithfulness":
            return [(question.query, answer)]
        made = []
        for reference in question.references:
            if self.options.direction in ("recall", "f"):
                made.append((answer, reference))
            if self.options.direction in ("precision", "f"):
                made.append((reference, answer))
        return made

    def _best(self, means: Sequence[float]) -> float:
        """Over the references, where the direction has any."""
        step = 2 if self.options.direction == "f" else 1
        return max(sum(means[i : i + step]) / step for i in range(0, len(means), step))

    async def _mean(self, source: str, target: str) -> float:
        """Joins what waits; a failure is that of its own batch."""
        future: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._waiting.append((source, target, future))
        if self._computing is None or self._computing.done():
            self._computing = asyncio.create_task(self._compute())
        return await future

    async def _compute(self) -> None:
        """Until nothing waits any more."""
        await asyncio.sleep(0)  # all texts of a question come first
        while self._waiting:
            size = min(self.options.batch_size, len(self._waiting))
            batch = [self._waiting.popleft() for _ in range(size)]
            try:
                means = await asyncio.get_running_loop().run_in_executor(
                    self._thread,
                    self.likelihoods,
                    [s for s, _, _ in batch],
                    [t for _, t, _ in batch],
                )
            except (RuntimeError, IndexError) as error:  # torch's: out of memory, a text too long
                failure = EngineError(f"bartscore: {first_line(error)}")
                for _, _, future in batch:
                    if not future.done():
                        future.set_exception(failure)
                continue
            for (_, _, future), mean in zip(batch, means, strict=True):
                if not future.done():
                    future.set_result(mean)

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
        if self._computing is not None:
            self._computing.cancel()
        self._thread.shutdown(cancel_futures=True)
