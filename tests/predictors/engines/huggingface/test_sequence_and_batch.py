"""Requests one after another, in one V2 batch and concurrently give the same greedy answers."""

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from predictors.contract import text_request
from predictors.embedded.workshop.questions import test_questions as questions
from tests.conftest import ServerProcess, StartServer

QUERIES = [question.query for question in questions()[:24]]
GREEDY = {"temperature": 0, "max_tokens": 32, "repetition_penalty": 1}
WAYS = [
    (),
    ("--batching", "plain"),
    ("--quantization", "8bit"),
    ("--cache", "memory"),
]


@pytest.fixture(scope="module", params=WAYS, ids=lambda way: " ".join(way) or "as it comes")
def server(request: pytest.FixtureRequest, start_server: StartServer) -> ServerProcess:
    return start_server(
        *("predictors", "--model_name", "m", "--model_dir", "embedded:edge", *request.param),
        ready="/v2/models/m/ready",
    )


def ask(server: ServerProcess, *texts: str) -> list[str]:
    url = f"{server.url}/v2/models/m/infer"
    response = httpx.post(url, json=text_request(texts, GREEDY), timeout=60).json()
    return list(response["outputs"][0]["data"])


def test_the_answers_are_the_same(server: ServerProcess) -> None:
    with ThreadPoolExecutor(len(QUERIES)) as pool:
        concurrent = [answer for (answer,) in pool.map(lambda text: ask(server, text), QUERIES)]
    batch = ask(server, *QUERIES)
    sequence = [ask(server, text)[0] for text in QUERIES]
    assert batch == concurrent == sequence
    assert len(set(sequence)) > len(QUERIES) / 2
