"""Answers as OpenAI's objects: what the `openai` package's own types write."""

import json
from typing import Any

import pytest
from openai.types.chat import ChatCompletionChunk

from predictors.contract import Answer, Delta, Query
from predictors.contract.answer import Speculation
from predictors.contract.openai.responses import PLACE, ChatWriter, CompletionWriter

TEXTS = ["a", ' "quoted" \\ ', "ä\u2028\n\x00", "🙂", PLACE, f'"{PLACE}"', "{}"]


def chunk(writer: ChatWriter, index: int, delta: Delta) -> dict[str, Any]:
    event = writer.event(index, delta)
    assert event is not None
    read = ChatCompletionChunk.model_validate_json(event)
    assert json.loads(event) == read.model_dump(exclude_unset=True)
    found: dict[str, Any] = json.loads(event)
    return found


@pytest.mark.parametrize("model", ["m", PLACE, 'a "model"'])
def test_parts_that_are_text_alone(model: str) -> None:
    writer = ChatWriter(model, [Query("x")] * 2, 2)
    first = chunk(writer, 1, Delta("first"))
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": "first"}
    chunk(writer, 0, Delta("first"))
    for text in TEXTS:
        for index in (0, 1):
            part = chunk(writer, index, Delta(text))
            (choice,) = part.pop("choices")
            assert choice == {"index": index, "delta": {"content": text}, "finish_reason": None}
            assert part == {name: value for name, value in first.items() if name != "choices"}
    assert writer.event(0, Delta("")) is None


def test_whoever_ends_what_another_server_began_is_named_at_the_end() -> None:
    writer = ChatWriter("mine", [Query("x")])
    assert chunk(writer, 0, Delta("a", served_by="theirs"))["model"] == "theirs"
    ended = Answer("ab", speculation=Speculation("edge", "the link broke", "cloud"))
    last = writer.event(0, Delta("b", answer=ended, finish_reason="stop"))
    assert json.loads(last or "")["model"] == "mine"
    assert json.loads(writer.usage())["model"] == "mine"


def test_another_server_names_its_model_in_the_middle() -> None:
    writer = ChatWriter("alias", [Query("x")])
    deltas = [Delta("a"), Delta("b"), Delta("c", served_by="far"), Delta("d"), Delta("e")]
    models = [chunk(writer, 0, delta)["model"] for delta in deltas]
    assert models == ["alias", "alias", "far", "far", "far"]


def test_a_part_with_more_than_text_keeps_it() -> None:
    writer = ChatWriter("m", [Query("x")])
    chunk(writer, 0, Delta("a"))
    (choice,) = chunk(writer, 0, Delta("b", reasoning="why"))["choices"]
    assert choice["delta"] == {"content": "b", "reasoning_content": "why"}
    (choice,) = chunk(writer, 0, Delta("c", finish_reason="length"))["choices"]
    assert choice == {"index": 0, "delta": {"content": "c"}, "finish_reason": "length"}


@pytest.mark.parametrize("writer", [ChatWriter, CompletionWriter])
@pytest.mark.parametrize(
    ("cached", "told"), [(None, None), (4, {"cached_tokens": 4}), (0, {"cached_tokens": 0})]
)
def test_usage_tells_what_a_server_had_of_the_prompt_where_it_is_known(
    writer: type[ChatWriter] | type[CompletionWriter],
    cached: int | None,
    told: dict[str, int] | None,
) -> None:
    answer = Answer("a", prompt_tokens=7, completion_tokens=1, cached_tokens=cached)
    written = writer("m", [Query("x")])
    body = json.loads(written.whole([[Delta("a", answer=answer)]]))
    for usage in (body["usage"], json.loads(written.usage())["usage"]):
        assert (usage["prompt_tokens"], usage["completion_tokens"]) == (7, 1)
        assert usage.get("prompt_tokens_details") == told
