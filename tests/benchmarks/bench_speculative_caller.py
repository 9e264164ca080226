"""One caller with answers of 77 tokens, over links of some lengths: tokens a second, passes of the
cloud's model and bytes for each token, by the cloud alone (streamed), by drafting and waiting in
turns, and by ours.

`pair`: what the long pair's small model drafts, as it is. A number: its drafts are thrown away,
when it has computed them, for the large model's own answer with that share of right tokens; of the
wrong ones the second choice is right every other time. `one way`: ours with `--branches 0`, where
nothing is drafted behind second choices.
"""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
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
MOST_SLOWER: Final = 0.95  # times the cloud alone


@dataclass(frozen=True)
class Cell:
    """`chance`: of a drafted token to be right."""

    drafter: str
    chance: float
    round_trip: int
    link: Link
    asked: list[Asked]
    replay: Replay | None

    def about(self) -> dict[str, Any]:
        second = PAIRS_SECOND if self.drafter == PAIR else SECOND
        return {
            "drafter": self.drafter,
            "chance": self.chance,
            "round_trip": self.round_trip,
            "second": second,
        }


Play = Callable[[Cell], Awaitable[dict[str, Figures]]]


async def test_one_caller(tmp_path: Path) -> None:
    assert len(await played("caller", every_way, tmp_path)) == 5 * 16


async def test_policy_latency_is_no_more_than_a_twentieth_slower_than_the_cloud_alone(
    tmp_path: Path,
) -> None:
    """Both by turns, 32 answers each: of a dozen a cell's ratio is off by some hundredths."""
    rows = await played("latency", latency, tmp_path)
    alone, ours = ([row for row in rows if row["way"] == way] for way in ("cloud-only", "latency"))
    times = {
        (one["drafter"], one["round_trip"]): one["rate"] / other["rate"]
        for one, other in zip(ours, alone, strict=True)
    }
    print("\n".join(f"{drafter}, {ms} ms: {found:.3f}" for (drafter, ms), found in times.items()))
    assert {cell: found for cell, found in times.items() if found < MOST_SLOWER} == {}


async def played(name: str, play: Play, folder: Path) -> list[dict[str, Any]]:
    """All cells, one after the other, which are shown and kept."""
    rows: list[dict[str, Any]] = []
    torch.set_num_threads(1)  # all that is here has one core
    with cloud("embedded:long-cloud", folder / "log", "--verify_slots", "16") as server:
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
                    cell = Cell(drafter, chance, round_trip, link, asked, replay)
                    found = await play(cell)
                    rows += [{**cell.about(), **row(way, each)} for way, each in found.items()]
                    results.keep(name, rows)
                show([each for each in rows if each["drafter"] == drafter])
    return rows


async def latency(cell: Cell) -> dict[str, Figures]:
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        ways = {"cloud-only": await enter(cloud_only(cell.link.url))}
        ways["latency"] = await enter(speculative(cell.link.url, cell.replay, policy="latency"))
        await measured({"cloud-only": ways["cloud-only"]}, cell.asked[:2], cell.link)
        await measured({"latency": ways["latency"]}, cell.asked, cell.link)
        return await measured(ways, cell.asked, cell.link)


async def every_way(cell: Cell) -> dict[str, Figures]:
    link, asked, replay = cell.link, cell.asked, cell.replay
    round_trip, few = cell.round_trip, asked[:ASKED]
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
            link, few[: 2 if round_trip < 50 else 1], replay, round_trip, cell.chance
        )
        ways[f"naive, {best}"] = await enter(naive(link.url, replay, best))
        await measured({"naive": ways[f"naive, {best}"]}, few[:1], link)
        return await measured(ways, few, link)


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
