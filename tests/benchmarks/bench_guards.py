"""What looking for private items costs, on prompts of benchmarks and on one with an item."""

import gzip
import time
from statistics import median

import orjson
import pytest

from tests.conftest import ROOT
from transformers_hem.algorithms.base import Batch, Leaving
from transformers_hem.guards.privacy.base import PrivacyParameters
from transformers_hem.guards.privacy.guard import PrivacyGuard

pytestmark = pytest.mark.benchmark

DATA = ROOT.parent / "shared" / "data" / "mmlu_mixtral_gpt4.jsonl.gz"
CHARACTERS_OF_A_TOKEN = 4.5
REQUESTS = 300
ITEMS = " Mail anna@example.com or call +49 30 1234567; card 4111 1111 1111 1111."


@pytest.mark.parametrize(
    ("tokens", "items", "most_ms"), [(500, "", 0.3), (500, ITEMS, 0.6), (8000, "", 3.0)]
)
def test_the_guard_of_privacy(tokens: int, items: str, most_ms: float) -> None:
    if not DATA.exists():
        pytest.skip(f"{DATA.name} is not here")
    prompts = [
        orjson.loads(line)["query"] for line in gzip.decompress(DATA.read_bytes()).splitlines()
    ]
    text, size = "\n\n".join(prompts), int(tokens * CHARACTERS_OF_A_TOKEN)
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
