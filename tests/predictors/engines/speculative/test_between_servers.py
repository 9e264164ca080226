"""Answers that a small model drafts and a large one checks, between two real servers: token for
token the large one's."""

import gzip
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import orjson
import pytest

from predictors.contract import Query, Sampling
from predictors.contract.openai.errors import InvalidField
from predictors.contract.speculation import PATH
from predictors.embedded import directory
from predictors.engines.huggingface import HuggingFaceEngine, HuggingFaceSettings
from predictors.engines.speculative import SpeculativeEngine, SpeculativeSettings
from predictors.errors import ConfigurationError, UpstreamError
from predictors.upstream.ledger.decision import decided
from tests.conftest import ServerProcess, StartServer
from tests.predictors.engines.speculative.breaking import BreakingLink

QUESTIONS = 12
TEST_ROWS = directory("embedded:long-edge").parent / "data/long_test.jsonl.gz"


@pytest.fixture(scope="module")
def cloud(start_server: StartServer) -> ServerProcess:
    given = ["--model_name", "m", "--model_dir", "embedded:long-cloud", "--verify_slots", "8"]
    return start_server("predictors", *given, ready="/v2/models/m/ready")


@pytest.fixture(scope="module")
def edge(start_server: StartServer, cloud: ServerProcess) -> ServerProcess:
    given = ["--model_name", "m", "--engine", "speculative", "--model_dir", "embedded:long-edge"]
    given += ["--url", cloud.url, "--policy", "always"]
    return start_server("predictors", *given, ready="/v2/models/m/ready")


@asynccontextmanager
async def started(url: str, **settings: Any) -> AsyncIterator[SpeculativeEngine]:
    given = {"model_dir": "embedded:long-edge", "policy": "always", "retries": 0, **settings}
    engine = SpeculativeEngine(SpeculativeSettings(url=url, **given))
    await engine.start()
    try:
        yield engine
    finally:
        await engine.close()


def questions(count: int = QUESTIONS) -> list[str]:
    with gzip.open(TEST_ROWS) as rows:
        return [orjson.loads(row)["query"] for row in rows][:count]


def query(text: str, **sampling: Any) -> Query:
    given = {"max_tokens": 90, "temperature": 0.0, "repetition_penalty": 1.0, **sampling}
    return Query(text, Sampling(**given))


def response(server: ServerProcess, count: int = QUESTIONS, **parameters: object) -> dict[str, Any]:
    texts = questions(count)
    tensor = {"name": "text_input", "shape": [len(texts)], "datatype": "BYTES", "data": texts}
    body = {"inputs": [tensor], "parameters": {"max_tokens": 90, **parameters}}
    answer = httpx.post(f"{server.url}/v2/models/m/infer", json=body, timeout=120)
    answer.raise_for_status()
    told = answer.json()
    outputs = {each["name"]: each["data"] for each in told["outputs"]}
    return {**outputs, "parameters": told["parameters"]}


def answers(
    server: ServerProcess, count: int = QUESTIONS, **parameters: object
) -> tuple[list[str], list[float]]:
    told = response(server, count, **parameters)
    return told["text_output"], told["mean_logprob"]


@pytest.fixture(scope="module")
def greedy(cloud: ServerProcess) -> list[str]:
    """The large model's own answers."""
    return answers(cloud, temperature=0.0, repetition_penalty=1.0)[0]


def test_greedy_answers_are_those_of_the_large_model_alone(
    cloud: ServerProcess, edge: ServerProcess
) -> None:
    for penalty in (1.0, 1.05):
        given = {"temperature": 0.0, "repetition_penalty": penalty}
        own, drafted = answers(cloud, **given), answers(edge, **given)
        assert drafted[0] == own[0]
        assert drafted[1] == pytest.approx(own[1], abs=1e-3)


def test_drawn_answers_are_its_own_too_where_both_draw_by_the_same_numbers(
    cloud: ServerProcess, edge: ServerProcess
) -> None:
    given = {"temperature": 1.5, "top_p": 1.0, "seed": 11, "max_tokens": 40}
    own, drafted = answers(cloud, 6, **given)[0], answers(edge, 6, **given)[0]
    assert own != answers(cloud, 6, **given | {"seed": 12})[0]
    assert drafted == own


async def test_by_rejection_greedy_answers_are_the_same_and_drawn_ones_are_others(
    cloud: ServerProcess, greedy: list[str]
) -> None:
    given = {"temperature": 1.5, "top_p": 1.0, "seed": 11, "max_tokens": 30}
    drawn = answers(cloud, 4, **given, repetition_penalty=1.0)[0]
    async with started(cloud.url, rule="rejection") as engine:
        told = await engine.generate([query(text) for text in questions(4)])
        other = await engine.generate([query(text, **given) for text in questions(4)])
    assert [each.text for each in told] == greedy[:4]
    assert [each.text for each in other] != drawn


async def test_drafts_without_a_model_give_the_same_answers(
    cloud: ServerProcess, greedy: list[str]
) -> None:
    async with started(cloud.url, drafter="prompt-lookup") as engine:
        told = await engine.generate([query(text) for text in questions(4)])
        with (
            pytest.raises(InvalidField, match="nobody here answers alone") as error,
            decided({"hem_route": "edge"}),
        ):
            await engine.generate([query(questions(1)[0])])
        assert "set --drafter model" in str(error.value)
        # So that a gateway asks the cloud, where nothing private is in it.
        assert (error.value.param, error.value.code) == ("hem_route", "unsupported")
    assert [each.text for each in told] == greedy[:4]
    assert sum(each.speculation.accepted_tokens for each in told if each.speculation) > 0


async def test_in_a_load_some_answers_are_the_far_servers_alone_and_all_are_the_same(
    cloud: ServerProcess,
) -> None:
    short = answers(cloud, temperature=0.0, repetition_penalty=1.0, max_tokens=12)[0]
    asked = [query(text, max_tokens=12) for text in questions()]
    async with started(cloud.url, policy="latency") as engine:
        told = [await engine.generate(asked) for _ in range(4)]
    assert [[each.text for each in row] for row in told] == [short] * 4
    ways = {each.speculation.route for row in told for each in row if each.speculation}
    assert ways == {"speculative", "cloud"}


def test_an_answer_tells_what_it_took(edge: ServerProcess) -> None:
    told = response(edge, 3, temperature=0.0, repetition_penalty=1.0)
    assert told["parameters"]["speculation"] == "speculative"
    assert "speculation_reason" not in told["parameters"]
    for row in range(3):
        tokens = told["completion_tokens"][row]
        assert 0 < told["cloud_passes"][row] < tokens / 2
        assert tokens / 2 < told["accepted_tokens"][row] <= told["drafted_tokens"][row]
        assert told["draft_rounds"][row] > 0 and told["link_seconds"][row] >= 0
        assert told["link_bytes_sent"][row] > 0 and told["link_bytes_received"][row] > 0
    metrics = httpx.get(f"{edge.url}/metrics").text
    for name in ("rounds", "passes", "link_seconds"):
        assert f'hem_speculative_{name}_total{{upstream="' in metrics
    assert 'hem_speculative_answers_total{upstream="' in metrics
    assert 'kind="accepted"' in metrics


async def test_an_answer_names_the_model_that_said_its_tokens(cloud: ServerProcess) -> None:
    asked = query(questions(1)[0], max_tokens=20)
    async with started(cloud.url) as engine:
        (both,) = await engine.generate([asked])
        deltas = [delta async for delta in engine.stream(asked)]
        with decided({"hem_route": "edge"}):
            (alone,) = await engine.generate([asked])
    assert (both.served_by, alone.served_by) == ("m", None)
    assert {delta.served_by for delta in deltas} == {"m"}


def chat(**fields: object) -> dict[str, object]:
    message = {"role": "user", "content": questions(1)[0]}
    given = {"temperature": 0, "repetition_penalty": 1.0, "max_tokens": 90}
    return {"model": "m", "messages": [message], **given, **fields}


def test_a_stream_is_the_same_answer_and_tells_at_its_end(
    edge: ServerProcess, greedy: list[str]
) -> None:
    asked = chat(stream=True, stream_options={"include_usage": True})
    events = list(streamed(edge, asked))
    deltas = [choice["delta"] for event in events for choice in event["choices"]]
    pieces = [delta.get("content") or "" for delta in deltas]
    assert "".join(pieces) == greedy[0]
    assert len(pieces) > 5
    (hem,) = [event["hem"] for event in events if "hem" in event]
    assert hem["speculation"] == "speculative" and hem["cloud_passes"] > 0
    details = events[-1]["usage"]["completion_tokens_details"]
    assert details["accepted_prediction_tokens"] == hem["accepted_tokens"]
    drafted = details["accepted_prediction_tokens"] + details["rejected_prediction_tokens"]
    assert drafted == hem["drafted_tokens"]


def test_log_probabilities_of_other_tokens_come_from_the_far_server_alone(
    cloud: ServerProcess, edge: ServerProcess
) -> None:
    asked = chat(logprobs=True, top_logprobs=2, max_tokens=9)
    own, told = (
        httpx.post(f"{server.url}/v1/chat/completions", json=asked, timeout=60).json()
        for server in (cloud, edge)
    )
    assert told["choices"][0]["logprobs"] == own["choices"][0]["logprobs"]
    assert told["usage"]["completion_tokens"] == own["usage"]["completion_tokens"]
    assert told["hem"]["speculation"] == "cloud" and "log-prob" in told["hem"]["reason"]
    events = list(streamed(edge, asked | {"stream": True}))
    assert [e["hem"]["speculation"] for e in events if "hem" in e] == ["cloud"]
    assert sum(len(e["choices"][0]["logprobs"]["content"]) for e in events if scored(e)) == 9


def scored(event: dict[str, Any]) -> bool:
    return any(choice.get("logprobs") for choice in event["choices"])


def streamed(server: ServerProcess, body: object) -> Iterator[dict[str, Any]]:
    url = f"{server.url}/v1/chat/completions"
    with httpx.stream("POST", url, json=body, timeout=60) as answer:
        for line in answer.iter_lines():
            if line.startswith("data: {"):
                yield orjson.loads(line[6:])


def test_stop_strings_and_limits_end_an_answer_inside_of_a_draft(
    cloud: ServerProcess, edge: ServerProcess
) -> None:
    for given in ({"stop": "\n3"}, {"max_tokens": 7}, {"max_tokens": 1}):
        given = {"temperature": 0.0, "repetition_penalty": 1.0, **given}
        own = answers(cloud, 4, **given)
        assert answers(edge, 4, **given) == (own[0], pytest.approx(own[1], abs=1e-3))


async def test_an_answer_that_may_be_longer_than_what_is_checked_is_the_far_servers(
    cloud: ServerProcess,
) -> None:
    async with started(cloud.url) as engine:
        (told,) = await engine.generate([query(questions(1)[0], max_tokens=2000)])
    assert told.speculation is not None and told.speculation.route == "cloud"
    assert "1024 tokens that are checked" in told.speculation.reason


async def test_the_small_model_answers_alone_where_mining_says_so(cloud: ServerProcess) -> None:
    asked = [query(text) for text in questions(3)]
    small = HuggingFaceEngine(
        HuggingFaceSettings(model_dir="embedded:long-edge", batching="plain", threads=1)
    )
    await small.start()
    own = await small.generate(asked)
    await small.close()
    async with started(cloud.url) as engine:
        with decided({"hem_route": "edge"}):
            told = await engine.generate(asked)
    assert [each.text for each in told] == [each.text for each in own]
    assert [each.mean_logprob for each in told] == pytest.approx(
        [each.mean_logprob for each in own], abs=1e-4
    )
    for each in told:
        assert each.speculation is not None
        assert (each.speculation.route, each.speculation.cloud_passes) == ("edge", 0)


@pytest.mark.parametrize("policy", ["always", "latency"])
async def test_where_the_link_breaks_the_small_model_ends_the_answer_and_says_so(
    cloud: ServerProcess, greedy: list[str], policy: str
) -> None:
    async with (
        BreakingLink(httpx.URL(cloud.url).port or 0, 3) as url,
        started(
            url, on_far_failure="finish", policy=policy, draft_tokens=6, rounds_in_flight=1
        ) as engine,
    ):
        deltas = [delta async for delta in engine.stream(query(questions(1)[0]))]
        told = deltas[-1].answer
        assert told is not None and told.speculation is not None
        assert "".join(delta.text for delta in deltas) == told.text
        said = told.speculation
        assert (said.route, said.continues) == ("edge", "cloud")
        assert told.served_by is None  # the small model, which ended it
        assert url.removeprefix("http://") in said.reason
        assert told.text[:12] == greedy[0][:12] and (told.completion_tokens or 0) > 60
        # And from then on it answers alone.
        (later,) = await engine.generate([query(questions(2)[1])])
    assert later.speculation is not None
    assert (later.speculation.route, later.speculation.continues) == ("edge", "")


async def test_the_far_servers_own_stream_that_breaks_is_ended_by_the_small_model(
    cloud: ServerProcess, greedy: list[str]
) -> None:
    """Whoever reads has its text by then, and no tokens."""
    async with (
        BreakingLink(httpx.URL(cloud.url).port or 0, 99, events=9) as url,
        started(url, on_break="finish") as engine,
    ):
        # So many tokens are not checked: it is asked alone.
        asked = query(questions(1)[0], max_tokens=1020)
        deltas = [delta async for delta in engine.stream(asked)]
    told = deltas[-1].answer
    assert told is not None and told.speculation is not None
    assert "".join(delta.text for delta in deltas) == told.text
    assert told.text[:5] == greedy[0][:5] and len(told.text) > 60
    assert (told.speculation.route, told.speculation.continues) == ("edge", "cloud")


async def test_with_no_far_server_at_all_the_small_model_answers_where_it_may() -> None:
    async with started("http://127.0.0.1:9", on_far_failure="finish", policy="latency") as engine:
        (told,) = await engine.generate([query(questions(1)[0])])
    assert told.speculation is not None
    assert (told.speculation.route, told.speculation.continues) == ("edge", "")
    assert "127.0.0.1:9" in told.speculation.reason


async def test_where_the_link_breaks_it_is_an_error_unless_that_is_allowed(
    cloud: ServerProcess,
) -> None:
    async with (
        BreakingLink(httpx.URL(cloud.url).port or 0, 3) as url,
        started(url, draft_tokens=6, rounds_in_flight=1) as engine,
    ):
        with pytest.raises(UpstreamError):
            await engine.generate([query(questions(1)[0])])


async def test_a_drafter_without_a_model_can_not_end_answers(cloud: ServerProcess) -> None:
    with pytest.raises(ConfigurationError, match="on_far_failure 'finish' needs a model"):
        async with started(cloud.url, drafter="prompt-lookup", on_far_failure="finish"):
            pass


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


async def test_a_model_with_another_tokenizer_can_not_check(
    cloud: ServerProcess, greedy: list[str]
) -> None:
    async with started(cloud.url, model_dir="embedded:edge") as engine:
        with pytest.raises(UpstreamError, match="another tokenizer"):
            await engine.generate([query("1 + 1?")])
    async with started(cloud.url, model_dir="embedded:edge", policy="capacity") as engine:
        (told,) = await engine.generate([query(questions(1)[0])])
    assert told.text == greedy[0]
    assert told.speculation is not None and told.speculation.route == "cloud"
    assert "another tokenizer" in told.speculation.reason
