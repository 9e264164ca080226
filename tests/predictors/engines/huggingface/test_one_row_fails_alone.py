"""Whatever one query does, only that one fails: its neighbours in the batch get the answers that
they get without it."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio
import torch

from predictors.contract import Query, Sampling
from predictors.engines.huggingface import HuggingFaceEngine
from predictors.errors import EngineError, InvalidRequest
from tests.predictors.engines.huggingface.conftest import start_engine
from tests.predictors.engines.huggingface.tiny_llama import write_tiny_llama
from tests.predictors.engines.neighbours import among

pytestmark = pytest.mark.asyncio(loop_scope="module")

GREEDY: Final = Sampling(max_tokens=24, temperature=0.0, repetition_penalty=1.0)
SEEDED: Final = Sampling(max_tokens=24, temperature=0.9, top_p=0.9, seed=7)
NEIGHBOURS: Final = [
    Query("abc", GREEDY),
    Query("a longer one, of more than a page of the cache", GREEDY),
    Query("seeded", SEEDED),
    Query("stops", Sampling(max_tokens=24, temperature=0.0, stop=("\n\n", "never there"))),
]
ONE_TOKEN: Final = Query("x", Sampling(max_tokens=1, temperature=0.0, stop=("never there",)))
POISON: Final = "~"  # the token that a poison is tied to; no neighbour has it
POISONED: Final = Query(f"a query with {POISON} in it", GREEDY)


@pytest.fixture(scope="module")
def endless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_llama(tmp_path_factory.mktemp("endless"), endless=True)


@pytest_asyncio.fixture(
    scope="module", loop_scope="module", params=["continuous", "alone", "plain"]
)
async def engine(request: pytest.FixtureRequest, endless: Path) -> AsyncIterator[HuggingFaceEngine]:
    engine = await start_engine(request.param, endless)
    yield engine
    await engine.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def undisturbed(engine: HuggingFaceEngine) -> list[str]:
    return [(await engine.generate([query]))[0].text for query in NEIGHBOURS]


@pytest.fixture
def poison(engine: HuggingFaceEngine) -> Iterator[int]:
    """The number of the poisoned token; its embedding is as before once the test has ended."""
    weight = engine.loaded.model.get_input_embeddings().weight.data
    (token,) = engine.loaded.tokenizer.encode(POISON)
    before = weight[token].clone()
    yield token
    weight[token] = before


async def outcomes(engine: HuggingFaceEngine, bad: list[Query]) -> tuple[list[Any], list[Any]]:
    return await among(engine, NEIGHBOURS, bad)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
async def test_a_prompt_whose_logits_are_no_numbers(
    engine: HuggingFaceEngine, undisturbed: list[str], poison: int, value: float
) -> None:
    """In the continuous batch attention spreads it to all rows."""
    engine.loaded.model.get_input_embeddings().weight.data[poison] = value
    texts, (bad,) = await outcomes(engine, [POISONED])
    assert texts == undisturbed
    assert isinstance(bad, EngineError)
    assert "NaN" in str(bad)
    assert (await outcomes(engine, []))[0] == undisturbed


@pytest.mark.parametrize("fault", [RuntimeError, IndexError, torch.OutOfMemoryError, ValueError])
async def test_a_prompt_over_which_the_model_raises(
    engine: HuggingFaceEngine,
    undisturbed: list[str],
    poison: int,
    fault: Callable[[str], Exception],
) -> None:
    def raising(module: Any, given: tuple[torch.Tensor, ...]) -> None:
        if (given[0] == poison).any():
            raise fault("the model can't take this token")

    hook = engine.loaded.model.get_input_embeddings().register_forward_pre_hook(raising)
    texts, bad = await outcomes(engine, [POISONED] * 3)
    hook.remove()
    assert texts == undisturbed
    assert all(isinstance(each, EngineError) for each in bad)
    assert all("can't take this token" in str(each) for each in bad)


async def test_a_prompt_with_a_token_that_the_model_does_not_know(
    engine: HuggingFaceEngine, undisturbed: list[str]
) -> None:
    tokenizer = engine.loaded.tokenizer
    if "<|new|>" not in tokenizer.get_vocab():
        tokenizer.add_tokens(["<|new|>"])
    texts, (bad,) = await outcomes(engine, [Query("say <|new|>", GREEDY)])
    assert texts == undisturbed
    assert isinstance(bad, InvalidRequest)
    assert "token '<|new|>', number 260" in str(bad)


async def test_a_stop_string_over_which_the_tokenizer_raises(
    engine: HuggingFaceEngine, undisturbed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A vocabulary that is padded has tokens that no text belongs to."""
    decode = engine.loaded.tokenizer.decode
    (alone,) = await engine.generate([ONE_TOKEN])
    first = engine.loaded.tokenizer.encode(alone.text)

    def picky(tokens: list[int], **options: Any) -> str:
        if threading.current_thread() is not threading.main_thread() and list(tokens) == first:
            raise TypeError("sequence item 0: expected str instance, NoneType found")
        return str(decode(tokens, **options))

    monkeypatch.setattr(engine.loaded.tokenizer, "decode", picky)
    texts, (bad,) = await outcomes(engine, [ONE_TOKEN])
    assert texts == undisturbed
    assert isinstance(bad, EngineError)
    assert "expected str instance" in str(bad)


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(max_tokens=9, temperature=1e-320),
        Sampling(max_tokens=9, temperature=1e-45, top_p=1.0),
        Sampling(max_tokens=9, temperature=1e-6, seed=1),
        Sampling(max_tokens=9, top_p=1e-320),
        Sampling(max_tokens=9, top_p=1e-46, seed=1),
        Sampling(max_tokens=9, top_p=0.0),
        Sampling(max_tokens=9, repetition_penalty=1e-320),
        Sampling(max_tokens=9, repetition_penalty=1e-38, temperature=0.0),
        Sampling(max_tokens=9, repetition_penalty=1e30),
        Sampling(max_tokens=9, seed=2**63 - 1),
        Sampling(max_tokens=9, seed=-(2**70)),
        Sampling(max_tokens=9, temperature=2.0, top_p=1e-10, repetition_penalty=10.0, seed=0),
    ],
    ids=str,
)
async def test_parameters_that_single_precision_cannot_hold(
    engine: HuggingFaceEngine, undisturbed: list[str], sampling: Sampling
) -> None:
    texts, answers = await outcomes(engine, [Query("x", sampling)] * 2)
    assert texts == undisturbed
    assert all(answer[0].completion_tokens for answer in answers)


async def test_many_bad_queries_among_many_good_ones(
    engine: HuggingFaceEngine, undisturbed: list[str], poison: int
) -> None:
    engine.loaded.model.get_input_embeddings().weight.data[poison] = float("nan")
    rounds = [outcomes(engine, [POISONED] * (turn % 2)) for turn in range(10)]
    for texts, bad in await asyncio.gather(*rounds):
        assert texts == undisturbed
        assert all(isinstance(each, EngineError) for each in bad)
    assert await engine.healthy()


async def test_a_tiny_temperature_is_greedy_and_a_tiny_nucleus_is_the_likeliest_token(
    engine: HuggingFaceEngine,
) -> None:
    common: dict[str, Any] = {"max_tokens": 12, "repetition_penalty": 1.0}
    (greedy,) = await engine.generate([Query("x", Sampling(temperature=0.0, **common))])
    (cold,) = await engine.generate([Query("x", Sampling(temperature=1e-320, **common))])
    (narrow,) = await engine.generate([Query("x", Sampling(top_p=1e-320, **common))])
    assert cold.text == narrow.text == greedy.text
