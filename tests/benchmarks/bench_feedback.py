"""How much feedback a server takes, how long its callers wait, and what it costs decisions."""

import itertools
from pathlib import Path
from statistics import median

import orjson
import pytest

from predictors.contract import text_request
from tests.benchmarks.feedback_load import at_rate, percentile
from tests.conftest import ServerProcess, StartServer
from tests.transformers_hem.feedback.killing import kept

pytestmark = pytest.mark.benchmark

SECONDS, RATE, MOST_MS = 15, 1000, 20
BESIDE, ASKED, ROUNDS, LEAST_RATIO = 100, 100, 10, 0.95
INFER = "/v2/models/qa-hem/infer"
_NUMBERS = itertools.count()


def started(start_server: StartServer, path: Path) -> ServerProcess:
    settings = {"HEM_FEEDBACK_STORE": str(path), "HEM_HOST": "127.0.0.1"}
    settings |= {"HEM_FEEDBACK_ROWS": "10000000"}
    ready = "/v2/models/qa-hem/ready"
    return start_server("transformers_hem", "--model_name", "qa-hem", env=settings, ready=ready)


def bodies_of(many: int) -> bytes:
    said = [{"request_id": f"r{next(_NUMBERS)}", "rating": 4, "key": f"k{n}"} for n in range(many)]
    for each in said:
        each["key"] = each["request_id"]
    return orjson.dumps(said if many > 1 else said[0])


@pytest.mark.parametrize(("rate", "many"), [(RATE, 1), (RATE / 10, 10), (RATE / 100, 100)])
async def test_a_thousand_a_second_are_kept_and_answered_soon(
    start_server: StartServer, tmp_path: Path, rate: float, many: int
) -> None:
    path = tmp_path / "feedback.db"
    server = started(start_server, path)
    await at_rate(server.url, "/feedback", lambda _: bodies_of(many), rate, 2)
    taken = await at_rate(server.url, "/feedback", lambda _: bodies_of(many), rate, SECONDS)
    server.stop()
    told = f"median {median(taken):.1f} ms, p99 {percentile(taken, 0.99):.1f} ms"
    print(f"\n{rate:g} requests a second of {many} feedbacks: {told}")
    assert len(kept(path)) == rate * (SECONDS + 2) * many
    assert percentile(taken, 0.99) <= MOST_MS


async def test_feedback_costs_a_decision_nothing_that_shows(
    start_server: StartServer, tmp_path: Path
) -> None:
    """In turns: decisions alone, and with feedback a hundred times a second."""
    import asyncio

    server = started(start_server, tmp_path / "feedback.db")
    body = orjson.dumps(text_request(["What is 47 + 385?"], {}))

    async def decisions() -> list[float]:
        return await at_rate(server.url, INFER, lambda _: body, ASKED, 3)

    async def with_feedback() -> list[float]:
        feedback = at_rate(server.url, "/feedback", lambda _: bodies_of(1), BESIDE, 3.2)
        _, taken = await asyncio.gather(feedback, decisions())
        return taken

    await with_feedback()
    alone, beside = [], []
    for number in range(ROUNDS):
        turns = [(decisions, alone), (with_feedback, beside)]
        for ask, found in turns if number % 2 else reversed(turns):
            found.append(median(await ask()))
    ratio = median(a / b for a, b in zip(alone, beside, strict=True))
    print(f"\na decision: {median(alone):.3f} ms alone, {median(beside):.3f} ms with {BESIDE}/s")
    print(f"ratio {ratio:.3f}")
    assert ratio > LEAST_RATIO
