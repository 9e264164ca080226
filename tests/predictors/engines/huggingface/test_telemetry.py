"""Telemetry against a forward pass over the whole sequence, done by hand."""

import json
import shutil

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from predictors.contract import (
    Answer,
    Query,
    Sampling,
)
from predictors.engines.huggingface import HuggingFaceEngine, HuggingFaceSettings
from tests.predictors.engines.huggingface.tiny_llama import CHAT_TEMPLATE

pytestmark = pytest.mark.asyncio(loop_scope="module")


def by_hand(model_dir, text: str, count: int) -> tuple[list[float], list[float], list[int]]:
    """Greedy continuation: its log-probabilities, margins p(top1) - p(top2), and tokens."""
    tokenizer = AutoTokenizer.from_pretrained(model_dir)
    assert tokenizer.chat_template == CHAT_TEMPLATE
    model = AutoModelForCausalLM.from_pretrained(model_dir, dtype=torch.float32).eval()
    ids = tokenizer.encode(f"<|user|>{text}<|assistant|>", add_special_tokens=False)
    prompt = len(ids)
    logprobs, margins = [], []
    for _ in range(count):
        with torch.no_grad():
            row = model(torch.tensor([ids])).logits[0, -1].log_softmax(-1)
        top = row.topk(2)
        logprobs.append(top.values[0].item())
        margins.append((top.values[0].exp() - top.values[1].exp()).item())
        ids.append(int(top.indices[0]))
    return logprobs, margins, ids[prompt:]


async def test_greedy_telemetry_is_that_of_a_forward_pass(engine, tiny_llama):
    logprobs, margins, _ = by_hand(tiny_llama, "how many?", 12)
    (answer,) = await engine.generate([Query("how many?", Sampling(12, 0.0, 1.0, 1.0))])
    assert answer.completion_tokens == 12
    assert answer.prompt_tokens == len("how many?") + 2
    assert answer.mean_logprob == pytest.approx(sum(logprobs) / 12, abs=1e-4)
    assert answer.min_logprob == pytest.approx(min(logprobs), abs=1e-4)
    assert answer.mean_margin == pytest.approx(sum(margins) / 12, abs=1e-4)


async def test_telemetry_is_of_the_model_not_of_temperature_top_p_or_penalty(engine, tiny_llama):
    """With top_p near 0 the sample is the most probable token, whose probability after top_p
    would be 1; telemetry has the one the model gave it."""
    logprobs, margins, _ = by_hand(tiny_llama, "how many?", 12)
    narrow = Sampling(12, temperature=1.7, top_p=1e-6, repetition_penalty=1.0, seed=1)
    (answer,) = await engine.generate([Query("how many?", narrow)])
    assert answer.mean_logprob == pytest.approx(sum(logprobs) / 12, abs=1e-4)
    assert answer.mean_margin == pytest.approx(sum(margins) / 12, abs=1e-4)


async def test_times_are_those_of_the_answer(engine):
    (answer,) = await engine.generate([Query("how many?", Sampling(40, 0.0, 1.0, 1.0))])
    assert 0 < answer.time_to_first_token < 10
    assert 0 < answer.inter_token_latency < 1


async def test_one_token_has_no_latency_between_tokens(engine):
    (answer,) = await engine.generate([Query("how many?", Sampling(1, 0.0, 1.0, 1.0))])
    assert answer.completion_tokens == 1
    assert answer.inter_token_latency is None
    assert answer.min_logprob == answer.mean_logprob


async def test_the_end_token_counts_as_generated_but_is_not_text(tiny_llama, tmp_path):
    """A token of the greedy answer is declared the end of the sequence."""
    logprobs, _, tokens = by_hand(tiny_llama, "how many?", 12)
    end = next(i for i in range(4, 12) if tokens.index(tokens[i]) == i)
    model_dir = tmp_path / "model"
    shutil.copytree(tiny_llama, model_dir)
    generation = json.loads((model_dir / "generation_config.json").read_text())
    generation["eos_token_id"] = [tokens[end], 257]
    (model_dir / "generation_config.json").write_text(json.dumps(generation))
    answers: list[Answer] = []
    for batching in ("continuous", "plain"):
        engine = HuggingFaceEngine(HuggingFaceSettings(model_dir=str(model_dir), batching=batching))
        await engine.start()
        answers += await engine.generate([Query("how many?", Sampling(12, 0.0, 1.0, 1.0))])
        await engine.close()
    for answer in answers:
        assert answer.completion_tokens == end + 1
        assert answer.mean_logprob == pytest.approx(sum(logprobs[: end + 1]) / (end + 1), abs=1e-4)
    full = AutoTokenizer.from_pretrained(tiny_llama).decode(tokens[:end])
    assert [answer.text for answer in answers] == [full, full]
