"""What all calls hold together is bounded: a burst of large ones is a 503, and no one else's."""

import gzip
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TypeVar

import httpx
import orjson
import pytest

from predictors.contract import text_request
from tests.conftest import StartServer
from tests.predictors.upstream.far_side import FarSide

LIMIT_OF_THE_MANIFESTS = 512 * 2**20
T = TypeVar("T")


def post(url: str, query: str) -> httpx.Response:
    return httpx.post(url, json=text_request([query]), timeout=60)


def ask_all(url: str, queries: Sequence[str]) -> list[httpx.Response]:
    with ThreadPoolExecutor(len(queries)) as pool:
        return list(pool.map(lambda query: post(url, query), queries))


def answers_after(refused: int, enough: Path, calls: Sequence[Callable[[], T]]) -> list[T]:
    """All at once. Those that are taken wait for the file `enough`, which is there once so many
    were refused."""
    with ThreadPoolExecutor(len(calls)) as pool:
        asked = [pool.submit(call) for call in calls]
        for _ in islice(as_completed(asked), refused):
            pass
        enough.touch()
        return [call.result() for call in asked]


def refusals(answers: Sequence[httpx.Response]) -> list[str]:
    assert {answer.status_code for answer in answers} <= {200, 503}
    return [answer.json()["error"] for answer in answers if answer.status_code == 503]


def test_large_bodies_are_refused_together_and_small_ones_never(
    start_server: StartServer, tmp_path: Path
) -> None:
    options = ("--max_body_bytes", "150000", "--max_bytes_in_flight", "200000")
    arguments = ("--model_name", "m", "--engine", "scripted", *options)
    server = start_server("tests.predictors.scripted", *arguments, ready="/v2/models/m/ready")
    url = f"{server.url}/v2/models/m/infer"
    small = f"until {tmp_path / 'enough'}"
    large = f"{small} {'x' * 140_000}"
    calls = [partial(post, url, query) for query in [large] * 6 + [small] * 6]
    answers = answers_after(4, tmp_path / "enough", calls)
    assert Counter(answer.status_code for answer in answers) == {200: 8, 503: 4}
    assert [answer.status_code for answer in answers[6:]] == [200] * 6
    for refusal in refusals(answers):
        assert "of 200000 (max_bytes_in_flight); try again later" in refusal
    assert ask_all(url, [large])[0].status_code == 200


def test_what_small_bodies_inflate_to_is_counted(start_server: StartServer, tmp_path: Path) -> None:
    options = ("--max_body_bytes", "150000", "--max_bytes_in_flight", "200000")
    arguments = ("--model_name", "m", "--engine", "scripted", *options)
    server = start_server("tests.predictors.scripted", *arguments, ready="/v2/models/m/ready")
    large = f"until {tmp_path / 'enough'} {'x' * 140_000}"
    body = gzip.compress(orjson.dumps(text_request([large])))
    headers = {"content-encoding": "gzip", "content-type": "application/json"}
    url = f"{server.url}/v2/models/m/infer"
    ask = partial(httpx.post, url, content=body, headers=headers, timeout=60)
    answers = answers_after(4, tmp_path / "enough", [ask] * 6)
    assert len(refusals(answers)) == 4


@pytest.mark.parametrize("engine", ["kserve", "openai_api"])
def test_large_answers_are_refused_together(start_server: StartServer, engine: str) -> None:
    with FarSide() as far:
        at = far.url + ("" if engine == "kserve" else "/v1")
        server = start_server(
            "predictors",
            *("--model_name", "up", "--engine", engine, "--url", at, "--upstream_model", "far"),
            *("--max_bytes_in_flight", "1500000", "--repetition_penalty", "1"),
            *("--health_timeout", "0", "--breaker_failures", "0", "--min_bytes_per_second", "0"),
            ready="/v2/models/up/ready",
        )
        url = f"{server.url}/v2/models/up/infer"
        answers = ask_all(url, ["large 600000"] * 8)
        refused = refusals(answers)
        assert 0 < len(refused) < 8
        assert all("(max_bytes_in_flight)" in refusal for refusal in refused)
        assert ask_all(url, ["large 600000"])[0].status_code == 200


def test_an_uplink_outlives_many_of_the_largest_answers(start_server: StartServer) -> None:
    with FarSide() as far:
        server = start_server(
            "predictors",
            *("--model_name", "up", "--engine", "kserve", "--url", far.url),
            # The far side writes 15 MB eight times, in one thread: it may not tell its health.
            *("--upstream_model", "far", "--health_timeout", "0", "--breaker_failures", "0"),
            *("--min_bytes_per_second", "0"),
            ready="/v2/models/up/ready",
        )
        url = f"{server.url}/v2/models/up/infer"
        for _ in range(3):
            answers = ask_all(url, ["large 15000000"] * 8)
            assert 200 in {answer.status_code for answer in answers}
            assert refusals(answers)
        assert server.memory_peak() < LIMIT_OF_THE_MANIFESTS
