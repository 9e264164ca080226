"""Beginnings of the embedded edge's own answers: the same model, asked in each way there is."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from pytest import approx

from predictors.contract import text_request
from predictors.upstream.openai.signals import PrefixSignals
from tests.conftest import ServerProcess, StartServer
from transformers_hem.labels.asking import Models
from transformers_hem.labels.job import Job, Watcher, label

QUERIES = [f"What is {3 * n} + {117 * n}?" for n in range(1, 30)]
SIZES = (1, 2, 3, 64)
GREEDY = {"temperature": 0, "max_tokens": 12}
SIGNALS = ("mean_logprob", "min_logprob", "mean_margin")


@pytest.fixture(scope="module")
def edge(start_server: StartServer) -> ServerProcess:
    return start_server(
        *("predictors", "--model_name", "e", "--model_dir", "embedded:edge"),
        ready="/v2/models/e/ready",
    )


@pytest.fixture(scope="module")
def cloud(start_server: StartServer) -> ServerProcess:
    return start_server(
        *("predictors", "--model_name", "c", "--model_dir", "embedded:cloud"),
        ready="/v2/models/c/ready",
    )


async def labelled(
    folder: Path, edge: ServerProcess, cloud: ServerProcess, sizes: tuple[int, ...]
) -> list[dict[str, Any]]:
    data, out = folder / "questions", folder / f"labels-{len(sizes)}"
    lines = (json.dumps({"query": query, "reference": "1"}) + "\n" for query in QUERIES)
    data.write_text("".join(lines))
    urls = (f"{edge.url}/v2/models/e/infer", f"{cloud.url}/v2/models/c/infer")
    result = await label(
        Job(data, out, "numeric", models=Models.at(*urls, None, GREEDY, sizes)), Watcher()
    )
    assert result.failures == []
    return [json.loads(line) for line in out.read_text().splitlines()]


@pytest.fixture
async def rows(tmp_path: Path, edge: ServerProcess, cloud: ServerProcess) -> list[dict[str, Any]]:
    return await labelled(tmp_path, edge, cloud, SIZES)


async def test_prefixes_change_neither_answers_nor_signals_of_labels(
    tmp_path: Path, edge: ServerProcess, cloud: ServerProcess, rows: list[dict[str, Any]]
) -> None:
    latencies = ("time_to_first_token", "inter_token_latency")
    timed = [f"{side}_{name}" for side in ("edge", "cloud") for name in latencies]
    plain = await labelled(tmp_path, edge, cloud, ())
    for with_prefixes, without in zip(rows, plain, strict=True):
        assert with_prefixes.pop("edge_prefixes")
        for row in (with_prefixes, without):
            for name in timed:
                row.pop(name, None)
        # Who is beside an answer in a batch changes its signals by rounding, 1.05e-5 was seen; the
        # engine's own tests ask for 1e-4.
        assert with_prefixes == approx(without, abs=1e-4)


async def test_a_whole_answer_is_its_own_prefix(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        whole = row["edge_prefixes"][-1]
        assert whole["text"] == row["edge_answer"]
        assert whole == {"tokens": 64, "text": row["edge_answer"]} | {
            name: row[f"edge_{name}"] for name in SIGNALS
        }


async def test_a_prefix_is_what_the_edge_says_when_it_may_say_no_more(
    edge: ServerProcess, rows: list[dict[str, Any]]
) -> None:
    """V2's own telemetry of an answer that `max_tokens` ends."""
    for size in (1, 2):
        request = text_request(QUERIES, {**GREEDY, "max_tokens": size})
        told = httpx.post(f"{edge.url}/v2/models/e/infer", json=request, timeout=60).json()
        outputs = {output["name"]: output["data"] for output in told["outputs"]}
        for number, row in enumerate(rows):
            (prefix,) = (each for each in row["edge_prefixes"] if each["tokens"] == size)
            assert prefix["text"] == outputs["text_output"][number]
            for name in SIGNALS:
                assert prefix[name] == approx(outputs[name][number], abs=1e-5)


async def test_the_events_of_a_stream_give_the_same_prefixes(
    edge: ServerProcess, rows: list[dict[str, Any]]
) -> None:
    for row in rows[:10]:
        first = [PrefixSignals(size) for size in SIZES]
        chat = {"model": "e", "messages": [{"role": "user", "content": row["query"]}], **GREEDY}
        asked = {**chat, "logprobs": True, "top_logprobs": 2, "stream": True}
        url = f"{edge.url}/openai/v1/chat/completions"
        with httpx.stream("POST", url, json=asked, timeout=60) as response:
            for line in response.iter_lines():
                if line.startswith("data: {"):
                    for choice in json.loads(line[6:])["choices"]:
                        for prefix in first:
                            prefix.add(choice)
        seen = [
            {"tokens": size, **prefix.signals(), "text": prefix.text}
            for size, prefix in zip(SIZES, first, strict=True)
        ]
        for one, other in zip(seen, row["edge_prefixes"], strict=True):
            assert one == approx(other, abs=1e-5)
