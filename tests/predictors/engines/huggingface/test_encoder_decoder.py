"""Encoder-decoder models: the answers of transformers' own generate, alone and in any company."""

import asyncio
from pathlib import Path

import pytest
import torch
from transformers import (
    AutoModelForSeq2SeqLM,
    BartConfig,
    BartForConditionalGeneration,
    PreTrainedTokenizerFast,
    T5Config,
    T5ForConditionalGeneration,
)

from predictors.contract import Query, Sampling
from predictors.engines.base import CONTINUES, ECHO
from predictors.engines.huggingface import HuggingFaceEngine, HuggingFaceSettings
from predictors.errors import ConfigurationError, InvalidRequest
from tests.predictors.engines.huggingface.tiny_llama import byte_tokenizer

CONTEXT = 64
GREEDY = Sampling(max_tokens=12, temperature=0.0, repetition_penalty=1.0)
TEXTS = [f"{'longer ' * (n % 4)}text {n}" for n in range(8)]


def write_t5(directory: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    config = T5Config(
        vocab_size=len(tokenizer),
        d_model=32,
        d_kv=8,
        d_ff=64,
        num_layers=2,
        num_heads=4,
        initializer_factor=3.0,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        decoder_start_token_id=tokenizer.pad_token_id,
    )
    T5ForConditionalGeneration(config).save_pretrained(directory)


def write_bart(directory: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    """Positions are absolute here: padding on the wrong side would shift them."""
    config = BartConfig(
        vocab_size=len(tokenizer),
        d_model=32,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=64,
        decoder_ffn_dim=64,
        max_position_embeddings=CONTEXT,
        init_std=0.5,
        bos_token_id=0,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        decoder_start_token_id=tokenizer.eos_token_id,
        forced_bos_token_id=65,
        forced_eos_token_id=None,
    )
    BartForConditionalGeneration(config).save_pretrained(directory)


@pytest.fixture(scope="module", params=[write_t5, write_bart])
def model_dir(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("encoder-decoder")
    tokenizer = byte_tokenizer(chat=False)
    tokenizer.model_max_length = CONTEXT
    tokenizer.save_pretrained(directory)
    torch.manual_seed(0)
    request.param(directory, tokenizer)
    return directory


@pytest.fixture
async def engine(model_dir: Path):
    engine = HuggingFaceEngine(HuggingFaceSettings(model_dir=str(model_dir), threads=1))
    await engine.start()
    yield engine
    await engine.close()


def by_transformers(model_dir: Path, text: str) -> list[int]:
    """The tokens after the one that the decoder starts with."""
    tokenizer = PreTrainedTokenizerFast.from_pretrained(model_dir)
    model = AutoModelForSeq2SeqLM.from_pretrained(model_dir).eval()
    inputs = torch.tensor([tokenizer.encode(text)])
    found = model.generate(inputs, do_sample=False, num_beams=1, max_new_tokens=12)
    return [int(token) for token in found[0][1:]]


async def test_alone_in_a_batch_and_concurrently_it_answers_as_transformers_does(engine, model_dir):
    expected = []
    for text in TEXTS:
        tokens = by_transformers(model_dir, text)
        expected.append(engine.loaded.tokenizer.decode(tokens, skip_special_tokens=True))
    alone = [(await engine.generate([Query(text, GREEDY)]))[0].text for text in TEXTS]
    batch = await engine.generate([Query(text, GREEDY) for text in TEXTS])
    concurrent = await asyncio.gather(*(engine.generate([Query(t, GREEDY)]) for t in TEXTS))
    assert alone == expected
    assert [answer.text for answer in batch] == expected
    assert [answer.text for (answer,) in concurrent] == expected
    assert len(set(expected)) > 4


async def test_query_and_answer_have_the_context_each(engine):
    long = Sampling(max_tokens=500, temperature=0.0, repetition_penalty=1.0, stop=())
    (answer,) = await engine.generate([Query("x" * (CONTEXT - 4), long)])
    assert answer.prompt_tokens == CONTEXT - 4
    assert answer.completion_tokens > 4
    with pytest.raises(InvalidRequest, match=f"100 tokens, more than the context of {CONTEXT}"):
        await engine.generate([Query("x" * 100, long)])


async def test_the_repetition_penalty_looks_at_the_answer_only(engine):
    strong = Sampling(max_tokens=20, temperature=0.0, repetition_penalty=10.0)
    texts = ["abc", "abd"]
    answers = await engine.generate([Query(text, strong) for text in texts])
    for answer in answers:
        ascii_characters = [character for character in answer.text if character.isascii()]
        assert len(ascii_characters) == len(set(ascii_characters))
        assert answer.mean_logprob < 0


async def test_continuous_batching_is_refused_with_the_reason(model_dir):
    settings = HuggingFaceSettings(model_dir=str(model_dir), batching="continuous")
    with pytest.raises(ConfigurationError, match="it is an encoder-decoder; set batching to auto"):
        await HuggingFaceEngine(settings).start()


async def test_its_prompts_are_not_scored_and_its_answers_begin_anew(engine):
    """The encoder's prompt has no probabilities, and no beginning of an answer."""
    assert HuggingFaceEngine.takes - engine.takes == {CONTINUES, ECHO}
