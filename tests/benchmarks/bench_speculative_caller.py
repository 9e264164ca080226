"""One caller with answers of 77 tokens, over links of some lengths: tokens a second, passes of the
cloud's model and bytes for each token, by the cloud alone (streamed), by drafting and waiting in
turns, and by ours.

`pair`: what the long pair's small model drafts, as it is. A number: its drafts are thrown away,
when it has computed them, for the large model's own answer with that share of right tokens; of the
wrong ones the second choice is right every other time. `one way`: ours with `--branches 0`, where
nothing is drafted behind second choices.
"""

from contextlib import AsyncExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import pytest
import torch

from predictors.embedded import directory
from predictors.embedded.workshop.answering import DirectModel
from tests.benchmarks.speculation import load, results
from tests.benchmarks.speculation.asked import GREEDY, Asked, answered, questions
from tests.benchmarks.speculation.caller import (
    DRAFTS,
    Figures,
    cloud_only,
    measured,
    naive,
    speculative,
)
from tests.benchmarks.speculation.cloud import cloud
from tests.benchmarks.speculation.link import Link
from tests.benchmarks.speculation.replay import Replay

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(3600)]

ROUND_TRIPS: Final = (0, 20, 50, 100)  # milliseconds
PAIR: Final = "pair"
DRAFTERS: Final = (PAIR, "0.9", "0.7", "0.5")
LENGTHS: Final = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)  # that naive may draft
NEAR: Final = 0.85  # of the best rate expected: lengths below it are not tried
SECOND: Final = 0.5  # of the replayed wrong tokens whose second choice is right
PAIRS_SECOND: Final = 0.92  # of the small model's own (docs/engines/speculative.md)
WARM_UP: Final = 32  # requests, of policy `latency`
LEARNING: Final = 4  # of `always`, which learns pace and link from them
ASKED: Final = 5  # of each way
PAIRED: Final = 12  # of the cloud alone and of `latency`, which are compared to a twentieth


async def test_one_caller(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = []
    torch.set_num_threads(1)  # all that is here has one core
    with cloud("embedded:long-cloud", tmp_path / "log", "--verify_slots", "16") as server:
        async with load.patient_session() as session:
            model = await load.verify_model(session, server.url)
            check = load.over_http(session, server.url, model.vocabulary)
            ends = frozenset(model.end_tokens)
            asked = await answered(questions(WARM_UP), check, ends, GREEDY.max_tokens)
        with Link(server.host) as link:
            for drafter in DRAFTERS:
                chance = small_models(asked) if drafter == PAIR else float(drafter)
                answers = {each.prompt: each.answer for each in asked}
                replay = None
                if drafter != PAIR:
                    replay = Replay(answers, chance, model.vocabulary, SECOND)
                for round_trip in ROUND_TRIPS:
                    link.round_trip = round_trip / 1000
                    found = await cell(link, asked, replay, round_trip, chance)
                    cells = {"drafter": drafter, "chance": chance, "round_trip": round_trip}
                    cells["second"] = PAIRS_SECOND if drafter == PAIR else SECOND
                    rows += [{**cells, **row(name, each)} for name, each in found.items()]
                    results.keep("caller", rows)
                show([each for each in rows if each["drafter"] == drafter])
    slower = {
        (each["drafter"], each["round_trip"]): each["rate"] / alone["rate"]
        for each in rows
        for alone in rows
        if each["way"] == "latency" and alone["way"] == "cloud-only" and _same(each, alone)
    }
    assert {cell: times for cell, times in slower.items() if times < 0.95} == {}


async def cell(
    link: Link, asked: list[Asked], replay: Replay | None, round_trip: int, chance: float
) -> dict[str, Figures]:
    few = asked[:ASKED]
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        ways = {"cloud-only": await enter(cloud_only(link.url))}
        ways["always"] = await enter(speculative(link.url, replay, policy="always"))
        options = {"policy": "always", "branches": 0}
        ways["one way"] = await enter(speculative(link.url, replay, **options))
        ways["latency"] = await enter(speculative(link.url, replay, policy="latency"))
        await measured({"cloud-only": ways["cloud-only"]}, few[:2], link)
        learning = {name: ways[name] for name in ("always", "one way")}
        await measured(learning, asked[-LEARNING:], link)
        await measured({"latency": ways["latency"]}, asked[:WARM_UP], link)
        best = await best_length(
            link, few[: 2 if round_trip < 50 else 1], replay, round_trip, chance
        )
        ways[f"naive, {best}"] = await enter(naive(link.url, replay, best))
        await measured({"naive": ways[f"naive, {best}"]}, few[:1], link)
        found = await measured(ways, few, link)
        paired = {name: ways[name] for name in ("cloud-only", "latency")}
        return {**found, **await measured(paired, asked[:PAIRED], link)}


async def best_length(
    link: Link, asked: list[Asked], replay: Replay | None, round_trip: int, chance: float
) -> int:
    """Of those tried, which are all that are not far from the best by a rough estimate."""

    def expected(count: int) -> float:
        return (1 - chance ** (count + 1)) / (1 - chance) / (round_trip + 5 + count)

    most = max(map(expected, LENGTHS))
    rates: dict[int, float] = {}
    for count in LENGTHS:
        if expected(count) >= NEAR * most:
            async with naive(link.url, replay, count) as way:
                await measured({"naive": way}, asked[:1] if round_trip < 50 else [], link)
                found = await measured({"naive": way}, asked, link)
                rates[count] = found["naive"].rate
    return max(rates, key=lambda count: rates[count])


def small_models(asked: list[Asked]) -> float:
    """The share of the large model's tokens that the small one would say, given those before."""
    small = DirectModel(directory(DRAFTS))
    said = [(each.answer, small.next_tokens(each.text, each.answer)) for each in asked]
    same = [
        own == other for answer, tokens in said for own, other in zip(answer, tokens, strict=True)
    ]
    return sum(same) / len(same)


def row(name: str, figures: Figures) -> dict[str, Any]:
    way, _, length = name.partition(", ")
    return {"way": way, "length": int(length or 0), "rate": figures.rate, **asdict(figures)}


def show(rows: list[dict[str, Any]]) -> None:
    heads = ["drafts", "ms", "way", "k", "tokens/s", "passes a token", "bytes a token", "taken"]
    results.table(
        [*heads, "fell back"],
        [
            [
                each["drafter"],
                each["round_trip"],
                each["way"],
                each["length"] or None,
                each["rate"],
                each["passes"] / each["tokens"],
                (each["sent"] + each["received"]) / each["tokens"],
                each["accepted"] / each["drafted"] if each["drafted"] else None,
                each["routes"].get("cloud", 0) / each["answers"],
            ]
            for each in rows
        ],
    )


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return all(one[name] == other[name] for name in ("drafter", "round_trip"))
