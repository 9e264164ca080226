"""OpenAI's options: an answer in JSON, and biases of tokens."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from predictors.contract import Query, Sampling
from predictors.contract.openai.errors import InvalidField
from predictors.engines.base import TextEngine
from tests.predictors.engines.vllm.conftest import GREEDY, queries

pytestmark = [
    pytest.mark.engines,
    pytest.mark.timeout(900),
    pytest.mark.asyncio(loop_scope="session"),
]

QUESTION = "What is 347 + 286?"
SUM = {
    "type": "object",
    "properties": {"sum": {"enum": [632, 633, 634]}, "sure": {"type": "boolean"}},
    "required": ["sum", "sure"],
    "additionalProperties": False,
}


def schema(of: Any) -> dict[str, Any]:
    return {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": of}}}


def without_blanks(engine: TextEngine) -> dict[str, float]:
    """Biases: JSON may have any number of blanks, which a model that knows no JSON writes."""
    tokenizer = engine.llm.get_tokenizer()
    texts = {str(number): tokenizer.decode([number]) for number in range(len(tokenizer))}
    return {number: -100 for number, text in texts.items() if text and not text.strip()}


async def test_an_answer_has_the_schema_that_was_asked_for(engine: TextEngine) -> None:
    """Whole and streamed, among others that have none."""
    options = {**schema(SUM), "logit_bias": without_blanks(engine)}
    sampling = Sampling(max_tokens=200, temperature=1.0, top_p=1.0)
    asked = [Query(QUESTION, replace(sampling, seed=seed), options=options) for seed in range(4)]
    plain = queries(12)
    before = [answer.text for answer in await engine.generate(plain)]
    answers, beside, parts = await asyncio.gather(
        engine.generate(asked), engine.generate(plain), _text(engine, asked[0])
    )
    assert [answer.text for answer in beside] == before
    for text in (*(answer.text for answer in answers), parts):
        found = json.loads(text)
        assert set(found) == {"sum", "sure"}
        assert type(found["sum"]) is int and type(found["sure"]) is bool


async def _text(engine: TextEngine, query: Query) -> str:
    return "".join([part.text async for part in engine.stream(query)])


async def test_an_answer_is_a_json_object_where_no_schema_is_given(engine: TextEngine) -> None:
    options = {"response_format": {"type": "json_object"}, "logit_bias": without_blanks(engine)}
    sampling = Sampling(max_tokens=500, temperature=1.5, top_p=1.0)
    seeds = [replace(sampling, seed=seed) for seed in range(8)]
    parts = await asyncio.gather(
        *(_last(engine, Query(QUESTION, each, options=options)) for each in seeds)
    )
    whole = [part.answer.text for part in parts if part.finish_reason == "stop"]
    assert whole and all(type(json.loads(text)) is dict for text in whole)


async def _last(engine: TextEngine, query: Query) -> Any:
    return [part async for part in engine.stream(query)][-1]


async def test_a_bias_forces_a_token_and_forbids_one(engine: TextEngine) -> None:
    (seven,) = engine.llm.get_tokenizer().encode("7")
    forced = Query(
        QUESTION, replace(GREEDY, max_tokens=4), options={"logit_bias": {str(seven): 100}}
    )
    assert (await engine.generate([forced]))[0].text == "7777"
    (usual,) = await engine.generate([Query(QUESTION, GREEDY)])
    (first,) = engine.llm.get_tokenizer().encode(usual.text[0])
    forbidden = replace(forced, options={"logit_bias": {str(first): -100}})
    assert usual.text[0] not in (await engine.generate([forbidden]))[0].text


async def test_log_probabilities_are_those_before_a_bias(engine: TextEngine) -> None:
    (seven,) = engine.llm.get_tokenizer().encode("7")
    biased = {"logit_bias": {str(seven): 100}}
    query = Query(QUESTION, replace(GREEDY, max_tokens=1), options=biased, top_logprobs=1)
    usual = await _tokens(engine, replace(query, options={}))
    (forced,) = await _tokens(engine, query)
    assert forced.text == "7" and forced.logprob < usual[0].logprob
    assert forced.top == (pytest.approx(usual[0].top[0]),)


async def _tokens(engine: TextEngine, query: Query) -> list[Any]:
    return [token async for part in engine.stream(query) for token in part.tokens]


def nested(depth: int) -> dict[str, Any]:
    inner: dict[str, Any] = {"type": "integer"}
    for _ in range(depth):
        inner = {"type": "object", "properties": {"a": inner}}
    return inner


FORMAT = "response_format"


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({FORMAT: {}}, f"{FORMAT}.type"),
        ({FORMAT: {"type": "yaml"}}, f"{FORMAT}.type"),
        ({FORMAT: {"type": ["json_object"]}}, f"{FORMAT}.type"),
        ({FORMAT: {"type": "json_schema"}}, f"{FORMAT}.json_schema.schema"),
        ({FORMAT: {"type": "json_schema", "json_schema": 3}}, f"{FORMAT}.json_schema.schema"),
        (schema(None), f"{FORMAT}.json_schema.schema"),
        (schema([]), f"{FORMAT}.json_schema.schema"),
        (schema({"type": "banana"}), FORMAT),
        (schema({"type": "object", "properties": [1]}), FORMAT),
        (schema({"$ref": "#/$defs/nowhere"}), FORMAT),
        (schema({"type": "string", "pattern": "(("}), FORMAT),
        (schema({"type": "integer", "minimum": 5, "maximum": 3}), FORMAT),
        (schema({"const": "\ud800"}), FORMAT),
        (schema(nested(400)), FORMAT),
        ({"logit_bias": {"x": 1}}, "logit_bias"),
        ({"logit_bias": {"-1": 1}}, "logit_bias"),
        ({"logit_bias": {"99999": 1}}, "logit_bias"),
        ({"logit_bias": {"9" * 5000: 1}}, "logit_bias"),
        ({"logit_bias": {"5": 100.5}}, "logit_bias"),
    ],
    ids=lambda each: str(each)[:70],
)
async def test_a_malformed_option_is_named_and_hurts_nobody(
    engine: TextEngine, options: dict[str, Any], field: str
) -> None:
    usual = await engine.generate([Query(QUESTION, GREEDY)])
    for asking in (engine.generate, lambda asked: _text(engine, asked[0])):
        with pytest.raises(InvalidField, match=field) as caught:
            await asking([Query(QUESTION, GREEDY, options=options)])
        assert (caught.value.param, caught.value.code) == (field, None)
        assert len(str(caught.value)) < 500 and ".cc:" not in str(caught.value)
    assert await engine.healthy()
    assert (await engine.generate([Query(QUESTION, GREEDY)]))[0].text == usual[0].text


@pytest.mark.parametrize("beyond", [{"type": "integer", "multipleOf": 3}, {"$ref": "#"}])
async def test_a_schema_beyond_this_engine_may_be_taken_elsewhere(
    engine: TextEngine, beyond: dict[str, Any]
) -> None:
    """The code by which a gateway asks the other side."""
    with pytest.raises(InvalidField) as caught:
        await engine.generate([Query(QUESTION, GREEDY, options=schema(beyond))])
    assert (caught.value.param, caught.value.code) == (FORMAT, "unsupported")


@pytest.mark.parametrize(
    "odd",
    [
        {},
        {"type": "string", "minLength": 10**6},
        {"type": "array", "items": {"type": "integer"}, "minItems": 10**6},
        {"type": "string", "pattern": "^(a{1,500}){1,500}$"},
        {"type": "string", "pattern": "(?=a)b"},
        {"not": {}},
        {"const": "a\0b"},
        nested(20),
    ],
    ids=lambda each: str(each)[:70],
)
async def test_an_odd_schema_hurts_nobody_else(engine: TextEngine, odd: dict[str, Any]) -> None:
    plain = queries(6)
    before = [answer.text for answer in await engine.generate(plain)]
    asked = Query(QUESTION, GREEDY, options=schema(odd))
    (answer,), beside = await asyncio.gather(engine.generate([asked]), engine.generate(plain))
    assert answer.completion_tokens
    assert [each.text for each in beside] == before
    assert await engine.healthy()
