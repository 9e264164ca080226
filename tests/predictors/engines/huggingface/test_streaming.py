"""Streams: the parts of an answer are the whole answer in a row, whichever way it is computed."""

import asyncio
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, strategies as st

from predictors.contract import Answer, Delta, Message, Query, Sampling
from predictors.contract.openai.errors import InvalidField
from predictors.engines.huggingface.engine import HuggingFaceEngine
from predictors.engines.huggingface.settings import HuggingFaceSettings
from predictors.engines.huggingface.streaming import Written
from predictors.engines.prompt import encode

GREEDY = Sampling(max_tokens=30, temperature=0.0, repetition_penalty=1.0)
QUERIES = [f"{'the longer the text ' * (n % 3)}question {n}?" for n in range(6)]
MODULE = pytest.mark.asyncio(loop_scope="module")


class Bytes:
    """A sequence whose tokens are the bytes of its text: every character of another script is
    several tokens, as for many a tokenizer."""

    def __init__(self, text: str, stop: tuple[str, ...] = ()) -> None:
        self.query = Query("x")
        self.sampling = Sampling(stop=stop)
        self.before: list[int] = []
        self.tokens: list[int] = []
        self.tops: list[Any] = []
        self.finish_reason = "stop"
        self._text = text

    def written(self) -> list[int]:
        return self.tokens

    def decode(self, tokens: list[int]) -> str:
        return bytes(tokens).decode(errors="replace")

    def answer(self) -> Answer:
        return Answer(self._text)


def read(text: str, pauses: list[int], stop: tuple[str, ...] = ()) -> list[str]:
    """The parts that somebody reads who looks after so many bytes each; `text` ends before a stop
    string, which is written too."""
    sequence = Bytes(text, stop)
    written = Written(sequence)  # type: ignore[arg-type]
    parts, data = [], (text + "".join(stop[:1])).encode()
    for pause in pauses:
        sequence.tokens += data[len(sequence.tokens) : len(sequence.tokens) + pause]
        if part := written.more():
            parts.append(part.text)
    sequence.tokens = list(data)
    return [*parts, written.rest().text]


@given(st.text(max_size=40), st.lists(st.integers(0, 5), max_size=80))
def test_parts_are_whole_characters_and_the_whole_text(text: str, pauses: list[int]) -> None:
    text = text.replace("\ufffd", "?").encode(errors="replace").decode()
    parts = read(text, pauses)
    assert "".join(parts) == text
    assert "\ufffd" not in "".join(parts)


@given(st.text("abE\N{GREEK SMALL LETTER ALPHA}", max_size=30), st.lists(st.integers(0, 4)))
def test_nothing_of_a_stop_string_goes_out(text: str, pauses: list[int]) -> None:
    stop = "END\N{GREEK SMALL LETTER OMEGA}"
    assert "".join(read(text, pauses, (stop,))) == text


async def collected(engine: HuggingFaceEngine, query: Query) -> list[Delta]:
    return [part async for part in engine.stream(query)]


@MODULE
async def test_a_stream_says_what_the_whole_answer_says(engine: HuggingFaceEngine) -> None:
    queries = [Query(text, GREEDY) for text in QUERIES]
    whole = await engine.generate(queries)
    streams = await asyncio.gather(*(collected(engine, query) for query in queries))
    for answer, parts in zip(whole, streams, strict=True):
        assert "".join(part.text for part in parts) == answer.text
        last = parts[-1]
        assert last.answer is not None
        assert last.answer.text == answer.text
        assert last.answer.completion_tokens == answer.completion_tokens
        assert last.answer.mean_logprob == pytest.approx(answer.mean_logprob, abs=1e-3)


@MODULE
async def test_an_answer_of_several_tokens_comes_in_parts(engine: HuggingFaceEngine) -> None:
    parts = await collected(engine, Query(QUERIES[2], GREEDY))
    assert sum(bool(part.text) for part in parts) >= 5


@MODULE
async def test_why_it_ended(engine: HuggingFaceEngine) -> None:
    answer = (await engine.generate([Query(QUERIES[2], GREEDY)]))[0].text
    short = replace(GREEDY, max_tokens=1)
    assert (await collected(engine, Query(QUERIES[2], short)))[-1].finish_reason == "length"
    stop = answer[3:6]
    parts = await collected(engine, Query(QUERIES[2], replace(GREEDY, stop=(stop,))))
    assert "".join(part.text for part in parts) == answer[: answer.index(stop)]
    assert parts[-1].finish_reason == "stop"


@MODULE
async def test_log_probabilities_of_each_token(engine: HuggingFaceEngine) -> None:
    parts = await collected(engine, Query(QUERIES[1], GREEDY, top_logprobs=3))
    tokens = [token for part in parts for token in part.tokens]
    answer = parts[-1].answer
    assert answer is not None and len(tokens) == answer.completion_tokens
    assert min(token.logprob for token in tokens) == pytest.approx(answer.min_logprob)
    for token in tokens:
        assert len(token.top) == 3
        assert token.top[0] == (token.text, pytest.approx(token.logprob))  # greedy
        assert [value for _, value in token.top] == sorted((v for _, v in token.top), reverse=True)
    none_asked = await collected(engine, Query(QUERIES[1], GREEDY, top_logprobs=0))
    assert all(token.top == () for part in none_asked for token in part.tokens)


@MODULE
async def test_who_leaves_frees_its_place(engine: HuggingFaceEngine) -> None:
    query = Query(QUERIES[2], GREEDY)
    async with aclosing(engine.stream(query)) as parts:
        await anext(parts)
    assert [part.text for part in await collected(engine, query)][-1] == ""
    sampler = getattr(engine.batches, "sampler", None)
    for _ in range(100):
        if sampler is None or not sampler.sequences:
            break
        await asyncio.sleep(0.05)
    assert sampler is None or not sampler.sequences


@MODULE
async def test_a_penalty_keeps_tokens_from_coming_again(engine: HuggingFaceEngine) -> None:
    repeated = {}
    for penalty in (0.0, 2.0):
        sampling = replace(GREEDY, frequency_penalty=50 * penalty)
        parts = await collected(engine, Query(QUERIES[1], sampling, top_logprobs=0))
        texts = [token.text for part in parts for token in part.tokens]
        tokens = [text for text in texts if "\ufffd" not in text]  # of bytes, which look alike
        repeated[penalty] = len(tokens) - len(set(tokens))
    assert repeated[0.0] > 0
    assert repeated[2.0] == 0


class Untemplated:
    chat_template: str | None = None

    def encode(self, text: str, add_special_tokens: bool) -> list[int]:
        assert add_special_tokens
        return list(text.encode())


async def test_a_conversation_needs_a_chat_template() -> None:
    messages = (Message("system", "be brief"), Message("user", "1 + 1?"))
    with pytest.raises(
        InvalidField, match="no chat template: send one user message, not 2"
    ) as refused:
        await encode(Query("1 + 1?", GREEDY, messages=messages), Untemplated(), 100, 256)
    assert refused.value.param == "messages"
    one = Query("1 + 1?", GREEDY, messages=messages[1:])
    assert (await encode(one, Untemplated(), 100, 256)).tokens == list(b"1 + 1?")


class Strict(Untemplated):
    """A tokenizer whose template takes turns in one order alone, as Mistral's and Gemma's do."""

    chat_template = "strict"

    def apply_chat_template(self, messages: list[dict[str, Any]], **options: Any) -> str:
        raise ValueError("Conversation roles must alternate user/assistant/user/assistant")


async def test_roles_in_an_order_that_the_template_refuses_are_named() -> None:
    messages = (Message("assistant", "2"), Message("assistant", "3"))
    with pytest.raises(InvalidField, match="refuses: Conversation roles must") as refused:
        await encode(Query("3", GREEDY, messages=messages), Strict(), 100, 256)
    assert refused.value.param == "messages"


@MODULE
async def test_a_conversation_goes_through_the_models_template(engine: HuggingFaceEngine) -> None:
    asked = Query("1 + 1?", GREEDY, messages=(Message("user", "1 + 1?"),))
    (one,) = await engine.generate([asked])
    (other,) = await engine.generate([Query("1 + 1?", GREEDY)])
    assert (one.text, one.prompt_tokens) == (other.text, other.prompt_tokens)
    messages = (Message("system", "add"), Message("user", "1 + 1?"))
    (longer,) = await engine.generate([Query("1 + 1?", GREEDY, messages=messages)])
    (raw,) = await engine.generate([Query("1 + 1?", GREEDY, raw=True)])
    counts = [each.prompt_tokens or 0 for each in (longer, one, raw)]
    assert counts == sorted(set(counts), reverse=True)


async def test_the_embedded_pair_answers_the_last_question_alone() -> None:
    """It has learned single sums: what was said before would only confuse it."""
    engine = HuggingFaceEngine(HuggingFaceSettings(model_dir="embedded:cloud"))
    await engine.start()
    try:
        before = [("user", "1 + 1?"), ("assistant", "2"), ("user", "47 + 385?")]
        messages = tuple(Message(role, text) for role, text in before)
        (talk,) = await engine.generate([Query("47 + 385?", GREEDY, messages=messages)])
        (alone,) = await engine.generate([Query("47 + 385?", GREEDY)])
        assert talk.text == alone.text == "432"
    finally:
        await engine.close()


@MODULE
async def test_raw_texts_and_tokens(engine: HuggingFaceEngine) -> None:
    assert engine.loaded is not None
    tokens = tuple(engine.loaded.tokenizer.encode("1 + 1?"))
    (text,) = await engine.generate([Query("1 + 1?", GREEDY, raw=True)])
    (numbers,) = await engine.generate([Query("", GREEDY, raw=True, tokens=tokens)])
    assert (text.text, text.prompt_tokens) == (numbers.text, numbers.prompt_tokens)
    for wrong in (99999, -1):
        with pytest.raises(InvalidField, match=f"prompt: there is no token {wrong}, the model"):
            await engine.generate([Query("", GREEDY, raw=True, tokens=(tokens[0], wrong))])
