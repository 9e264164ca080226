"""Answers that a small model drafts and a large one checks, between two real servers: token for
token the large one's."""

import gzip
from collections.abc import Iterator

import httpx
import orjson
import pytest

from predictors.contract.speculation import PATH
from predictors.embedded import directory
from tests.conftest import ServerProcess, StartServer

QUESTIONS = 12
TEST_ROWS = directory("embedded:long-edge").parent / "data/long_test.jsonl.gz"


@pytest.fixture(scope="module")
def cloud(start_server: StartServer) -> ServerProcess:
    given = ["--model_name", "m", "--model_dir", "embedded:long-cloud", "--verify_slots", "8"]
    return start_server("predictors", *given, ready="/v2/models/m/ready")


@pytest.fixture(scope="module", params=["coupled", "rejection"])
def edge(
    request: pytest.FixtureRequest, start_server: StartServer, cloud: ServerProcess
) -> ServerProcess:
    given = ["--model_name", "m", "--engine", "speculative", "--model_dir", "embedded:long-edge"]
    given += ["--url", cloud.url, "--rule", request.param, "--policy", "always"]
    return start_server("predictors", *given, ready="/v2/models/m/ready")


def questions() -> list[str]:
    with gzip.open(TEST_ROWS) as rows:
        return [orjson.loads(row)["query"] for row in rows][:QUESTIONS]


def answers(server: ServerProcess, **parameters: object) -> tuple[list[str], list[float]]:
    texts = questions()
    tensor = {"name": "text_input", "shape": [len(texts)], "datatype": "BYTES", "data": texts}
    body = {"inputs": [tensor], "parameters": {"max_tokens": 90, **parameters}}
    answer = httpx.post(f"{server.url}/v2/models/m/infer", json=body, timeout=120)
    answer.raise_for_status()
    outputs = {each["name"]: each["data"] for each in answer.json()["outputs"]}
    return outputs["text_output"], outputs["mean_logprob"]


def test_greedy_answers_are_those_of_the_large_model_alone(
    cloud: ServerProcess, edge: ServerProcess
) -> None:
    for penalty in (1.0, 1.05):
        given = {"temperature": 0.0, "repetition_penalty": penalty}
        own, drafted = answers(cloud, **given), answers(edge, **given)
        assert drafted[0] == own[0]
        assert drafted[1] == pytest.approx(own[1], abs=1e-4)


def test_drawn_answers_are_its_own_too_where_both_draw_by_the_same_numbers(
    cloud: ServerProcess, edge: ServerProcess, request: pytest.FixtureRequest
) -> None:
    given = {"temperature": 1.5, "top_p": 1.0, "seed": 11}
    own, drafted = answers(cloud, **given)[0], answers(edge, **given)[0]
    assert own != answers(cloud, **given | {"seed": 12})[0]
    # By rejection they have its distribution, and are others.
    assert (drafted == own) == ("coupled" in request.node.callspec.id)


def test_a_stream_is_the_same_answer(cloud: ServerProcess, edge: ServerProcess) -> None:
    body = {
        "model": "m",
        "messages": [{"role": "user", "content": questions()[0]}],
        "temperature": 0,
        "max_tokens": 90,
    }
    whole = httpx.post(f"{cloud.url}/v1/chat/completions", json=body, timeout=60).json()
    pieces = list(streamed(edge, body | {"stream": True}))
    assert "".join(pieces) == whole["choices"][0]["message"]["content"]
    assert len(pieces) > 5


def streamed(server: ServerProcess, body: object) -> Iterator[str]:
    url = f"{server.url}/v1/chat/completions"
    with httpx.stream("POST", url, json=body, timeout=60) as answer:
        for line in answer.iter_lines():
            if line.startswith("data: {"):
                for choice in orjson.loads(line[6:])["choices"]:
                    yield choice["delta"].get("content") or ""


def test_stop_strings_and_limits_end_an_answer_inside_of_a_draft(
    cloud: ServerProcess, edge: ServerProcess
) -> None:
    for given in ({"stop": "\n3"}, {"max_tokens": 7}, {"max_tokens": 1}):
        given = {"temperature": 0.0, "repetition_penalty": 1.0, **given}
        assert answers(edge, **given) == (
            answers(cloud, **given)[0],
            pytest.approx(answers(cloud, **given)[1], abs=1e-4),
        )


@pytest.mark.parametrize(
    ("round", "status", "said"),
    [
        ({"id": "x", "at": 3, "draft": [1]}, 409, "x is not known here"),
        ({"id": "x", "at": 0, "draft": []}, 400, "at: Input should be greater than or equal to 1"),
        ({"id": "x", "at": 3, "draft": [-1]}, 400, "draft.0"),
        ({"id": "x", "at": 3, "draft": [400]}, 400, "token 400 is none of the 396"),
        ({"id": "x", "at": 2000, "draft": []}, 400, "more than the 1024 that are checked here"),
        ({"id": "x", "at": 3, "draft": [1] * 65}, 400, "at most 64 items"),
        ({"id": "x", "at": 3, "draft": [1], "more": 1}, 400, "more: Extra inputs"),
        ([1], 400, "valid dictionary"),
    ],
)
def test_a_round_that_can_not_be_is_refused(
    cloud: ServerProcess, round: object, status: int, said: str
) -> None:
    answer = httpx.post(f"{cloud.url}{PATH}", json=round)
    assert answer.status_code == status and said in answer.json()["error"]


def test_a_model_with_another_tokenizer_can_not_check(
    start_server: StartServer, cloud: ServerProcess
) -> None:
    given = ["--model_name", "m", "--engine", "speculative", "--model_dir", "embedded:edge"]
    other = start_server(
        "predictors", *given, "--url", cloud.url, "--policy", "always", ready="/v2/models/m/ready"
    )
    answer = httpx.post(
        f"{other.url}/v1/chat/completions",
        json={"model": "m", "messages": [{"role": "user", "content": "1 + 1?"}]},
    )
    assert answer.status_code == 502 and "another tokenizer" in answer.json()["error"]["message"]
