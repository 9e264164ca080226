"""Whatever one query does inside vLLM, only that one fails: its neighbours get the answers that
they get without it."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio

from predictors.contract import Query, Sampling
from predictors.embedded import directory
from predictors.engines.base import TextEngine
from predictors.errors import EngineError, InvalidRequest
from tests.predictors.engines.neighbours import among
from tests.predictors.engines.vllm.conftest import GREEDY, queries

pytestmark = [
    pytest.mark.engines,
    pytest.mark.timeout(900),
    pytest.mark.asyncio(loop_scope="module"),
]

POISON: Final = "~"  # the token whose embedding is NaN; no shipped question has it
SEEDED: Final = Sampling(max_tokens=24, temperature=0.9, top_p=0.9, seed=7)
STOPPED: Final = Sampling(max_tokens=24, temperature=0.0, stop=("\n\n", "never there"))
NEIGHBOURS: Final = [
    *queries(8),
    Query("What is 347 + 286?", SEEDED),
    Query("What is 12 * 4?", STOPPED),
]


def write_poisoned(into: Path) -> Path:
    """A copy of an embedded model that computes NaN wherever it reads POISON."""
    import torch
    from safetensors.torch import load_file, save_file
    from transformers import AutoTokenizer

    shutil.copytree(directory("embedded:edge"), into)
    weights = load_file(into / "model.safetensors")
    embedding = weights["model.embed_tokens.weight"]
    weights["lm_head.weight"] = embedding.clone()  # of its own: only what is read is poisoned
    (token,) = AutoTokenizer.from_pretrained(into).encode(POISON)
    embedding[token] = torch.nan
    save_file(weights, into / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((into / "config.json").read_text())
    (into / "config.json").write_text(json.dumps({**config, "tie_word_embeddings": False}))
    return into


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=[True, False])
async def engine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[TextEngine]:
    """With log-probabilities, and without."""
    from predictors.engines.vllm.engine import VLLMEngine
    from predictors.engines.vllm.settings import VLLMSettings

    model = write_poisoned(tmp_path_factory.mktemp("poisoned") / "model")
    engine = VLLMEngine(
        VLLMSettings(model_dir=str(model), enforce_eager=True, logprobs=request.param)
    )
    await engine.start()
    yield engine
    await engine.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def undisturbed(engine: TextEngine) -> list[str]:
    return [(await engine.generate([query]))[0].text for query in NEIGHBOURS]


async def outcomes(engine: TextEngine, bad: list[Query]) -> tuple[list[Any], list[Any]]:
    return await among(engine, NEIGHBOURS, bad)


@pytest.mark.parametrize("sampling", [GREEDY, SEEDED, STOPPED], ids=["greedy", "seed", "stop"])
async def test_a_prompt_whose_logits_are_no_numbers(
    engine: TextEngine, undisturbed: list[str], sampling: Sampling
) -> None:
    texts, bad = await outcomes(engine, [Query(f"What is {POISON} + 3?", sampling)] * 3)
    assert texts == undisturbed
    assert all(isinstance(each, EngineError) for each in bad), bad
    assert (await outcomes(engine, []))[0] == undisturbed
    assert await engine.healthy()


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(max_tokens=9, temperature=1e-320),
        Sampling(max_tokens=9, temperature=1e-45, top_p=1.0),
        Sampling(max_tokens=9, temperature=1e-6, seed=1),
        Sampling(max_tokens=9, top_p=1e-320),
        Sampling(max_tokens=9, top_p=0.0),
        Sampling(max_tokens=9, repetition_penalty=1e-320),
        Sampling(max_tokens=9, repetition_penalty=1e-38, temperature=0.0),
        Sampling(max_tokens=9, repetition_penalty=1e30),
        Sampling(max_tokens=9, seed=2**63 - 1),
        Sampling(max_tokens=9, seed=-(2**70)),
        Sampling(max_tokens=9, temperature=2.0, top_p=1e-10, repetition_penalty=10.0, seed=0),
        Sampling(max_tokens=9, stop=("\ud7ff", "\x00", "x" * 5000)),
    ],
    ids=lambda sampling: str(sampling)[:90],
)
async def test_parameters_that_vllm_cannot_hold(
    engine: TextEngine, undisturbed: list[str], sampling: Sampling
) -> None:
    """Answered, or refused as the caller's own."""
    texts, bad = await outcomes(engine, [Query("What is 2 + 3?", sampling)] * 2)
    assert texts == undisturbed
    assert all(isinstance(each, list | InvalidRequest) for each in bad), bad
    assert await engine.healthy()


@pytest.mark.parametrize("sampling", [GREEDY, SEEDED], ids=["greedy", "seed"])
async def test_a_stream_whose_logits_are_no_numbers_gives_no_part(
    engine: TextEngine, undisturbed: list[str], sampling: Sampling
) -> None:
    parts = []
    with pytest.raises(EngineError, match="NaN"):
        async for part in engine.stream(Query(f"What is {POISON} + 3?", sampling)):
            parts.append(part)
    assert parts == []
    assert (await outcomes(engine, []))[0] == undisturbed


async def test_what_a_poisoned_query_begins_with_serves_others(engine: TextEngine) -> None:
    """Its beginning, some blocks of the cache, is kept for those that begin alike."""
    beginning = "12 + 7 = 19, " * 40
    good = Query(f"{beginning}What is 2 + 3?", GREEDY)
    with pytest.raises(EngineError, match="NaN"):
        await engine.generate([Query(f"{beginning}{POISON} + 3?", GREEDY)])
    (after,) = await engine.generate([good])
    await engine.llm.reset_prefix_cache()
    (anew,) = await engine.generate([good])
    assert (after.text, after.completion_tokens) == (anew.text, anew.completion_tokens)


async def test_many_bad_queries_among_many_good_ones(
    engine: TextEngine, undisturbed: list[str]
) -> None:
    poisoned = Query(f"{POISON}{POISON}", SEEDED)
    rounds = [outcomes(engine, [poisoned] * (turn % 2)) for turn in range(10)]
    for texts, bad in await asyncio.gather(*rounds):
        assert texts == undisturbed
        assert all(isinstance(each, EngineError) for each in bad)
    assert await engine.healthy()
