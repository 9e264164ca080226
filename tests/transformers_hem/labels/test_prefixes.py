"""Labels with the beginnings of the edge's answers, from an edge that answers chats by script."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pytest import approx

from predictors.errors import ConfigurationError, UpstreamError
from tests.transformers_hem.labels.servers import Server, answered, query_of, serving
from transformers_hem.labels.asking import Models, chats_beside
from transformers_hem.labels.job import Job, Result, Watcher, label
from transformers_hem.labels.labels import read_labels

QUESTIONS = [{"id": i, "query": f"{i} + {i}", "reference": 2 * i} for i in range(12)]
WHOLE = {"mean_logprob": -0.7, "min_logprob": -2.5}  # counts the token that ends the answer
LOGPROBS = (-0.1, -0.9)  # of the tokens "It is ", and of the sum


def chat(text: str, **choice: Any) -> tuple[int, Any]:
    """An answer of two tokens."""
    entries = [
        {"token": token, "logprob": logprob, "top_logprobs": []}
        for token, logprob in zip(("It is ", text), LOGPROBS, strict=True)
    ]
    message = {"role": "assistant", "content": f"It is {text}"}
    said = {"message": message, "logprobs": {"content": entries}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 5, "completion_tokens": 3}
    return 200, {"model": "m", "choices": [{**said, **choice}], "usage": usage}


def adds_in_a_chat(body: dict[str, Any]) -> tuple[int, Any]:
    """Right below 5."""
    (message,) = body["messages"]
    number = min(int(message["content"].split()[0]), 4)
    return chat(str(2 * number), telemetry=WHOLE)


def adds(body: dict[str, Any]) -> tuple[int, Any]:
    return answered(str(2 * int(query_of(body).split()[0])))


@pytest.fixture
def edge() -> Iterator[Server]:
    with serving(adds_in_a_chat, "/v2/models/small%20one/infer") as server:
        yield server


@pytest.fixture
def cloud() -> Iterator[Server]:
    with serving(adds) as server:
        yield server


@pytest.fixture
def job(tmp_path: Path, edge: Server, cloud: Server) -> Job:
    write(tmp_path / "data", QUESTIONS)
    models = Models.at(edge.url, cloud.url, None, {"temperature": 0, "max_tokens": 9}, (1, 2, 8))
    return Job(tmp_path / "data", tmp_path / "out", "numeric", models=models, attempts=2)


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def labels(job: Job) -> list[dict[str, Any]]:
    return [json.loads(line) for line in job.out.read_text().splitlines()]


async def run(job: Job) -> Result:
    return await label(job, Watcher())


async def test_rows_have_the_first_tokens_beside_what_they_always_have(
    job: Job, edge: Server, cloud: Server
) -> None:
    await run(job)
    row = labels(job)[7]
    assert row.pop("edge_prefixes") == [
        {"tokens": 1, "mean_logprob": -0.1, "min_logprob": -0.1, "text": "It is "},
        {"tokens": 2, "mean_logprob": -0.5, "min_logprob": -0.9, "text": "It is 8"},
        {"tokens": 8, **WHOLE, "text": "It is 8"},
    ]
    assert row == {
        "id": 7,
        "query": "7 + 7",
        "reference": 14,
        "edge_answer": "It is 8",
        "cloud_answer": "14",
        "edge_correct": False,
        "cloud_correct": True,
        "edge_mean_logprob": -0.7,
        "edge_min_logprob": -2.5,
        "edge_prompt_tokens": 5,
        "edge_completion_tokens": 3,
        "cloud_mean_logprob": -0.5,
        "cloud_min_logprob": -1.5,
        "hard": True,
    }
    sampling = {"temperature": 0, "max_tokens": 9}
    assert all(body["parameters"] == sampling for _, body in cloud.requests)
    asked = edge.requests[0][1]
    assert asked.pop("messages") == [{"role": "user", "content": "0 + 0"}]
    assert asked == {"model": "small one", "logprobs": True, "top_logprobs": 2, **sampling}


async def test_the_same_job_again_asks_nothing_and_writes_the_same(
    job: Job, edge: Server, cloud: Server
) -> None:
    await run(replace(job, limit=3))
    await run(job)
    before = job.out.read_bytes()
    result = await run(job)
    assert (result.asked, job.out.read_bytes()) == (0, before)
    assert len(edge.requests) == len(cloud.requests) == len(QUESTIONS)
    assert all("edge_prefixes" in row for row in labels(job))


@pytest.mark.parametrize("sizes", [(), (1, 2)])
async def test_a_run_that_was_begun_with_other_prefixes_is_refused(
    job: Job, sizes: tuple[int, ...]
) -> None:
    await run(replace(job, limit=1))
    assert job.models is not None
    other = replace(job, models=replace(job.models, prefix_tokens=sizes))
    with pytest.raises(ConfigurationError, match=r"begun with prefix_tokens \[1, 2, 8\], not"):
        await run(other)


@pytest.mark.parametrize("asks", [False, True])
async def test_rows_that_bring_their_answer_keep_its_prefixes(job: Job, asks: bool) -> None:
    await run(job)
    again = replace(job, data=job.out, out=job.out.with_name("again"), scorer="exact_match")
    result = await run(again if asks else replace(again, models=None))
    assert result.asked == 0
    prefixes = [[row["edge_prefixes"] for row in labels(each)] for each in (job, again)]
    assert prefixes[0] == prefixes[1]


async def test_a_row_that_brings_its_answer_without_the_prefix_is_named(
    job: Job, edge: Server
) -> None:
    row = {"query": "1 + 1", "reference": 2, "edge_answer": "2"}
    there = {**row, "edge_prefixes": [{"tokens": n, "text": "2"} for n in (1, 2)]}
    for rows, size in (([QUESTIONS[0], row], 1), ([QUESTIONS[0], there], 8)):
        write(job.data, rows)
        with pytest.raises(
            ConfigurationError, match=rf"line 2: it brings .* no prefix of {size} tokens"
        ):
            await run(job)
    assert edge.requests == []


@pytest.mark.parametrize(
    "prefixes",
    [7, [7], [{"tokens": 0, "text": ""}], [{"tokens": 1}], [{"tokens": True, "text": ""}]],
)
async def test_prefixes_that_are_none_are_refused_by_their_line(job: Job, prefixes: Any) -> None:
    row = {"query": "q", "reference": 2, "edge_answer": "2", "edge_prefixes": prefixes}
    write(job.data, [row])
    with pytest.raises(ConfigurationError, match="line 1: 'edge_prefixes' must be a list of obj"):
        await run(job)
    write(job.data, [{**row, "edge_prefixes": [{"tokens": 1, "text": "", "min_logprob": "x"}]}])
    with pytest.raises(ConfigurationError, match="line 1: 'edge_prefixes': 'min_logprob' must be"):
        await run(job)


async def test_an_edge_without_log_probabilities_is_told_at_the_first_question(
    job: Job, edge: Server, cloud: Server
) -> None:
    refusals: list[tuple[int, Any]] = [
        chat("1", logprobs=None),
        (400, {"error": {"message": "logprobs: not supported by this model", "param": "logprobs"}}),
        (404, {"error": "Not Found"}),
    ]
    told = [
        "has no log-probabilities, which --prefix-tokens needs",
        "logprobs: not supported by this model; --prefix-tokens can't do without",
        "answered 404: Not Found",
    ]
    answers = iter(refusals)
    edge.reply = lambda _: next(answers)
    for words in told:
        with pytest.raises(UpstreamError) as raised:
            await run(job)
        assert words in str(raised.value)
    assert cloud.requests == []
    assert not job.out.exists()


async def test_an_empty_answer_is_one_without_signals(job: Job, edge: Server) -> None:
    said = {"message": {"content": ""}, "logprobs": {"content": []}}
    edge.reply = lambda _: chat("", **said)
    await run(replace(job, limit=1))
    assert labels(job)[0]["edge_prefixes"] == [{"tokens": n, "text": ""} for n in (1, 2, 8)]


async def test_a_graph_has_no_prefixes() -> None:
    with pytest.raises(ConfigurationError, match="give --edge and --cloud in place of --url"):
        Models.at(None, None, "http://graph", {}, (8,))


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("http://e:1/v2/models/qa-edge/infer", ("http://e:1/openai/v1", "qa-edge")),
        ("http://e/a/v2/models/m/versions/1/infer", ("http://e/a/openai/v1", "m")),
        ("http://e/v2/models/a%20b/infer?key=1", ("http://e/openai/v1?key=1", "a b")),
    ],
)
def test_chats_are_beside_the_v2_path(url: str, found: tuple[str, str]) -> None:
    assert chats_beside(url) == found


@pytest.mark.parametrize("url", ["http://u:secret@e/", "http://e/v2/models/m", "http://e/infer"])
def test_another_path_has_no_chats(url: str) -> None:
    with pytest.raises(ConfigurationError, match="does not end in /v2/models/NAME/infer") as raised:
        Models.at(url, "http://c/v2/models/m/infer", None, {}, (8,))
    assert "secret" not in str(raised.value)


async def test_training_reads_the_telemetry_of_the_prefix_that_is_named(job: Job) -> None:
    await run(job)
    means = {}
    for tokens in (None, 1, 2, 8):
        telemetry = read_labels(job.out, prefix_tokens=tokens).telemetry
        assert telemetry is not None
        assert telemetry.prefix_tokens == tokens
        (means[tokens],) = {round(value, 6) for value in telemetry.values["mean_logprob"].tolist()}
    assert means == approx({None: -0.7, 1: -0.1, 2: -0.5, 8: -0.7})


async def test_a_prefix_that_rows_lack_is_refused_with_those_that_they_have(job: Job) -> None:
    await run(job)
    with pytest.raises(ConfigurationError) as raised:
        read_labels(job.out, prefix_tokens=16)
    assert str(raised.value) == (
        f"{job.out}, line 1: no prefix of 16 tokens in 'edge_prefixes', only of 1, 2, 8; "
        "`hem label --prefix-tokens 16` writes it"
    )
