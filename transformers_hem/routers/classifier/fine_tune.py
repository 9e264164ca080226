"""Fine-tunes an encoder or a causal model to both models' correctness, by transformers.Trainer."""

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset, SequentialSampler
from transformers import (
    EarlyStoppingCallback,
    EvalPrediction,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from transformers_hem.arrays import Floats, Values
from transformers_hem.routers.encoder.network import Output
from transformers_hem.routers.encoder.runner import QueryTokens, Row

logger = logging.getLogger("kserve.hem.training")

EVALUATIONS_PER_EPOCH = 4
CLEARLY = 2.0  # standard errors
ERROR, GOOD = "error", "good"

Errors = Callable[[Output, Values], Floats]


@dataclass(frozen=True, slots=True)
class Schedule:
    """`patience`: evaluations in a row on the validation rows that are clearly worse than the best
    one, before it stops; there are four per epoch. The learning rates rise over the first tenth,
    then fall to 0; the new head, which knows nothing, has one of its own."""

    epochs: float
    learning_rate: float
    head_learning_rate: float
    batch_size: int
    patience: int
    seed: int


class Examples(Dataset[dict[str, Any]]):
    """Token rows with their targets, float [N, C] in [0, 1]."""

    def __init__(self, rows: Sequence[Row], targets: Values) -> None:
        self._rows = rows
        self._targets = targets

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {"input_ids": self._rows[index], "labels": self._targets[index]}


class LatestGood:
    """What Trainer takes for its metrics: `good` counts the evaluations that were not clearly worse
    than the best one, so that its best model is the latest of those.

    Clearly: by more than two standard errors of the paired differences (the one-standard-error
    rule of Breiman et al., Classification and Regression Trees, 1984, 3.4.3, made stricter). On a
    few hundred rows the smallest mean is mostly chance, and the last steps, whose learning rate
    is low, are the best ones on rows that nothing was chosen by.
    """

    def __init__(self, errors: Errors) -> None:
        self._errors = errors
        self._best: Floats | None = None
        self._good = 0

    def __call__(self, evaluated: EvalPrediction) -> dict[str, float]:
        rows, targets = evaluated.predictions, evaluated.label_ids
        errors = self._errors(np.asarray(rows), np.asarray(targets))
        best = errors if self._best is None else self._best
        worse = errors - best  # of the same rows in the same order
        if not worse.mean() > CLEARLY * worse.std(ddof=1) / math.sqrt(len(worse)):
            self._good += 1
        self._best = errors if errors.mean() < best.mean() else best
        return {ERROR: float(errors.mean()), GOOD: float(self._good)}


def fine_tune(
    model: Any,
    tokens: QueryTokens,
    train: Examples,
    validation: Examples,
    errors: Errors,
    plan: Schedule,
    to: Path,
) -> Any:
    """The model, trained by binary cross-entropy on each output, at the last evaluation that was
    not clearly worse than the best one (see `LatestGood`).

    `errors` are of the validation rows, [N], of their logits and targets, both [N, C].
    Cross-entropy would stop too early: it rises with confidence while the order of queries still
    gets better. `to` is an empty folder for checkpoints. The same seed gives the same model on
    the same machine and number of threads.
    """

    def collate(examples: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        padded = tokens.pad([example["input_ids"] for example in examples])
        labels = np.stack([example["labels"] for example in examples])
        return {
            "input_ids": torch.from_numpy(padded.ids),
            "attention_mask": torch.from_numpy(padded.mask),
            "labels": torch.from_numpy(labels),
        }

    trainer = _Trainer(
        model=model,
        args=_arguments(plan, len(train), to),
        data_collator=collate,
        train_dataset=train,
        eval_dataset=validation,
        compute_metrics=LatestGood(errors),
        optimizer_cls_and_kwargs=(torch.optim.AdamW, {"params": _groups(model, plan)}),
        callbacks=[EarlyStoppingCallback(plan.patience), _Report()],
    )
    trainer.remove_callback(PrinterCallback)  # stdout is the caller's
    trainer.train()
    # Mixed precision leaves its autocast on the instance's `forward`; accelerate's own way to take
    # it off takes the model's decorators with it.
    tuned: Any = trainer.model
    vars(tuned).pop("forward", None)
    return tuned


def _groups(model: Any, plan: Schedule) -> list[dict[str, Any]]:
    body = {id(weights) for weights in model.base_model.parameters()}
    head = [weights for weights in model.parameters() if id(weights) not in body]
    return [
        {"params": list(model.base_model.parameters()), "lr": plan.learning_rate},
        {"params": head, "lr": plan.head_learning_rate},
    ]


def _arguments(plan: Schedule, rows: int, to: Path) -> TrainingArguments:
    gpu = torch.cuda.is_available()
    # Without instructions for it, products of bfloat16 are many times slower than of float32.
    cpu = torch.cpu.get_capabilities()
    fast = any(cpu.get(name) for name in ("avx512_bf16", "amx_bf16"))
    half = torch.cuda.is_bf16_supported() if gpu else fast
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
        metric_for_best_model=GOOD,
        greater_is_better=True,
        logging_steps=every,
        use_cpu=not gpu,
        bf16=half,
        fp16=gpu and not half,
        full_determinism=gpu,
        seed=plan.seed,
        data_seed=plan.seed,
        dataloader_pin_memory=gpu,
        remove_unused_columns=False,
        disable_tqdm=True,
        report_to="none",
    )


class _Trainer(Trainer):
    """Evaluates the rows in their own order, so that two evaluations can be compared row by row."""

    def _get_eval_sampler(self, eval_dataset: Any) -> SequentialSampler:
        return SequentialSampler(eval_dataset)


class _Report(TrainerCallback):
    """One log line per evaluation."""

    def on_evaluate(
        self, args: Any, state: Any, control: Any, metrics: Mapping[str, float], **_: Any
    ) -> None:
        logger.info(
            "epoch %.2f of %g, step %d of %d: validation error %.4f",
            state.epoch,
            args.num_train_epochs,
            state.global_step,
            state.max_steps,
            metrics[f"eval_{ERROR}"],
        )
