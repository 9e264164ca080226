"""`echo`: a prompt's own log-probabilities are those of one direct pass of the model over it."""

import asyncio
import math
import threading
from collections.abc import AsyncIterator, Sequence as Rows
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, MambaConfig, MambaForCausalLM

from predictors.contract import Delta, Query, Sampling, ScoredToken
from predictors.engines.base import ECHO
from predictors.engines.huggingface import HuggingFaceEngine, HuggingFaceSettings, scoring
from predictors.engines.huggingface.placing import placed
from predictors.errors import ContextTooLong, EngineError
from tests.predictors.engines.huggingface.tiny_llama import CONTEXT, byte_tokenizer

MODULE = pytest.mark.asyncio(loop_scope="module")
GREEDY: dict[str, Any] = {"temperature": 0.0, "repetition_penalty": 1.0}
TEXTS = [
    "a",
    "What is 47 + 385?",
    "Zwölf Boxkämpfer jagen Eva quer über den Sylter Deich, 12 €",
    "多字节字符 🙂 и ещё",
    "so long a text that it has several parts " * 5,
]


@pytest.fixture(scope="module", autouse=True)
def small_parts() -> Any:
    """So that a prompt of the tiny model has several."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("predictors.engines.huggingface.batching.PART_TOKENS", 40)
        yield


def echo(text: str = "", tokens: Rows[int] = (), *, answer: int = 0, top: int | None = 2) -> Query:
    sampling = Sampling(max_tokens=answer, **GREEDY)
    return Query(text, sampling, raw=True, tokens=tuple(tokens), top_logprobs=top, echo=True)


async def parts_of(engine: HuggingFaceEngine, query: Query) -> list[Delta]:
    async with aclosing(engine.stream(query)) as deltas:
        return [delta async for delta in deltas]


class Direct:
    """The checkpoint as transformers alone loads and runs it."""

    def __init__(self, model_dir: Path) -> None:
        self.model = AutoModelForCausalLM.from_pretrained(model_dir, dtype=torch.float32)
        self.tokenizer = AutoTokenizer.from_pretrained(model_dir)

    def logprobs(self, tokens: list[int]) -> torch.Tensor:
        """[tokens - 1, vocabulary], of what follows each but the last."""
        with torch.no_grad():
            logits = self.model(torch.tensor([tokens])).logits[0, :-1]
        return torch.as_tensor(logits.log_softmax(-1))


@pytest.fixture(scope="module")
def direct(tiny_llama: Path) -> Direct:
    return Direct(tiny_llama)


def assert_scored(scored: Rows[ScoredToken], tokens: list[int], direct: Direct) -> None:
    assert len(scored) == len(tokens)
    assert (scored[0].logprob, scored[0].top) == (None, ())
    expected = direct.logprobs(tokens)
    for place, token in enumerate(scored[1:]):
        assert token.text == direct.tokenizer.decode([tokens[place + 1]])
        assert token.logprob == pytest.approx(float(expected[place, tokens[place + 1]]), abs=1e-3)
        values, _ = expected[place].topk(len(token.top))
        assert [value for _, value in token.top] == pytest.approx(values.tolist(), abs=1e-3)


@MODULE
async def test_prompts_are_scored_as_a_direct_pass_does_while_others_are_answered(
    engine: HuggingFaceEngine, direct: Direct
) -> None:
    plain = Query("another caller's", Sampling(max_tokens=60, **GREEDY))
    (alone,) = await engine.generate([plain])
    rows = [direct.tokenizer.encode(text) for text in TEXTS]
    asked = [*map(echo, TEXTS), *(echo(tokens=row) for row in rows)]
    answers = asyncio.ensure_future(engine.generate([plain] * 3))
    given = await asyncio.gather(*(parts_of(engine, query) for query in asked))
    for text, tokens, parts in zip(TEXTS * 2, rows * 2, given, strict=True):
        prompt, last = parts
        assert prompt.text == text
        assert_scored(prompt.tokens, tokens, direct)
        assert last.answer is not None and last.answer.text == text
        counts = (last.answer.prompt_tokens, last.answer.completion_tokens)
        assert (counts, last.finish_reason) == ((len(tokens), 0), "length")
        assert last.answer.mean_logprob is last.answer.time_to_first_token is None
    assert {answer.text for answer in await answers} == {alone.text}


@MODULE
@pytest.mark.parametrize("most", [1, 2, 20])
async def test_an_answer_goes_on_behind_its_prompt(engine: HuggingFaceEngine, most: int) -> None:
    text = TEXTS[4]
    (answer,) = await engine.generate([Query(text, Sampling(max_tokens=most, **GREEDY), raw=True)])
    prompt, *parts = await parts_of(engine, echo(text, answer=most))
    assert prompt.text == text
    assert "".join(part.text for part in parts) == answer.text
    last = parts[-1].answer
    assert last is not None and last.text == text + answer.text
    assert last.completion_tokens == answer.completion_tokens
    assert last.mean_logprob == pytest.approx(answer.mean_logprob, abs=1e-3)
    tokens = [token for part in parts for token in part.tokens]
    assert len(tokens) == answer.completion_tokens
    assert tokens[0].offset == len(text)


@MODULE
async def test_the_token_that_ends_an_answer_stands_behind_a_prompt_too(
    engine: HuggingFaceEngine,
) -> None:
    """Who scores with max_tokens 1 leaves out the last token, whichever that is."""
    assert engine.loaded is not None
    (end,) = engine.loaded.end_tokens

    def ends(_: Any, arguments: Any, out: Any) -> Any:
        out.logits[..., end] = 100
        return out

    hook = engine.loaded.model.register_forward_hook(ends)
    try:
        _, last = await parts_of(engine, echo("to be or not to be", answer=1))
    finally:
        hook.remove()
    assert (last.text, last.finish_reason) == ("", "stop")
    assert [token.text for token in last.tokens] == ["<|end|>"]


@MODULE
async def test_without_log_probabilities_a_prompt_is_only_repeated(
    engine: HuggingFaceEngine,
) -> None:
    prompt, last = await parts_of(engine, echo("hello", top=None))
    assert (prompt, last.text, last.tokens) == (Delta("hello"), "", ())
    scored, _ = await parts_of(engine, echo("hello", top=0))
    assert [token.top for token in scored.tokens] == [()] * 5


@MODULE
async def test_a_prompt_may_fill_the_context_where_no_answer_follows(
    engine: HuggingFaceEngine,
) -> None:
    prompt, _ = await parts_of(engine, echo("x" * CONTEXT))
    assert len(prompt.tokens) == CONTEXT
    for query in (echo("x" * (CONTEXT + 1)), echo("x" * CONTEXT, answer=1)):
        with pytest.raises(ContextTooLong):
            await parts_of(engine, query)


@MODULE
async def test_a_short_prompt_waits_for_a_part_of_a_long_one_alone(
    engine: HuggingFaceEngine,
) -> None:
    """And no more of a prompt is computed once its caller has gone."""
    assert engine.loaded is not None
    held, go_on, computed = threading.Event(), threading.Event(), []

    def hold(_: Any, arguments: tuple[Any, ...], given: dict[str, Any]) -> None:
        computed.append(given["input_ids"].shape[1])
        if len(computed) == 1:
            held.set()
            assert go_on.wait(10)

    hook = engine.loaded.model.register_forward_pre_hook(hold, with_kwargs=True)
    try:
        long = asyncio.ensure_future(parts_of(engine, echo(TEXTS[4])))
        assert await asyncio.to_thread(held.wait, 10)
        short = asyncio.ensure_future(parts_of(engine, echo("short")))
        await asyncio.sleep(0)
        go_on.set()
        await short
        assert not long.done()
        await long
        assert computed == [40, 5, 40, 40, 40, 40, 5]

        held.clear(), go_on.clear(), computed.clear()
        gone = asyncio.ensure_future(parts_of(engine, echo(TEXTS[4])))
        assert await asyncio.to_thread(held.wait, 10)
        gone.cancel()
        go_on.set()
        await asyncio.wait([gone])
        await parts_of(engine, echo("short"))
        assert computed == [40, 5]
    finally:
        hook.remove()


@MODULE
@pytest.mark.parametrize("fault", ["raises", "NaN"])
async def test_a_prompt_over_which_the_model_fails_fails_alone(
    engine: HuggingFaceEngine, fault: str
) -> None:
    assert engine.loaded is not None

    def fail(_: Any, arguments: tuple[Any, ...], given: dict[str, Any], out: Any) -> Any:
        if given["input_ids"].shape[1] == 7 and fault == "raises":
            raise RuntimeError("no memory")
        if given["input_ids"].shape[1] == 7:
            out.logits[:] = math.nan
        return out

    hook = engine.loaded.model.register_forward_hook(fail, with_kwargs=True)
    try:
        bad = asyncio.ensure_future(parts_of(engine, echo("seven t")))
        good = await parts_of(engine, echo("another"[:6]))
        assert len(good[0].tokens) == 6
        with pytest.raises(EngineError, match="no memory" if fault == "raises" else "NaN"):
            await bad
    finally:
        hook.remove()


class Chunks:
    """Decodes as byte_fallback does: a token of one byte, or of a word."""

    is_fast = False

    def decode(self, tokens: list[int]) -> str:
        words = {300: b"word ", 301: b" \xe2\x82\xac"}
        data = b"".join(words.get(token) or bytes([token]) for token in tokens)
        return data.decode(errors="replace")


@pytest.mark.parametrize(
    ("tokens", "text", "offsets"),
    [
        ([*"é€".encode(), 65], "é€A", [0, 0, 1, 1, 1, 2]),
        ([300, *"🙂".encode(), 301], "word 🙂 €", [0, 5, 5, 5, 5, 6]),
        ([0xE2, 0x82, 65], "\ufffdA", [0, 0, 0]),
        ([0x80] * 6, "\ufffd" * 6, [0, 0, 0, 0, 4, 4]),
    ],
)
def test_tokens_of_several_bytes_begin_where_their_character_does(
    tokens: list[int], text: str, offsets: list[int]
) -> None:
    assert placed(Query("", raw=True, tokens=tuple(tokens)), tokens, Chunks()) == (text, offsets)


@pytest.mark.parametrize("text", TEXTS)
def test_a_texts_tokens_and_its_token_ids_begin_at_the_same_places(text: str) -> None:
    tokenizer = byte_tokenizer(chat=False)
    tokens = tokenizer.encode(text)
    placed_text, offsets = placed(Query(text, raw=True), tokens, tokenizer)
    assert placed_text == text
    assert placed(Query("", raw=True, tokens=tuple(tokens)), tokens, tokenizer) == (text, offsets)
    characters = [text.encode()[:n].decode(errors="ignore") for n in range(len(tokens))]
    assert offsets == [len(before) for before in characters]


@pytest.fixture
async def mamba(tiny_llama: Path, tmp_path: Path) -> AsyncIterator[HuggingFaceEngine]:
    """A state-space model, which goes on from a cache less exactly than it begins."""
    byte_tokenizer(chat=True).save_pretrained(tmp_path)
    torch.manual_seed(0)
    config = MambaConfig(
        vocab_size=260, hidden_size=32, num_hidden_layers=2, eos_token_id=256, pad_token_id=257
    )
    MambaForCausalLM(config).save_pretrained(tmp_path)
    engine = HuggingFaceEngine(HuggingFaceSettings(model_dir=str(tmp_path)))
    await engine.start()
    yield engine
    await engine.close()


async def test_a_model_without_attention_is_scored(
    mamba: HuggingFaceEngine, tmp_path: Path
) -> None:
    prompt, _ = await parts_of(mamba, echo(TEXTS[4]))
    direct = Direct(tmp_path)
    assert_scored(prompt.tokens, direct.tokenizer.encode(TEXTS[4]), direct)


async def test_a_model_that_can_only_be_scored_as_a_whole_has_a_limit(
    mamba: HuggingFaceEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scoring, "WHOLE_BYTES", 4 * 260 * 50)
    assert mamba.loaded is not None and mamba.batches is not None
    mamba.scorer = scoring.PromptScorer(mamba.loaded, mamba.batches, None)
    prompt, _ = await parts_of(mamba, echo("x" * 50))
    assert len(prompt.tokens) == 50
    with pytest.raises(ContextTooLong, match="51 tokens; of this model up to 50 are scored"):
        await parts_of(mamba, echo("x" * 51))


async def test_a_model_that_computes_prompts_otherwise_takes_no_echo(
    tiny_llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(self: Any, tokens: list[int], cache: Any) -> torch.Tensor:
        return torch.zeros(len(tokens), 260)

    monkeypatch.setattr(scoring.PromptScorer, "_logits", wrong)
    engine = HuggingFaceEngine(HuggingFaceSettings(model_dir=str(tiny_llama)))
    await engine.start()
    try:
        assert engine.takes == HuggingFaceEngine.takes - {ECHO}
    finally:
        await engine.close()
