"""OpenAI's own client against a predictor whose engine is vLLM."""

from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
from openai.types.chat import ChatCompletionChunk

from predictors.contract import parse_answers, text_request
from tests.conftest import ServerProcess, StartServer
from tests.predictors.engines.vllm.conftest import write_endless

pytestmark = [pytest.mark.engines, pytest.mark.timeout(900)]

QUESTION = "What is 347 + 286?"
GREEDY: dict[str, Any] = {"model": "qa", "temperature": 0, "max_tokens": 24}
AT_ONCE = 4
LONG = 900  # tokens


@pytest.fixture(scope="module")
def server(start_server: StartServer, tmp_path_factory: pytest.TempPathFactory) -> ServerProcess:
    """A model whose answers nothing ends."""
    model_dir = write_endless("embedded:edge", tmp_path_factory.mktemp("endless") / "model")
    server = start_server(
        *("predictors", "--model_name", "qa", "--engine", "vllm", "--model_dir", str(model_dir)),
        *("--enforce_eager", "true", "--max_num_seqs", str(AT_ONCE)),
        *("--repetition_penalty", "1"),
    )
    server.wait_ready("/v2/models/qa/ready", timeout=800)
    return server


@pytest.fixture(scope="module")
def client(server: ServerProcess) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="-", max_retries=0) as client:
        yield client


def user(text: str) -> Any:
    return [{"role": "user", "content": text}]


def whole(client: openai.OpenAI, **fields: Any) -> Any:
    return client.chat.completions.create(**{**GREEDY, "messages": user(QUESTION), **fields})


def streamed(client: openai.OpenAI, **fields: Any) -> list[ChatCompletionChunk]:
    return list(whole(client, stream=True, **fields))


def text_of(parts: list[ChatCompletionChunk], choice: int = 0) -> str:
    deltas = [each for part in parts for each in part.choices if each.index == choice]
    return "".join(each.delta.content or "" for each in deltas)


def test_a_stream_is_the_whole_answer_with_its_usage(
    client: openai.OpenAI, server: ServerProcess
) -> None:
    answer = whole(client)
    *parts, usage = streamed(client, stream_options={"include_usage": True})
    assert text_of(parts) == answer.choices[0].message.content
    assert sum(bool(part.choices[0].delta.content) for part in parts) >= 12
    assert [part.choices[0].finish_reason for part in parts][-2:] == [None, "length"]
    assert answer.choices[0].finish_reason == "length"
    assert usage.usage == answer.usage and usage.usage.completion_tokens == 24
    over_v2 = text_request([QUESTION], {"temperature": 0, "max_tokens": 24})
    response = httpx.post(f"{server.url}/v2/models/qa/infer", json=over_v2, timeout=60)
    assert parse_answers(response.json())[0].text == text_of(parts)


def test_log_probabilities_of_each_token(client: openai.OpenAI) -> None:
    answer = whole(client, logprobs=True, top_logprobs=20)
    parts = streamed(client, logprobs=True, top_logprobs=20)
    scored = [
        c for part in parts if part.choices[0].logprobs for c in part.choices[0].logprobs.content
    ]
    there = answer.choices[0].logprobs.content
    written = "".join(each.token for each in scored)
    assert written.replace("<|end|>", "") == text_of(parts)  # it ends nothing here, and has no text
    assert [each.token for each in scored] == [each.token for each in there]
    assert len(scored) == answer.usage.completion_tokens == 24
    for one, other in zip(scored, there, strict=True):
        assert one.logprob == pytest.approx(other.logprob, abs=1e-3)
        assert len(one.top_logprobs) == len(other.top_logprobs) == 20
        assert one.top_logprobs[0].token == one.token  # greedy


def test_a_stop_string_across_tokens(client: openai.OpenAI) -> None:
    full = text_of(streamed(client))
    stop = full[4:7]
    parts = streamed(client, stop=["never there", stop])
    assert text_of(parts) == full[: full.index(stop)]
    assert parts[-1].choices[0].finish_reason == "stop"
    answer = whole(client, stop=stop)
    assert answer.choices[0].message.content == text_of(parts)


def test_several_choices(client: openai.OpenAI) -> None:
    hot = {"n": 3, "temperature": 2.0, "top_p": 1, "seed": 5}
    answer = whole(client, **hot)
    *parts, usage = streamed(client, **hot, stream_options={"include_usage": True})
    texts = [choice.message.content for choice in answer.choices]
    assert [text_of(parts, choice) for choice in range(3)] == texts
    assert len(set(texts)) == 3
    assert usage.usage == answer.usage and usage.usage.completion_tokens == 3 * 24


def test_completions_of_a_text_and_of_its_tokens(client: openai.OpenAI) -> None:
    """The embedded models have a token for each digit, from "0" on."""
    text = client.completions.create(**GREEDY, prompt="<|user|>1 + 1?<|assistant|>", logprobs=2)
    chat = whole(client, messages=user("1 + 1?"))
    assert text.choices[0].text == chat.choices[0].message.content
    assert len(text.choices[0].logprobs.tokens) == 24
    parts = client.completions.create(**GREEDY, prompt=[3, 7, 8, 4], stream=True)
    again = client.completions.create(**GREEDY, prompt=[[3, 7, 8, 4]])
    assert "".join(part.choices[0].text for part in parts) == again.choices[0].text
    assert again.usage.prompt_tokens == 4


def test_an_answer_of_a_schema(client: openai.OpenAI) -> None:
    described = {"name": "said", "strict": True, "schema": {"enum": ["yes", "no"]}}
    asked = {"response_format": {"type": "json_schema", "json_schema": described}}
    answer = whole(client, **asked).choices[0]
    assert answer.message.content in ('"yes"', '"no"')
    assert answer.finish_reason == "stop"
    assert text_of(streamed(client, **asked)) == answer.message.content


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"messages": user("1 + " * 600)}, None, "context_length_exceeded"),
        ({"response_format": {"type": "yaml"}}, "response_format.type", None),
        (
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "x", "schema": {"type": "banana"}},
                }
            },
            "response_format",
            None,
        ),
        ({"logit_bias": {"99999": 1}}, "logit_bias", None),
        ({"top_logprobs": 21, "logprobs": True}, "top_logprobs", None),
        (
            {"tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}]},
            "tools",
            "unsupported",
        ),
        ({"reasoning_effort": "low"}, "reasoning_effort", "unsupported"),
    ],
    ids=lambda each: str(each)[:40],
)
def test_what_is_wrong_is_refused_by_its_field(
    client: openai.OpenAI, fields: dict[str, Any], param: str | None, code: str | None, stream: bool
) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        whole(client, stream=stream, **fields)
    assert (refused.value.param, refused.value.code) == (param, code)
    assert whole(client, max_tokens=2).choices[0].message.content


def test_token_ids_that_do_not_exist(client: openai.OpenAI) -> None:
    """One that no tokenizer has is named by its place."""
    for wrong, param in (([99999], "prompt"), ([3, -1], "prompt[1]")):
        with pytest.raises(openai.BadRequestError) as refused:
            client.completions.create(**GREEDY, prompt=wrong)
        assert refused.value.param == param


def test_a_client_that_leaves_frees_its_places(
    client: openai.OpenAI, server: ServerProcess
) -> None:
    """Its choices have all places: the next query is answered once they are free."""
    before = _generated(server)
    with whole(client, stream=True, n=AT_ONCE, max_tokens=LONG) as parts:
        next(iter(parts))
    assert whole(client, max_tokens=2).usage.completion_tokens == 2
    assert _generated(server) - before < LONG


def _generated(server: ServerProcess) -> float:
    """Tokens that vLLM has counted."""
    lines = httpx.get(f"{server.url}/metrics").text.splitlines()
    return sum(
        float(line.split()[-1]) for line in lines if line.startswith("vllm:generation_tokens_total")
    )
