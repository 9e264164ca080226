"""Tokens a second that the large model's server serves with all it has, on a core of its own:
alone, and where smaller models elsewhere draft. Beside each what the curve of its steps says.

The drafts are replayed by the callers, which costs the cloud's core nothing: four tokens a round,
right as often as is wanted.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import pytest

from tests.benchmarks.speculation import load, results
from tests.benchmarks.speculation.asked import answered, questions
from tests.benchmarks.speculation.cloud import cloud
from tests.benchmarks.speculation.replay import Replay
from tests.benchmarks.speculation.shapes import written
from tests.conftest import ServerProcess

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(1800)]

ROWS: Final = (1, 4, 8, 16, 32)
SPARE: Final = 8  # slots, so that nobody waits for one
DRAFTED: Final = 4
ACCEPTANCE: Final = (0.8, 0.5, 0.7, 0.9)  # the first one is that of the targets
TARGETS: Final = {1: 1.5, 4: 1.5, 8: 1.2}
LIMIT: Final = 64
QUESTIONS: Final = 40
MODELS: Final = ("16M", "long-cloud")


@pytest.mark.parametrize("name", MODELS)
async def test_what_a_core_serves(name: str, tmp_path: Path) -> None:
    embedded = name.startswith("long")
    model_dir = f"embedded:{name}" if embedded else str(written(name, tmp_path / "model"))
    options = ("--verify_slots", str(max(ROWS) + SPARE), "--max_batch_size", str(max(ROWS)))
    with cloud(model_dir, tmp_path / "log", *options) as server:
        report = await measured(server)
    results.keep(f"capacity-{name}", report)
    found = report["rows"]
    ways = ["cloud-only", *map(str, ACCEPTANCE)]
    heads = ["rows", *ways, "times at 0.8", "rows a pass", "core", "load's core"]
    print(f"\n{name}: the wire takes {1000 * report['wire']:.2f} ms a round; {report['cost']}")
    results.table(heads, [shown(rows, found[rows], ways) for rows in ROWS])
    times = {rows: ratio(found[rows]) for rows in ROWS}
    assert {rows: times[rows] for rows, aim in TARGETS.items() if times[rows] < aim} == {}


async def measured(server: ServerProcess) -> dict[str, Any]:
    """`rows`: by rows and way; `wire`: seconds of a round without its pass; `cost`: of a pass, as
    the server tells it."""
    process = server.process.pid
    async with load.patient_session() as session:
        model = await load.verify_model(session, server.url)
        ends = frozenset(model.end_tokens)
        check = load.over_http(session, server.url, model.vocabulary)
        asked = await answered(questions(QUESTIONS), check, ends, LIMIT)
        wire = await load.wire_seconds(check, asked[0], process)
        ways = {"cloud-only": load.whole_answers(session, server.url, LIMIT)}
        answers = {each.prompt: each.answer for each in asked}
        for acceptance in ACCEPTANCE:
            replay = Replay(answers, acceptance, model.vocabulary)
            ways[str(acceptance)] = load.rounds(check, replay, DRAFTED, LIMIT, ends)
        found = {
            rows: {name: await load.served(way, asked, rows, process) for name, way in ways.items()}
            for rows in ROWS
        }
    prompt = sum(len(each.prompt) for each in asked) / len(asked)
    answer = sum(len(each.answer) for each in asked) / len(asked)
    served = {rows: {name: asdict(each) for name, each in by.items()} for rows, by in found.items()}
    said = {"wire": wire, "cost": model.cost, "prompt": prompt, "answer": answer}
    return {"drafted": DRAFTED, **said, "rows": served}


def ratio(found: dict[str, Any]) -> float:
    rate, alone = (found[way]["tokens_per_second"] for way in (str(ACCEPTANCE[0]), "cloud-only"))
    return float(rate / alone)


def shown(rows: int, found: dict[str, Any], ways: list[str]) -> list[Any]:
    aimed = found[str(ACCEPTANCE[0])]
    rates = [found[way]["tokens_per_second"] for way in ways]
    return [rows, *rates, ratio(found), aimed["rows"], aimed["busy"], aimed["load"]]
