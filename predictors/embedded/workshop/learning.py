"""How the models learn: batches of questions, and the optimizer."""

from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import torch
from torch import nn
from torch.utils.data import IterableDataset
from transformers import PreTrainedTokenizerBase

from predictors.embedded.workshop.questions import (
    SHORT,
    Question,
    QuestionSet,
    train_questions,
)

_POOL = 32  # batches that are drawn, sorted by length, cut and shuffled at a time
_NO_LOSS = -100

Batch = dict[str, Any]


class Batches(IterableDataset[Batch]):
    """Questions of like length together, the loss on the answer alone; without end.

    Step n's batch depends on the seed alone, so that a run can start at any step.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        size: int,
        seed: int,
        first: int = 0,
        of: QuestionSet = SHORT,
    ) -> None:
        self.tokenizer = tokenizer
        self.size = size
        self.seed = seed
        self.first = first
        self.of = of

    def __iter__(self) -> Iterator[Batch]:
        pool, skip = divmod(self.first, _POOL)
        while True:
            yield from self._pool(pool)[skip:]
            pool, skip = pool + 1, 0

    def _pool(self, number: int) -> list[Batch]:
        seed = self.seed * 1_000_000 + number
        drawn = train_questions(_POOL * self.size, seed, self.of.shares, self.of)
        rows = self._rows(list(drawn))
        rows.sort(key=lambda row: len(row[0]) + len(row[1]))
        cuts = range(0, len(rows), self.size)
        batches = [self._pad(rows[cut : cut + self.size]) for cut in cuts]
        Random(seed).shuffle(batches)
        return batches

    def _rows(self, questions: list[Question]) -> list[tuple[list[int], list[int]]]:
        """Prompt and answer tokens, as the chat template would put them together."""
        user, assistant, end = self.tokenizer.convert_tokens_to_ids(
            ["<|user|>", "<|assistant|>", "<|end|>"]
        )
        prompts = self.tokenizer([question.query for question in questions])["input_ids"]
        answers = self.tokenizer([question.answer for question in questions])["input_ids"]
        return [
            ([user, *prompt, assistant], [*answer, end])
            for prompt, answer in zip(prompts, answers, strict=True)
        ]

    def _pad(self, rows: list[tuple[list[int], list[int]]]) -> Batch:
        """Padding is on the right: no answer can see it, so no attention mask is needed."""
        longest = max(len(prompt) + len(answer) for prompt, answer in rows)
        tokens = torch.full((len(rows), longest), self.tokenizer.pad_token_id)
        labels = torch.full_like(tokens, _NO_LOSS)
        for row, (prompt, answer) in enumerate(rows):
            end = len(prompt) + len(answer)
            tokens[row, :end] = torch.tensor(prompt + answer)
            labels[row, len(prompt) : end] = torch.tensor(answer)
        return {"input_ids": tokens, "labels": labels, "use_cache": False}


_MATRIX_RATE = 0.02
_VECTOR_RATE = 0.0015


class MuonWithAdamW(torch.optim.Optimizer):
    """Muon for the weight matrices, AdamW for embeddings and norms, seen by the Trainer as one.

    Muon (Keller Jordan, https://kellerjordan.github.io/posts/muon/) needs far fewer questions than
    AdamW alone to learn sums and reversals, at a few percent more time per step. The groups are
    shared with the two optimizers, so that schedulers reach both.
    """

    def __init__(self, model: nn.Module) -> None:
        named = dict(model.named_parameters())
        matrices = [p for name, p in named.items() if p.ndim == 2 and "embed" not in name]
        others = [p for name, p in named.items() if p.ndim != 2 or "embed" in name]
        self._parts: list[torch.optim.Optimizer] = [
            torch.optim.Muon(matrices, lr=_MATRIX_RATE, weight_decay=0.01),
            torch.optim.AdamW(
                others, lr=_VECTOR_RATE, betas=(0.9, 0.98), weight_decay=0.01, fused=True
            ),
        ]
        super().__init__([*matrices, *others], {"lr": _MATRIX_RATE})
        self.param_groups = [group for part in self._parts for group in part.param_groups]

    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        if closure is not None:
            raise ValueError("MuonWithAdamW takes no closure")
        for part in self._parts:
            part.step()

    def state_dict(self) -> dict[str, Any]:
        return {"parts": [part.state_dict() for part in self._parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for part, state in zip(self._parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        self.param_groups = [group for part in self._parts for group in part.param_groups]
