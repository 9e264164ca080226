"""What a round costs a vLLM server, by the length of what is known, both ways of asking.

By prompt log-probabilities vLLM skips its prefix cache: the prompt is computed again in each round,
and all of its tokens are told. `again` is the share of a round's seconds that this takes: what it
takes longer than a request for one token, whose prompt is in the cache. A model of 16 M random
weights; the answer grows by 5 tokens a round, as it does in life. `make bench-vllm` runs it.
"""

import random
import shutil
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from statistics import median

import httpx
import pytest

from predictors.embedded import directory
from predictors.engines.speculative.vllm_ways import COMPLETIONS, GREEDY, WAYS
from tests.predictors.engines.vllm.openai_server import running

pytestmark = [
    pytest.mark.benchmark,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(find_spec("vllm") is None, reason="run by make bench-vllm"),
]

CONTEXT = 4096
LENGTHS = (64, 256, 512, 1024, 2048, 4000)
DRAFTED = 4
ROUNDS = 12
ANSWER = (DRAFTED + 1) * ROUNDS


def made(into: Path) -> Path:
    from transformers import LlamaConfig, LlamaForCausalLM

    source = directory("embedded:long-cloud")
    config = LlamaConfig.from_pretrained(source)
    config.update(
        {
            "hidden_size": 384,
            "intermediate_size": 1536,
            "num_hidden_layers": 7,
            "num_attention_heads": 6,
            "num_key_value_heads": 6,
            "head_dim": 64,
            "max_position_embeddings": CONTEXT,
        }
    )
    model = LlamaForCausalLM(config)
    model.save_pretrained(into)
    for name in ("tokenizer.json", "tokenizer_config.json", "generation_config.json"):
        if (source / name).exists():
            shutil.copy(source / name, into)
    print(f"\n{model.num_parameters() / 1e6:.1f} M weights, {DRAFTED} drafted tokens a round")
    return into


def test_what_a_round_costs_by_length(tmp_path: Path) -> None:
    model = made(tmp_path / "model")
    length = ("--max-model-len", str(CONTEXT))
    with (
        running(model, "m", tmp_path / "log", "--enforce-eager", *length) as url,
        httpx.Client(base_url=url.removesuffix("/v1"), timeout=300) as client,
    ):
        print("tokens  one token   prompt_logprobs   again    bytes   prefixes    bytes")
        for length in LENGTHS:
            told(client, length)


def told(client: httpx.Client, length: int) -> None:
    draws = random.Random(length)
    tokens = [draws.randrange(5, 390) for _ in range(length)]
    draft = [draws.randrange(5, 390) for _ in range(DRAFTED)]
    begin = length - min(ANSWER, length // 2)
    one = cost(client, tokens, begin, lambda known: {**GREEDY, "prompt": known})
    scored = cost(client, tokens, begin, lambda known: WAYS["prompt_logprobs"].fields(known, draft))
    spread = cost(client, tokens, begin, lambda known: WAYS["prefixes"].fields(known, draft))
    print(
        f"{length:6} {one[0] * 1e3:7.1f} ms {scored[0] * 1e3:14.1f} ms "
        f"{1 - one[0] / scored[0]:7.0%} {scored[1]:9} {spread[0] * 1e3:7.1f} ms {spread[1]:9}"
    )


def cost(
    client: httpx.Client, tokens: list[int], begin: int, fields: Callable[[list[int]], object]
) -> tuple[float, int]:
    """Seconds of a round, and bytes of its answer; medians."""
    seconds, sizes = [], []
    for end in range(begin, len(tokens) + 1, max((len(tokens) - begin) // ROUNDS, 1)):
        began = time.perf_counter()
        answer = client.post(COMPLETIONS, json={"model": "m", **fields(tokens[:end])})
        seconds.append(time.perf_counter() - began)
        answer.raise_for_status()
        sizes.append(len(answer.content))
    return median(seconds[1:]), int(median(sizes))
