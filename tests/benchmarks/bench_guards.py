"""What guards cost: of privacy, on prompts of benchmarks and on one with an item; all together; and
what counts what goes to the cloud."""

import asyncio
import gzip
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import orjson
import pytest

from predictors.contract.usage import Usage
from tests.conftest import ROOT
from tests.transformers_hem.guards.test_guards import NEEDED
from transformers_hem.algorithms.base import Batch, Leaving
from transformers_hem.guards import GUARDS
from transformers_hem.guards.admission import Going
from transformers_hem.guards.privacy.base import PrivacyParameters
from transformers_hem.guards.privacy.guard import PrivacyGuard
from transformers_hem.guards.settings import load_guard
from transformers_hem.serving.decision import Decider
from transformers_hem.serving.settings import HEMSettings, build_decider

pytestmark = pytest.mark.benchmark

DATA = ROOT.parent / "shared" / "data" / "mmlu_mixtral_gpt4.jsonl.gz"
CHARACTERS_OF_A_TOKEN = 4.5
REQUESTS = 300
COUNTED = 3000
LIMIT_MS = 0.1
ITEMS = " Mail anna@example.com or call +49 30 1234567; card 4111 1111 1111 1111."


def prompts() -> str:
    if not DATA.exists():
        pytest.skip(f"{DATA.name} is not here")
    lines = gzip.decompress(DATA.read_bytes()).splitlines()
    return "\n\n".join(orjson.loads(line)["query"] for line in lines)


@pytest.fixture
def decider(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Decider]:
    """With all guards of the table, of which none objects."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "words").write_text("project atlas\nsmall talk\n")
    made = build_decider(HEMSettings(algorithm="CloudOnly"))
    easy = {
        "BudgetGuard": {"state": "budget.db", "tokens": "1000000000", "per": "client"},
        "LanguageGuard": {"languages": "zh", "route": "cloud"},
        "RateGuard": {"calls": "1000000"},
        "ResourceSensitiveRouter": {"cpu_threshold": "100", "memory_threshold": "100"},
    }
    needed = {**NEEDED, **easy}
    made.guards = {name: load_guard(name, needed.get(name, {})) for name in GUARDS.names()}
    yield made
    for guard in made.guards.values():
        guard.close()


def batch_of(text: str, client: str) -> Batch:
    content = {"messages": [{"role": "user", "content": text}]}
    return Batch(1, (text,), leaving=Leaving(content), client=client)


@pytest.mark.parametrize(("tokens", "most_ms"), [(500, 0.3), (8000, 3.0)])
def test_all_guards_together(tokens: int, most_ms: float, decider: Decider) -> None:
    text, size = prompts(), int(tokens * CHARACTERS_OF_A_TOKEN)
    taken: dict[str, list[float]] = {name: [] for name in ("all", *decider.guards)}
    for number in range(REQUESTS):
        batch = batch_of(text[number * 1009 :][:size], f"a{number}")
        another = batch_of(text[500 + number * 1009 :][:size], f"b{number}")
        for name, guard in decider.guards.items():
            began = time.perf_counter()
            assert guard.route(another) is None, name
            taken[name].append((time.perf_counter() - began) * 1000)
        began = time.perf_counter()
        decider.overrule(batch, None)
        taken["all"].append((time.perf_counter() - began) * 1000)
    for name, times in taken.items():
        print(f"{tokens} tokens, {name}: p50 {median(times):.4f} ms")
    assert median(taken["all"]) <= most_ms


def test_what_counts_is_a_tenth_of_a_millisecond_a_request(decider: Decider) -> None:
    """To admit an attempt and to put it right."""

    async def counted() -> list[float]:
        taken = []
        for number in range(COUNTED):
            going = Going(f"c{number % 10}", Usage(100, 0, 200))
            began = time.perf_counter()
            admission = await decider.admit(going)
            admission.settle(Usage(90, 0, 100))
            taken.append((time.perf_counter() - began) * 1000)
        return taken

    taken = sorted(asyncio.run(counted()))
    print(f"admitted and settled: p50 {median(taken):.4f} ms, p99 {taken[-COUNTED // 100]:.4f} ms")
    assert median(taken) <= LIMIT_MS


@pytest.mark.parametrize(
    ("tokens", "items", "most_ms"), [(500, "", 0.3), (500, ITEMS, 0.6), (8000, "", 3.0)]
)
def test_the_guard_of_privacy(tokens: int, items: str, most_ms: float) -> None:
    text, size = prompts(), int(tokens * CHARACTERS_OF_A_TOKEN)
    guard = PrivacyGuard(PrivacyParameters())
    times = []
    for number in range(REQUESTS):
        start = number * 1009
        content = {"messages": [{"role": "user", "content": text[start : start + size] + items}]}
        batch = Batch(1, leaving=Leaving(content))
        began = time.perf_counter()
        route = guard.route(batch)
        times.append((time.perf_counter() - began) * 1000)
        assert not items or route == "edge"
    print(f"{tokens} tokens{', items' if items else ''}: p50 {median(times):.3f} ms")
    assert median(times) <= most_ms
