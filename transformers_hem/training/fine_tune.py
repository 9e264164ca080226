"""Fine-tunes an encoder or a causal model to both models' correctness, by transformers.Trainer."""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset
from transformers import (
    EarlyStoppingCallback,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    set_seed,
)

from transformers_hem.encoders.tokens import QueryTokens, Row

logger = logging.getLogger("kserve.hem.training")

EVALUATIONS_PER_EPOCH = 4


@dataclass(frozen=True, slots=True)
class Schedule:
    """`patience`: evaluations on the validation rows without a better loss, before it stops; there
    are four per epoch. The learning rate rises over the first tenth, then falls to 0."""

    epochs: float
    learning_rate: float
    batch_size: int
    patience: int
    seed: int


class Examples(Dataset[dict[str, Any]]):
    """Token rows with their targets, float [N, C] in [0, 1]."""

    def __init__(self, rows: Sequence[Row], targets: NDArray[np.float32]) -> None:
        self._rows = rows
        self._targets = targets

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {"input_ids": self._rows[index], "labels": self._targets[index]}


def fine_tune(
    model: Any, tokens: QueryTokens, train: Examples, validation: Examples, plan: Schedule, to: Path
) -> Any:
    """The model at its best validation loss, binary cross-entropy on each output.

    `to` is an empty folder for checkpoints. The same seed gives the same model on the same machine
    and number of threads.
    """

    def collate(examples: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        padded = tokens.pad([example["input_ids"] for example in examples])
        labels = np.stack([example["labels"] for example in examples])
        return {
            "input_ids": torch.from_numpy(padded.ids),
            "attention_mask": torch.from_numpy(padded.mask),
            "labels": torch.from_numpy(labels),
        }

    trainer = Trainer(
        model=model,
        args=_arguments(plan, len(train), to),
        data_collator=collate,
        train_dataset=train,
        eval_dataset=validation,
        callbacks=[EarlyStoppingCallback(plan.patience), _Report()],
    )
    trainer.remove_callback(PrinterCallback)  # stdout is the caller's
    trainer.train()
    return trainer.model


def seed_all(seed: int) -> None:
    """Before a new head draws its first weights."""
    set_seed(seed)


def _arguments(plan: Schedule, rows: int, to: Path) -> TrainingArguments:
    gpu = torch.cuda.is_available()
    steps = math.ceil(rows / plan.batch_size)
    every = max(1, steps // EVALUATIONS_PER_EPOCH)
    return TrainingArguments(
        output_dir=str(to),
        num_train_epochs=plan.epochs,
        learning_rate=plan.learning_rate,
        warmup_steps=math.ceil(steps * plan.epochs / 10),
        weight_decay=0.01,
        per_device_train_batch_size=plan.batch_size,
        per_device_eval_batch_size=plan.batch_size * 2,
        train_sampling_strategy="group_by_length",
        eval_strategy="steps",
        eval_steps=every,
        save_strategy="steps",
        save_steps=every,
        save_total_limit=1,
        save_only_model=True,
        load_best_model_at_end=True,
        metric_for_best_model="eval_loss",
        logging_steps=every,
        bf16=gpu and torch.cuda.is_bf16_supported(),
        fp16=gpu and not torch.cuda.is_bf16_supported(),
        full_determinism=gpu,
        seed=plan.seed,
        data_seed=plan.seed,
        dataloader_pin_memory=gpu,
        remove_unused_columns=False,
        disable_tqdm=True,
        report_to="none",
    )


class _Report(TrainerCallback):
    """One log line per evaluation."""

    def on_evaluate(
        self, args: Any, state: Any, control: Any, metrics: Mapping[str, float], **_: Any
    ) -> None:
        logger.info(
            "epoch %.2f of %g, step %d of %d: validation loss %.4f",
            state.epoch,
            args.num_train_epochs,
            state.global_step,
            state.max_steps,
            metrics["eval_loss"],
        )
