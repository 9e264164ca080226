"""Answers that go on where a message ends, over the wire: of a predictor, and passed on by those
before it."""

from typing import Any

import httpx
import openai
import pytest

from tests.conftest import ServerProcess, StartServer

ASK = ("predictors", "--model_name", "m", "--temperature", "0", "--repetition_penalty", "1")
READY = "/v2/models/m/ready"
QUESTION = "What is 47 + 385?"
ANSWER = "432"
CUTS = range(len(ANSWER) + 1)
FRONTS = {
    "predictor": None,
    "cached": ("--model_dir", "embedded:cloud", "--cache", "memory"),
    "openai_api": ("--engine", "openai_api", "--url", "URL/v1"),
    "kserve": ("--engine", "kserve", "--url", "URL", "--upstream_model", "m"),
}


@pytest.fixture(scope="module")
def predictor(start_server: StartServer) -> ServerProcess:
    return start_server(*ASK, "--model_dir", "embedded:cloud", ready=READY)


@pytest.fixture(scope="module", params=FRONTS)
def front(
    request: pytest.FixtureRequest, predictor: ServerProcess, start_server: StartServer
) -> ServerProcess:
    """The predictor itself, one with a cache, or one that calls it."""
    options = FRONTS[request.param]
    if options is None:
        return predictor
    given = [option.replace("URL", predictor.url) for option in options]
    return start_server(*ASK, *given, ready=READY)


def goes_on(begun: str, **fields: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": QUESTION}, {"role": "assistant", "content": begun}]
    return {"model": "m", "messages": messages, "continue_final_message": True, **fields}


def post(server: ServerProcess, body: dict[str, Any], path: str = "chat/completions") -> Any:
    return httpx.post(f"{server.url}/openai/v1/{path}", json=body, timeout=60)


def answered(server: ServerProcess, body: dict[str, Any]) -> Any:
    answer = post(server, body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def text_of(body: Any) -> str:
    return str(body["choices"][0]["message"]["content"])


def test_the_answer_is_the_new_text_alone(front: ServerProcess) -> None:
    for _ in range(2):  # the second time a cache has it
        for cut in CUTS:
            whole = answered(front, goes_on(ANSWER[:cut]))
            assert text_of(whole) == ANSWER[cut:]
            assert whole["choices"][0]["finish_reason"] == "stop"


def test_a_stream_goes_on_for_the_official_client(front: ServerProcess) -> None:
    with openai.OpenAI(base_url=f"{front.url}/v1", api_key="-", max_retries=0) as client:
        for cut in CUTS:
            asked = goes_on(ANSWER[:cut])
            stream = client.chat.completions.create(
                model="m",
                messages=asked["messages"],
                stream=True,
                stream_options={"include_usage": True},
                extra_body={"continue_final_message": True, "add_generation_prompt": False},
            )
            *parts, usage = list(stream)
            assert "".join(p.choices[0].delta.content or "" for p in parts) == ANSWER[cut:]
            assert parts[-1].choices[0].finish_reason == "stop"
            assert usage.usage is not None
            assert usage.usage.completion_tokens == len(ANSWER) - cut + 1


def test_without_the_field_an_assistants_last_message_is_answered(front: ServerProcess) -> None:
    anew = {name: v for name, v in goes_on("43").items() if name != "continue_final_message"}
    plain = answered(front, anew)
    also = answered(front, {**anew, "continue_final_message": False, "add_generation_prompt": True})
    assert text_of(plain) == text_of(also) != text_of(answered(front, goes_on("43")))


def test_what_there_is_counts_as_prompt(front: ServerProcess) -> None:
    counts = [answered(front, goes_on(ANSWER[:cut]))["usage"]["prompt_tokens"] for cut in CUTS]
    assert counts == list(range(counts[0], counts[0] + len(counts)))
    refused = post(front, goes_on("4" * 1024)).json()["error"]
    assert refused["code"] == "context_length_exceeded"


def test_limits_stops_and_log_probabilities_are_of_the_new_text(front: ServerProcess) -> None:
    short = answered(front, goes_on("4", max_tokens=1))
    assert (text_of(short), short["choices"][0]["finish_reason"]) == ("3", "length")
    assert text_of(answered(front, goes_on("4", stop=["4", "2"]))) == "3"
    scored = answered(front, goes_on("4", logprobs=True, top_logprobs=2))["choices"][0]
    assert [token["token"] for token in scored["logprobs"]["content"]] == ["3", "2"]


def test_a_completion_goes_on_by_nature(front: ServerProcess) -> None:
    for cut in CUTS:
        prompt = f"<|user|>{QUESTION}<|assistant|>{ANSWER[:cut]}"
        answer = post(front, {"model": "m", "prompt": prompt}, "completions").json()
        assert answer["choices"][0]["text"] == ANSWER[cut:]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"add_generation_prompt": True}, "add_generation_prompt"),
        ({"continue_final_message": None, "add_generation_prompt": False}, "add_generation_prompt"),
        ({"messages": [{"role": "user", "content": QUESTION}]}, "continue_final_message"),
        ({"response_format": {"type": "json_object"}}, "continue_final_message"),
    ],
)
def test_contradictions_are_named_and_the_next_request_is_answered(
    front: ServerProcess, fields: dict[str, Any], param: str
) -> None:
    refused = post(front, goes_on("4") | fields)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, param)
    assert text_of(answered(front, goes_on("4"))) == "32"


def test_an_uplink_over_grpc_refuses_by_name(
    predictor: ServerProcess, start_server: StartServer
) -> None:
    far = ("--url", f"http://127.0.0.1:{predictor.grpc_port}", "--transport", "grpc")
    uplink = start_server(*ASK, "--engine", "kserve", *far, "--upstream_model", "m", ready=READY)
    refused = post(uplink, goes_on("4"))
    error = refused.json()["error"]
    assert (refused.status_code, error["param"]) == (400, "continue_final_message")
    assert error["code"] == "unsupported"
