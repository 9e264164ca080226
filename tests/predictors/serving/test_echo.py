"""Completions with `echo`, by OpenAI's own client: of a predictor, and passed on by those before
it."""

from typing import Any

import httpx
import openai
import pytest

from tests.conftest import ServerProcess, StartServer

ASK = ("predictors", "--model_name", "m", "--temperature", "0", "--repetition_penalty", "1")
READY = "/v2/models/m/ready"
PROMPTS = ["What is 47 + 385?", "12 € und 🙂", "a"]
ECHO: dict[str, Any] = {"model": "m", "echo": True, "logprobs": 2, "max_tokens": 0}


@pytest.fixture(scope="module")
def predictor(start_server: StartServer) -> ServerProcess:
    return start_server(*ASK, "--model_dir", "embedded:edge", ready=READY)


FRONTS = {
    "predictor": None,
    "openai_api": ("--engine", "openai_api", "--url", "URL/v1"),
    "kserve": ("--engine", "kserve", "--url", "URL", "--upstream_model", "m"),
}


@pytest.fixture(scope="module", params=FRONTS)
def front(
    request: pytest.FixtureRequest, predictor: ServerProcess, start_server: StartServer
) -> ServerProcess:
    """The predictor itself, or another one that calls it."""
    options = FRONTS[request.param]
    if options is None:
        return predictor
    given = [option.replace("URL", predictor.url) for option in options]
    return start_server(*ASK, *given, ready=READY)


def completion(server: ServerProcess, **fields: Any) -> dict[str, Any]:
    answer = httpx.post(f"{server.url}/v1/completions", json=ECHO | fields, timeout=60)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def test_prompts_come_back_with_the_log_probability_of_each_token(
    front: ServerProcess, predictor: ServerProcess
) -> None:
    given = completion(front, prompt=PROMPTS)
    assert [choice["text"] for choice in given["choices"]] == PROMPTS
    assert given["usage"]["completion_tokens"] == 0
    prompt_tokens = 0
    for choice in given["choices"]:
        assert choice["finish_reason"] == "length"
        scored = choice["logprobs"]
        prompt_tokens += len(scored["tokens"])
        assert scored["token_logprobs"][0] is scored["top_logprobs"][0] is None
        assert all(value <= 0 for value in scored["token_logprobs"][1:])
        assert all(len(top) == 2 for top in scored["top_logprobs"][1:])
        assert scored["text_offset"] == sorted(scored["text_offset"])
        assert scored["text_offset"][-1] == len(choice["text"]) - 1
    assert given["usage"]["prompt_tokens"] == prompt_tokens
    itself = completion(predictor, prompt=PROMPTS)
    assert given["choices"] == itself["choices"]


def test_one_token_more_leaves_the_prompts_as_they_are(front: ServerProcess) -> None:
    """As lm-eval asks: it leaves out the last token of what comes."""
    alone = completion(front, prompt=PROMPTS)
    for place, choice in enumerate(completion(front, prompt=PROMPTS, max_tokens=1)["choices"]):
        prompt = alone["choices"][place]
        assert choice["text"].startswith(prompt["text"])
        for name, values in prompt["logprobs"].items():
            assert choice["logprobs"][name][:-1] == values


def test_a_stream_begins_with_the_prompt(front: ServerProcess) -> None:
    whole = completion(front, prompt=PROMPTS[0], max_tokens=9)["choices"][0]
    with openai.OpenAI(base_url=f"{front.url}/v1", api_key="-", max_retries=0) as client:
        fields = ECHO | {"max_tokens": 9}
        parts = list(client.completions.create(prompt=PROMPTS[0], stream=True, **fields))
    assert parts[0].choices[0].text == PROMPTS[0]
    assert "".join(part.choices[0].text for part in parts) == whole["text"]
    for name in ("tokens", "token_logprobs", "text_offset"):
        scored = [part.choices[0].logprobs for part in parts]
        assert [v for each in scored if each for v in getattr(each, name)] == whole["logprobs"][
            name
        ]


def test_echo_alone_repeats_the_prompt(front: ServerProcess) -> None:
    plain = completion(front, prompt=PROMPTS[0], echo=False, logprobs=None, max_tokens=9)
    given = completion(front, prompt=PROMPTS[0], logprobs=None, max_tokens=9)
    assert given["choices"][0]["text"] == PROMPTS[0] + plain["choices"][0]["text"]
    assert given["choices"][0]["logprobs"] is None
    assert given["usage"] == plain["usage"]


def test_no_alternatives_are_asked_for_and_there_are_log_probabilities(
    front: ServerProcess,
) -> None:
    """Whoever passes a 0 on must not take it for nothing."""
    scored = completion(front, prompt=PROMPTS[0], logprobs=0)["choices"][0]["logprobs"]
    assert all(value <= 0 for value in scored["token_logprobs"][1:])


def test_an_engine_that_repeats_no_prompt_says_so(scripted: ServerProcess) -> None:
    answer = httpx.post(f"{scripted.url}/v1/completions", json=ECHO | {"prompt": "hello"})
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["code"] == "unsupported" and error["param"] in ("prompt", "echo")
