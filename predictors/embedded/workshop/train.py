"""Trains the embedded pair: `python -m predictors.embedded.workshop.train --help`."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.console import Console
from transformers import (
    GenerationConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerBase,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    get_scheduler,
    set_seed,
)
from transformers.trainer_utils import get_last_checkpoint

from predictors.embedded.workshop import tokenizer as pieces
from predictors.embedded.workshop.batches import Batch, Batches
from predictors.embedded.workshop.optimizer import MuonWithAdamW
from predictors.embedded.workshop.recipes import RECIPES, Recipe

_WARMUP_STEPS = 50
_CHECKPOINT_STEPS = 250
_MEASURED_STEPS = (10, 40)  # the first ones compile

console = Console(stderr=True)


class Which(StrEnum):
    EDGE = "edge"
    CLOUD = "cloud"
    BOTH = "both"


class ExpectedTime(TrainerCallback):
    """Says after some steps how long the whole training will take."""

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        first, last = _MEASURED_STEPS
        if state.global_step == first:
            self._since = time.monotonic()
        elif state.global_step == last and hasattr(self, "_since"):
            pace = (time.monotonic() - self._since) / (last - first)
            left = pace * (state.max_steps - last) / 60
            console.print(f"{pace:.2f} s a step: about {left:.0f} min to go")


def train(
    recipe: Recipe, out: Path, *, seed: int, resume: bool = False, compiled: bool = True
) -> Path:
    """Trains one model into the directory `out`, replacing it only when all is written.

    Compiling takes a minute and saves a third of the time after it; it needs a C++ compiler.
    """
    set_seed(seed)
    tokenizer = pieces.build()
    model = LlamaForCausalLM(recipe.config(tokenizer))
    console.print(f"{out.name}: {model.num_parameters():,} parameters, {recipe.steps} steps")
    if compiled and shutil.which("g++"):
        model.compile(dynamic=True)
    work = out.parent / f".{out.name}.checkpoints"
    checkpoint = get_last_checkpoint(str(work)) if resume and work.is_dir() else None
    first = int(checkpoint.rsplit("-", 1)[1]) if checkpoint else 0
    trainer = _trainer(model, Batches(tokenizer, recipe.batch, seed, first), recipe, work)
    trainer.train(resume_from_checkpoint=checkpoint)
    ship(model, tokenizer, out)
    shutil.rmtree(work, ignore_errors=True)
    return out


def _trainer(model: LlamaForCausalLM, data: Batches, recipe: Recipe, work: Path) -> Trainer:
    optimizer = MuonWithAdamW(model)
    schedule = get_scheduler(
        "warmup_stable_decay",
        optimizer,
        num_warmup_steps=min(_WARMUP_STEPS, recipe.steps // 4),
        num_training_steps=recipe.steps,
        scheduler_specific_kwargs={
            "num_decay_steps": recipe.steps // 3,
            "decay_type": "linear",
            "min_lr_ratio": 0.02,
        },
    )
    arguments = TrainingArguments(
        output_dir=str(work),
        max_steps=recipe.steps,
        per_device_train_batch_size=1,  # of ready batches
        ignore_data_skip=True,  # Batches starts at the right step itself
        use_cpu=not torch.cuda.is_available(),
        bf16=True,
        logging_steps=100,
        save_steps=_CHECKPOINT_STEPS,
        save_total_limit=1,
        report_to="none",
        remove_unused_columns=False,
        dataloader_pin_memory=False,
    )
    return Trainer(
        model,
        arguments,
        train_dataset=data,
        data_collator=_only,
        optimizers=(optimizer, schedule),
        callbacks=[ExpectedTime()],
    )


def _only(ready: list[Batch]) -> Batch:
    return ready[0]


def ship(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerBase, out: Path) -> None:
    """Writes weights as float16 with a configuration that loads them as float32."""
    aside = out.with_name(f".{out.name}.new")
    shutil.rmtree(aside, ignore_errors=True)
    model.generation_config = GenerationConfig(
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        do_sample=False,
    )
    model.to(torch.float16).save_pretrained(aside)
    (aside / "model.safetensors").chmod(0o644)
    model.config.dtype = torch.float32
    model.config.use_cache = True
    model.config.save_pretrained(aside)
    _save_tokenizer(tokenizer, aside)
    if out.exists():
        shutil.rmtree(out)
    aside.rename(out)


def _save_tokenizer(tokenizer: PreTrainedTokenizerBase, out: Path) -> None:
    """With the class's name of transformers 4, which 5 knows too: servers have either."""
    tokenizer.save_pretrained(out, save_jinja_files=False)
    path = out / "tokenizer_config.json"
    config = json.loads(path.read_text())
    config["tokenizer_class"] = "PreTrainedTokenizerFast"
    path.write_text(json.dumps(config, indent=2) + "\n")


def main(
    out: Annotated[Path, typer.Option(help="folder that gets edge/ and cloud/")],
    model: Annotated[Which, typer.Option(help="which of the pair")] = Which.BOTH,
    steps: Annotated[int | None, typer.Option(min=1, help="instead of the recipe's own")] = None,
    seed: Annotated[int, typer.Option(help="of the questions and the first weights")] = 0,
    resume: Annotated[bool, typer.Option(help="go on from the last checkpoint")] = False,
) -> None:
    """Trains the embedded pair on generated questions, on a GPU where there is one.

    Two CPU cores take about 45 minutes for the cloud model and 7 for the edge model; after 40 steps
    the time that is left is said.

    Example: python -m predictors.embedded.workshop.train --model edge --out trained
    """
    for name in ("edge", "cloud") if model is Which.BOTH else (model.value,):
        recipe = RECIPES[name]
        recipe = replace(recipe, steps=steps or recipe.steps)
        began = time.monotonic()
        directory = train(recipe, out / name, seed=seed, resume=resume)
        console.print(f"{directory} written after {(time.monotonic() - began) / 60:.1f} min")


if __name__ == "__main__":
    typer.run(main)
