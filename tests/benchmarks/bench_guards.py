"""What guards cost: of privacy, on prompts of benchmarks and on some with items, and what redaction
adds to a request and to each token of its answer; all together; and what counts what goes to the
cloud."""

import asyncio
import gzip
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import orjson
import pytest

from predictors.contract.usage import Usage
from tests.conftest import ROOT
from tests.transformers_hem.guards.test_guards import NEEDED
from transformers_hem.algorithms.base import Batch, Leaving
from transformers_hem.gateway.attempt import Attempt
from transformers_hem.gateway.events import event_of
from transformers_hem.gateway.passing import Passing
from transformers_hem.gateway.restoring import Restorer
from transformers_hem.gateway.served import Served
from transformers_hem.guards import GUARDS
from transformers_hem.guards.admission import Going
from transformers_hem.guards.placeholders import Placeholders
from transformers_hem.guards.privacy.base import PrivacyParameters
from transformers_hem.guards.privacy.guard import PrivacyGuard
from transformers_hem.guards.settings import load_guard
from transformers_hem.serving.decision import Decider
from transformers_hem.serving.leaving import leaving_chat
from transformers_hem.serving.settings import HEMSettings, build_decider

pytestmark = pytest.mark.benchmark

DATA = ROOT.parent / "shared" / "data" / "mmlu_mixtral_gpt4.jsonl.gz"
CHARACTERS_OF_A_TOKEN = 4.5
REQUESTS = 300
COUNTED = 3000
LIMIT_MS = 0.1
MOST_SECONDS_OF_A_TOKEN = 1e-4
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


def bodies(tokens: int, items: str) -> Iterator[dict[str, Any]]:
    text, size = prompts(), int(tokens * CHARACTERS_OF_A_TOKEN)
    for start in range(0, REQUESTS * 1009, 1009):
        yield {"messages": [{"role": "user", "content": text[start : start + size] + items}]}


@pytest.mark.parametrize(
    ("tokens", "items", "most_ms"),
    [(500, "", 0.3), (500, ITEMS, 0.3), (8000, "", 3.0), (8000, ITEMS, 3.0)],
)
def test_the_guard_of_privacy(tokens: int, items: str, most_ms: float) -> None:
    guard = PrivacyGuard(PrivacyParameters())
    times = []
    for body in bodies(tokens, items):
        batch = Batch(1, leaving=leaving_chat(body, {}))
        began = time.perf_counter()
        route = guard.route(batch)
        times.append((time.perf_counter() - began) * 1000)
        assert not items or route == "edge"
    print(f"{tokens} tokens{', items' if items else ''}: p50 {median(times):.3f} ms")
    assert median(times) <= most_ms


@pytest.mark.parametrize("tokens", [500, 8000])
def test_redaction_of_a_request(tokens: int) -> None:
    """It is looked through twice."""
    guard = PrivacyGuard(PrivacyParameters(action="redact"))
    times = []
    for body in bodies(tokens, ITEMS):
        leaving = leaving_chat(body, {})
        began = time.perf_counter()
        redacted = guard.redacted(leaving)
        times.append((time.perf_counter() - began) * 1000)
        assert redacted is not None
    print(f"redacted, {tokens} tokens: p50 {median(times):.3f} ms")


def test_what_redaction_adds_to_a_token() -> None:
    guard = PrivacyGuard(PrivacyParameters(action="redact"))
    redacted = guard.redacted(leaving_chat({"messages": [{"content": ITEMS}]}, {}))
    assert redacted is not None
    plain, restored = (
        min(streamed(redacted.placeholders if on else None) for _ in range(20))
        for on in (False, True)
    )
    print(f"a token: {plain * 1e6:.1f} us, restored {restored * 1e6:.1f} us")
    assert restored - plain <= MOST_SECONDS_OF_A_TOKEN


def streamed(placeholders: Placeholders | None) -> float:
    """Seconds for each of the events of an answer, of which some are of a placeholder."""
    words = ("Dear ", "<EM", "AIL", "_1>", ", ", "your ", "card ", "has ", "come", ". ") * 20
    choices = ({"index": 0, "delta": {"content": word}, "finish_reason": None} for word in words)
    events = [event_of({"id": "c", "model": "m", "choices": [each]}) for each in choices]
    chat: Any = None
    rewrite = None if placeholders is None else Restorer(placeholders, {}).rewrite
    passing = Passing(Served(chat, Attempt("cloud")), shows_usage=False, rewrite=rewrite)
    began = time.perf_counter()
    for event in events:
        passing.take(event)
        passing.written(passing.due())
    return (time.perf_counter() - began) / len(events)
