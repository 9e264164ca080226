"""The training script, end to end on a tiny model."""

import json
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from itertools import islice
from pathlib import Path

import pytest
import torch
import typer
from transformers import LlamaForCausalLM
from typer.testing import CliRunner

from predictors.embedded.workshop import evaluate, train as script
from predictors.embedded.workshop.answering import DirectModel
from predictors.embedded.workshop.learning import Batch, Batches, MuonWithAdamW
from predictors.embedded.workshop.questions import SETS
from predictors.embedded.workshop.recipe import RECIPES, Recipe, build_tokenizer

TINY = Recipe(hidden=32, layers=1, intermediate=64, heads=1, steps=6, batch=8)


class Interrupted(Exception):
    pass


class FailingBatches(Batches):
    def __iter__(self) -> Iterator[Batch]:
        yield from islice(super().__iter__(), 5)
        raise Interrupted


def test_a_tiny_model_trains_in_a_few_steps_and_its_directory_answers(tmp_path: Path) -> None:
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "of_the_last_time").touch()
    out = script.train(TINY, tmp_path / "tiny", seed=1, compiled=False)
    assert not (out / "of_the_last_time").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["tiny"]
    assert json.loads((out / "config.json").read_text())["dtype"] == "float32"
    (reply,) = DirectModel(out).ask(["What is 47 + 385?"])
    assert reply.mean_logprob < 0


def test_an_interrupted_training_goes_on_from_its_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script, "CHECKPOINT_STEPS", 3)
    whole = script.train(TINY, tmp_path / "whole", seed=1, compiled=False)
    with monkeypatch.context() as during, pytest.raises(Interrupted):
        during.setattr(script, "Batches", FailingBatches)
        script.train(TINY, tmp_path / "parts", seed=1, compiled=False)
    assert (tmp_path / ".parts.checkpoints" / "checkpoint-3").is_dir()
    parts = script.train(TINY, tmp_path / "parts", seed=1, resume=True, compiled=False)
    first, second = ((out / "model.safetensors").read_bytes() for out in (whole, parts))
    assert first == second


def test_training_steps_make_the_loss_fall() -> None:
    tokenizer = build_tokenizer()
    torch.manual_seed(0)
    model = LlamaForCausalLM(TINY.config(tokenizer))
    optimizer = MuonWithAdamW(model)
    losses = []
    for batch in islice(Batches(tokenizer, size=64, seed=1), 30):
        loss = model(**batch).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])


def test_batches_may_start_at_any_step() -> None:
    tokenizer = build_tokenizer()
    from_start = list(islice(Batches(tokenizer, size=4, seed=1), 40))
    later = next(iter(Batches(tokenizer, size=4, seed=1, first=35)))
    assert torch.equal(from_start[35]["input_ids"], later["input_ids"])


@pytest.mark.parametrize("pair", SETS)
def test_only_the_answer_counts_in_the_loss(pair: str) -> None:
    tokenizer = build_tokenizer(SETS[pair], 2000)
    batch = next(iter(Batches(tokenizer, size=8, seed=1, of=SETS[pair])))
    for tokens, labels in zip(batch["input_ids"], batch["labels"], strict=True):
        prompt, _, answer = tokenizer.decode(tokens).partition("<|assistant|>")
        assert prompt.startswith("<|user|>")
        assert tokenizer.decode(labels[labels >= 0]) == answer.replace("<|pad|>", "")


@pytest.mark.parametrize("pair", SETS)
def test_the_prompt_is_what_the_chat_template_makes_of_a_question(pair: str) -> None:
    tokenizer = build_tokenizer(SETS[pair], 2000)
    batch = next(iter(Batches(tokenizer, size=1, seed=1, of=SETS[pair])))
    text = tokenizer.decode(batch["input_ids"][0])
    query = text.removeprefix("<|user|>").partition("<|assistant|>")[0]
    chat = [{"role": "user", "content": query}]
    prompt = tokenizer.apply_chat_template(chat, add_generation_prompt=True)["input_ids"]
    assert batch["input_ids"][0].tolist()[: len(prompt)] == prompt


def test_the_recipes_keep_to_the_sizes_of_the_pairs() -> None:
    sizes = {
        name: LlamaForCausalLM(replace(recipe, steps=1).config(build_tokenizer())).num_parameters()
        for name, recipe in RECIPES.items()
    }
    assert sizes["edge"] < 1_100_000 < sizes["cloud"] < 5_000_000
    assert sizes["long-edge"] < 300_000 < 1_500_000 < sizes["long-cloud"] < 2_000_000


@pytest.mark.parametrize("module", ["train", "evaluate", "labels", "prefixes"])
def test_help_shows_an_example(module: str) -> None:
    path = f"predictors.embedded.workshop.{module}"
    command = typer.Typer()
    command.command()(import_module(path).main)
    assert f"python -m {path}" in CliRunner().invoke(command, "--help").output


def test_a_trained_directory_is_evaluated_beside_a_shipped_one(tmp_path: Path) -> None:
    out = script.train(TINY, tmp_path / "tiny", seed=1, compiled=False)
    command = typer.Typer()
    command.command()(evaluate.main)
    options = ["--model", str(out), "--model", "embedded:edge", "--count", "30"]
    runner = CliRunner(env={"COLUMNS": "300", "TERMINAL_WIDTH": "300"})
    printed = runner.invoke(command, options)
    assert (printed.exit_code, "30 questions" in printed.output) == (0, True)
    assert printed.output.count("any") == 4
    refused = runner.invoke(command, ["--model", str(tmp_path)])
    assert refused.exit_code == 2 and "has no config.json" in refused.output
