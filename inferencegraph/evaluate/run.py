"""Runs a benchmark: reads the data, asks what has to be asked, replays the rest, and measures."""

import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from inferencegraph.evaluate.asking import Asker, Pace, ask_all, asker
from inferencegraph.evaluate.benchmark import DEFAULT_SYSTEMS, Benchmark
from inferencegraph.evaluate.datasets import DataSet, Item, read_data
from inferencegraph.evaluate.energy import Meter
from inferencegraph.evaluate.metrics.columns import Whole
from inferencegraph.evaluate.outcome import Outcome
from inferencegraph.evaluate.records import ROWS, Records, remove_empty, write_records
from inferencegraph.evaluate.replay import replay
from inferencegraph.evaluate.scoring import Scoring
from inferencegraph.evaluate.systems import (
    CLOUD_ONLY,
    DEPLOYED,
    EDGE_ONLY,
    MEASURED,
    ORACLE,
    System,
    SystemEntry,
    systems_of,
)
from inferencegraph.evaluate.training_rows import Provenance, provenance
from inferencegraph.evaluate.wan import Traffic, wan
from predictors.contract import CLOUD, EDGE
from predictors.errors import ConfigurationError
from predictors.upstream.redaction import shown_url

_RANDOM: Final = SystemEntry(algorithm="RandomRouter", threshold=(0.5,))
_SIDES: Final = {EDGE_ONLY: EDGE, CLOUD_ONLY: CLOUD, DEPLOYED: None}


@dataclass(frozen=True, slots=True)
class Watcher:
    """Follows a run: `begin(task, total, done)`, `one_more(task)`, and a line to tell now."""

    begin: Callable[[str, int, int], None] = lambda task, total, done: None
    one_more: Callable[[str], None] = lambda task: None
    tell: Callable[[str], None] = lambda line: None


@dataclass(frozen=True, slots=True)
class Run:
    """One system's outcomes, in the order of the items. `measured`: it was asked; else replayed."""

    system: System
    outcomes: Sequence[Outcome]
    measured: bool
    whole: Whole = field(default_factory=Whole)
    provenance: Provenance | None = None


@dataclass(frozen=True, slots=True)
class Finished:
    """Everything that was seen: `edge` and `cloud` are what both sides answered."""

    benchmark: Benchmark
    data: Sequence[DataSet]
    items: Sequence[Item]
    runs: Sequence[Run]
    edge: Sequence[Outcome]
    cloud: Sequence[Outcome]
    asked: str = ""
    seconds: float = 0.0


async def run(benchmark: Benchmark, out: Path, watcher: Watcher | None = None) -> Finished:
    """Keeps every outcome in `out`/rows, also where it is interrupted: it then goes on from there.

    Raises ConfigurationError for what is wrong with the data or the systems before anything is
    asked.
    """
    began, watcher = time.monotonic(), watcher or Watcher()
    data = [read_data(d.file, d.name, benchmark.limit, benchmark.seed) for d in benchmark.data]
    items = _joined(data)
    systems = systems_of(benchmark.systems or _default(benchmark))
    _require_possible(benchmark, systems, data)
    known = {system.name: provenance(system, data) for system in systems}
    scoring = Scoring(benchmark, data, items)
    (out / ROWS).mkdir(parents=True, exist_ok=True)
    asked: Mapping[str, Run] = {}
    where = ""
    if benchmark.asks:
        await scoring.start()
        asked, where = await _asked(benchmark, _to_ask(systems), items, scoring, out, watcher)
        asked = await _scored(_without_stand_ins(asked), scoring)
        await scoring.close()
        edge, cloud = asked[EDGE_ONLY].outcomes, asked[CLOUD_ONLY].outcomes
    else:
        edge, cloud = ([item.recorded[side] for item in items] for side in (EDGE, CLOUD))
    runs = []
    for system in systems:
        run = asked.get(system.name)
        if run is None:
            outcomes = replay(system, items, edge, cloud, benchmark.epsilon)
            run = Run(system, outcomes, False, provenance=known[system.name])
            settings = {"system": system.name, "replayed": True}
            write_records(_file(out, system), settings, items, outcomes)
        runs.append(run)
    return Finished(benchmark, data, items, runs, edge, cloud, where, time.monotonic() - began)


async def _asked(
    benchmark: Benchmark,
    systems: Sequence[System],
    items: Sequence[Item],
    scoring: Scoring,
    out: Path,
    watcher: Watcher,
) -> tuple[dict[str, Run], str]:
    """What each answered, and where they were asked."""
    asked: dict[str, Run] = {}
    try:
        async with _pair(benchmark, watcher) as (ask, where, traffic):
            for system in systems:
                asked[system.name] = await _ask(
                    benchmark, system, items, ask, traffic, scoring, out, watcher
                )
    except BaseException:
        remove_empty(out)
        raise
    return asked, where


async def _scored(asked: Mapping[str, Run], scoring: Scoring) -> dict[str, Run]:
    """Both sides first: what is routed is judged by what they answered."""
    edge, cloud = await scoring.of_sides(asked[EDGE_ONLY].outcomes, asked[CLOUD_ONLY].outcomes)
    scored = {
        **asked,
        EDGE_ONLY: replace(asked[EDGE_ONLY], outcomes=edge),
        CLOUD_ONLY: replace(asked[CLOUD_ONLY], outcomes=cloud),
    }
    for name, each in asked.items():
        if name not in MEASURED:
            outcomes = await scoring.of_system(each.outcomes, edge, cloud)
            scored[name] = replace(each, outcomes=outcomes)
    return scored


def _default(benchmark: Benchmark) -> list[SystemEntry]:
    names = DEFAULT_SYSTEMS if benchmark.asks else MEASURED
    return [
        *(SystemEntry(algorithm=name) for name in names),
        SystemEntry(algorithm=ORACLE),
        _RANDOM,
    ]


def _joined(data: Sequence[DataSet]) -> list[Item]:
    """All items; where there are several sets, the ids carry the sets' names."""
    if len(data) == 1:
        return list(data[0].items)
    names = [each.name for each in data]
    if len(set(names)) < len(names):
        raise ConfigurationError(f"data: two sets are called {names[0]!r}; give each a name")
    return [
        replace(
            item,
            question=replace(item.question, id=f"{each.name}/{item.question.id}"),
            category=item.category or each.name,
        )
        for each in data
        for item in each.items
    ]


def _require_possible(
    benchmark: Benchmark, systems: Sequence[System], data: Sequence[DataSet]
) -> None:
    names = [system.name for system in systems]
    if benchmark.baseline not in names:
        raise ConfigurationError(
            f"baseline: {benchmark.baseline!r} is not among the systems: {', '.join(names)}"
        )
    if benchmark.asks:
        return
    if DEPLOYED in [system.kind for system in systems]:
        raise ConfigurationError(
            "systems: routed needs whom to ask: manifests, a spec or a url; recorded answers "
            "have no routes"
        )
    for each in data:
        lacking = next((item for item in each.items if len(item.recorded) < 2), None)
        if lacking is not None:
            raise ConfigurationError(
                f"{lacking.question.where}: how both models did is not recorded, and nobody is to "
                "be asked: give manifests, a spec or a url, or label the rows first (hem label)"
            )


def _to_ask(systems: Sequence[System]) -> list[System]:
    """Both sides always, as replays are made of them; then what is routed there."""
    kinds = {system.kind: system for system in systems}
    both = [kinds.get(name) or System(name, name) for name in MEASURED]
    return both + [system for system in systems if system.kind == DEPLOYED]


@asynccontextmanager
async def _pair(
    benchmark: Benchmark, watcher: Watcher
) -> AsyncIterator[tuple[Asker, str, Traffic | None]]:
    """Who is asked, where that is, and what counts the bytes to the cloud, where that is known."""
    through, parameters = benchmark.through, benchmark.parameters
    if benchmark.url:
        async with asker(benchmark.url, through, parameters) as ask:
            yield ask, shown_url(benchmark.url), None
        return
    from inferencegraph.local.observer import TextObserver
    from inferencegraph.local.stack import running

    paths = [benchmark.spec] if benchmark.spec else list(benchmark.manifests)
    watcher.tell("starting the models ...")
    observer = TextObserver(logs=False)
    async with running(paths, observer, graph=benchmark.graph) as stack:
        if through == "gateway" and not stack.gateways:
            raise ConfigurationError("through: gateway, which the manifests don't have")
        url = next(iter(stack.gateways.values())) if through == "gateway" else stack.urls[0]
        async with asker(url, through, parameters) as ask:
            yield ask, url, wan(stack.plan)


async def _ask(
    benchmark: Benchmark,
    system: System,
    items: Sequence[Item],
    ask: Asker,
    traffic: Traffic | None,
    scoring: Scoring,
    out: Path,
    watcher: Watcher,
) -> Run:
    settings = _settings(benchmark, system, scoring.fingerprint)
    with Records(_file(out, system), settings) as records:
        waiting = [item for item in items if item.question.id not in records.outcomes]
        watcher.begin(system.name, len(items), len(items) - len(waiting))
        if waiting:  # where it fails, so would all; to warm up, so in no outcome and no sum
            await ask.ask(waiting[0], _SIDES[system.kind])
        began, meter = time.monotonic(), Meter()
        before = await traffic.read() if traffic else None

        def keep(item: Item, outcome: Outcome) -> None:
            records.add(item, outcome)
            watcher.one_more(system.name)

        pace = Pace(benchmark.concurrency, benchmark.rate, benchmark.seed)
        try:
            await ask_all(ask, waiting, _SIDES[system.kind], pace, keep)
        finally:
            if waiting and records.outcomes:
                after = await traffic.read() if traffic else None
                sent, received = after.since(before) if before and after else (None, None)
                seconds = time.monotonic() - began
                with suppress(ConfigurationError):  # what stopped the run is the error to tell
                    records.took(Whole(seconds, sent, received, meter.joules()))
        outcomes = [records.outcomes[item.question.id] for item in items]
        return Run(system, outcomes, True, records.whole)


def _without_stand_ins(asked: Mapping[str, Run]) -> dict[str, Run]:
    """Where the edge's model answered what was the cloud's, the cloud had failed."""
    own = asked[EDGE_ONLY].outcomes
    edge = {outcome.served_by for outcome in own if outcome.route == EDGE} - {None}

    def told(outcome: Outcome) -> Outcome:
        reason = outcome.speculation_reason or ""
        return outcome.degraded(reason) if outcome.is_stand_in(edge) else outcome

    return {
        name: replace(run, outcomes=[told(outcome) for outcome in run.outcomes])
        for name, run in asked.items()
    }


def _settings(benchmark: Benchmark, system: System, fingerprint: str) -> Mapping[str, Any]:
    """What the outcomes depend on."""
    who: dict[str, Any] = {"url": shown_url(benchmark.url)} if benchmark.url else {}
    paths = [benchmark.spec] if benchmark.spec else benchmark.manifests
    who |= {"started": [str(path) for path in paths]} if paths else {}
    return {
        "system": system.name,
        "through": benchmark.through,
        "parameters": benchmark.parameters,
        "data": fingerprint,
        **who,
    }


def _file(out: Path, system: System) -> Path:
    safe = "".join(c if c.isalnum() or c in "-_.=" else "-" for c in system.name).strip("-.")
    return out / ROWS / f"{safe}.jsonl"
