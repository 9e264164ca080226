"""What metrics, and traces that are off, cost a request; how long a scrape of many series takes."""

import time
from collections.abc import Callable
from statistics import median

import httpx
import pytest
from fastapi import FastAPI
from kserve.protocol.rest.server import metrics_handler
from prometheus_client import REGISTRY

from predictors.contract import Answer
from predictors.prices import Price, Prices
from predictors.serving.answers import Answers
from predictors.tracing.spans import span, tracing
from transformers_hem.gateway.account import Account

pytestmark = pytest.mark.benchmark

SERIES, SCRAPES, CALLS = 1000, 50, 20_000
LIMIT_MS, LIMIT_US = 20.0, 50.0
PRICES = Prices(
    currency="USD", models={"large": Price(input=1, output=2), "model-0": Price(input=1, output=1)}
)
# What Prometheus itself asks for.
ACCEPT = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;q=0.75,*/*;q=0.1"


def series() -> int:
    return sum(len(metric.samples) for metric in REGISTRY.collect())


def answered(model: str) -> None:
    account = Account(PRICES)
    attempt = account.begin("edge")
    attempt.asked = model
    with attempt.under_way(), attempt.traced("/chat/completions", streams=True):
        attempt.read({"model": model, "usage": {"prompt_tokens": 9, "completion_tokens": 9}})
        attempt.spoke()
        attempt.outcome = "answered"
    account.close()


async def test_a_scrape_of_a_thousand_series_takes_less_than_20_ms() -> None:
    number = 0
    while series() < SERIES:
        answered(f"model-{number}")
        number += 1
    app = FastAPI()
    app.add_api_route("/metrics", metrics_handler)
    transport = httpx.ASGITransport(app)
    taken, size, begun = [], 0, time.process_time()
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        for _ in range(SCRAPES):
            begin = time.perf_counter()
            answer = await client.get("/metrics", headers={"accept": ACCEPT})
            taken.append((time.perf_counter() - begin) * 1000)
            size = len(answer.content)
    computed = (time.process_time() - begun) / SCRAPES * 1000
    print(f"\n{series()} series, {size} bytes: median {median(taken):.1f} ms")
    print(f"of the processor: {computed:.1f} ms")
    assert median(taken) < LIMIT_MS


def test_to_count_an_answer_takes_microseconds() -> None:
    answers = Answers("m")
    answer = Answer("x", 10, 10, 0.1, 0.01)

    def predictor() -> None:
        with answers.text("chat") as call:
            call.begins()
            call.gave([answer])

    assert not tracing()
    for name, work in (
        ("a span that is off", lambda: span("x", {}).__enter__()),
        ("a predictor's answer", predictor),
        ("a gateway's answer", lambda: answered("model-0")),
    ):
        print(f"\n{name}: {microseconds(work):.2f} us")
    assert microseconds(predictor) < LIMIT_US


def microseconds(work: Callable[[], object]) -> float:
    """Of the processor."""
    begin = time.process_time()
    for _ in range(CALLS):
        work()
    return (time.process_time() - begin) / CALLS * 1e6
