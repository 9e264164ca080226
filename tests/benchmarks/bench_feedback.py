"""How much feedback a server takes, how long its callers wait, and what it costs decisions."""

import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean, median

import orjson
import pytest

from predictors.contract import text_request
from tests.benchmarks.feedback_load import (
    START_SECONDS,
    Load,
    Sending,
    Taken,
    percentile,
    steady,
)
from tests.conftest import ServerProcess, StartServer
from tests.transformers_hem.feedback.killing import kept

pytestmark = pytest.mark.benchmark

SECONDS, RATE, MOST_MS = 15, 1000, 20
BESIDE, ASKED, LEAST_RATIO = 100, 100, 0.95
ROUNDS, ROUND_SECONDS, EDGE_SECONDS = 20, 3.0, 0.2
INFER = "/v2/models/qa-hem/infer"


def started(start_server: StartServer, path: Path) -> ServerProcess:
    settings = {"HEM_FEEDBACK_STORE": str(path), "HEM_HOST": "127.0.0.1"}
    settings |= {"HEM_FEEDBACK_ROWS": "10000000"}
    ready = "/v2/models/qa-hem/ready"
    return start_server("transformers_hem", "--model_name", "qa-hem", env=settings, ready=ready)


def cpu_seconds(server: ServerProcess) -> float:
    """Of all its threads."""
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


@pytest.mark.parametrize(("rate", "many"), [(RATE, 1), (RATE / 10, 10), (RATE / 100, 100)])
def test_a_thousand_a_second_are_kept_and_answered_soon(
    start_server: StartServer, tmp_path: Path, rate: float, many: int
) -> None:
    path = tmp_path / "feedback.db"
    server = started(start_server, path)
    url = f"{server.url}/feedback"
    Sending(Load(url, steady(rate, 2), many=many, prefix="first")).taken()
    before = cpu_seconds(server)
    taken = Sending(Load(url, steady(rate, SECONDS), many=many)).taken()
    used = (cpu_seconds(server) - before) / len(taken)
    server.stop()
    waited = [each.due for each in taken]
    told = f"median {median(waited):.1f} ms, p99 {percentile(waited, 0.99):.1f} ms"
    told += f", {used * 1e6:.0f} us of the server's CPU for each request"
    print(f"\n{rate:g} requests a second of {many} feedbacks: {told}")
    assert len(kept(path)) == rate * (SECONDS + 2) * many
    assert percentile(waited, 0.99) <= MOST_MS


def test_feedback_costs_a_decision_nothing_that_shows(
    start_server: StartServer, tmp_path: Path
) -> None:
    """Decisions all the time, and in every other round feedback from another process. Both come at
    random moments: callers don't keep step with each other, and two loads that do show nothing but
    that one of them stands behind the other."""
    server = started(start_server, tmp_path / "feedback.db")
    question = orjson.dumps(text_request(["What is 47 + 385?"], {})).decode()
    drawn = random.Random(7)
    begin = time.perf_counter() + START_SECONDS
    end = begin + ROUNDS * ROUND_SECONDS
    asked = Load(f"{server.url}{INFER}", moments(drawn, ASKED, begin, end), body=question)
    with_feedback = [moment for moment in moments(drawn, BESIDE, begin, end) if odd(moment - begin)]
    said = Load(f"{server.url}/feedback", with_feedback, many=1)
    feedback, decisions = Sending(said), Sending(asked)
    taken = decisions.taken()
    feedback.taken()
    rounds = by_round(taken, begin)
    for name, of in FIGURES.items():
        pairs = [(of(rounds[n]), of(rounds[n + 1])) for n in range(0, ROUNDS, 2)]
        ratio = median(alone / beside for alone, beside in pairs)
        alone, beside = (median(each) for each in zip(*pairs, strict=True))
        print(
            f"\na decision, {name}: {alone:.3f} ms alone, {beside:.3f} ms with {BESIDE}/s", end=""
        )
        print(f", ratio {ratio:.3f}", end="")
        if name != "p99":
            assert ratio > LEAST_RATIO


FIGURES: dict[str, Callable[[Sequence[float]], float]] = {
    "p99": lambda waited: percentile(waited, 0.99),
    "mean": fmean,
    "median": median,
}


def moments(drawn: random.Random, rate: float, begin: float, end: float) -> list[float]:
    """Of a Poisson process."""
    found = [begin]
    while found[-1] < end:
        found.append(found[-1] + drawn.expovariate(rate))
    return found[1:-1]


def odd(seconds: float) -> bool:
    return int(seconds / ROUND_SECONDS) % 2 == 1


def by_round(taken: Sequence[Taken], begin: float) -> list[list[float]]:
    """Each without its first moments, in which the round before may still show."""
    found: list[list[float]] = [[] for _ in range(ROUNDS)]
    for each in taken:
        number, since = divmod(each.moment - begin, ROUND_SECONDS)
        if since > EDGE_SECONDS:
            found[int(number)].append(each.sent)
    return found
