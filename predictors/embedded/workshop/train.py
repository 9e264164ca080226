"""Trains an embedded pair: `python -m predictors.embedded.workshop.train --help`."""

import json
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import torch
import typer
from rich.console import Console
from transformers import (
    GenerationConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerBase,
    Trainer,
    TrainingArguments,
    get_scheduler,
    set_seed,
)
from transformers.trainer_utils import get_last_checkpoint

from predictors.embedded import PAIRS
from predictors.embedded.workshop.learning import Batches, MuonWithAdamW
from predictors.embedded.workshop.recipe import RECIPES, Recipe, build_tokenizer

_WARMUP_STEPS = 50
CHECKPOINT_STEPS = 100

console = Console(stderr=True)


def train(
    recipe: Recipe, out: Path, *, seed: int, resume: bool = False, compiled: bool = True
) -> Path:
    """Trains one model into the directory `out`, replacing it only when all is written.

    Compiling takes a minute and saves a third of the time after it; it needs a C++ compiler.
    """
    set_seed(seed)
    tokenizer = build_tokenizer(recipe.questions)
    model = LlamaForCausalLM(recipe.config(tokenizer))
    console.print(f"{out.name}: {model.num_parameters():,} parameters, {recipe.steps} steps")
    if compiled and shutil.which("g++"):
        for layer in model.model.layers:  # all alike: compiled once
            layer.compile(dynamic=True)
    work = out.parent / f".{out.name}.checkpoints"
    checkpoint = get_last_checkpoint(str(work)) if resume and work.is_dir() else None
    first = int(checkpoint.rsplit("-", 1)[1]) if checkpoint else 0
    data = Batches(tokenizer, recipe.batch, seed, first, recipe.questions)
    trainer = _trainer(model, data, recipe, work)
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
        logging_steps=50,
        save_steps=CHECKPOINT_STEPS,
        save_total_limit=1,
        report_to="none",
        remove_unused_columns=False,
        dataloader_pin_memory=False,
    )
    return Trainer(
        model,
        arguments,
        train_dataset=data,
        data_collator=lambda ready: ready[0],
        optimizers=(optimizer, schedule),
    )


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
    tokenizer.save_pretrained(aside, save_jinja_files=False)
    # With the class's name of transformers 4, which 5 knows too: servers have either.
    path = aside / "tokenizer_config.json"
    config = json.loads(path.read_text())
    config["tokenizer_class"] = "PreTrainedTokenizerFast"
    path.write_text(json.dumps(config, indent=2) + "\n")
    if out.exists():
        shutil.rmtree(out)
    aside.rename(out)


def main(
    out: Annotated[Path, typer.Option(help="folder that gets a directory for each model")],
    pair: Annotated[
        Literal["short", "long"], typer.Option(help="which pair, by its answers")
    ] = "short",
    model: Annotated[
        Literal["edge", "cloud", "both"], typer.Option(help="which of the pair")
    ] = "both",
    steps: Annotated[int | None, typer.Option(min=1, help="instead of the recipe's own")] = None,
    seed: Annotated[int, typer.Option(help="of the questions and the first weights")] = 0,
    resume: Annotated[bool, typer.Option(help="go on from the last checkpoint")] = False,
) -> None:
    """Trains an embedded pair on generated questions, on a GPU where there is one.

    Two CPU cores take about 45 minutes for the short pair's cloud model and 7 for its edge model,
    and half of that for the long pair's.

    Example: python -m predictors.embedded.workshop.train --model edge --out trained
    """
    edge, cloud = PAIRS[pair]
    for name in {"edge": [edge], "cloud": [cloud], "both": [edge, cloud]}[model]:
        recipe = replace(RECIPES[name], steps=steps or RECIPES[name].steps)
        began = time.monotonic()
        directory = train(recipe, out / name, seed=seed, resume=resume)
        console.print(f"{directory} written after {(time.monotonic() - began) / 60:.1f} min")


if __name__ == "__main__":
    typer.run(main)
