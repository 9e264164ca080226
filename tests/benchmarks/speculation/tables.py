"""python -m tests.benchmarks.speculation.tables: what the benchmarks `bench_speculative_*.py` have
left in `results`, as tables of Markdown, prediction beside measurement."""

from typing import Any, Final

from tests.benchmarks.speculation.predicted import capacity, cost_of, one_caller
from tests.benchmarks.speculation.results import kept, table

CURVES: Final = ("long-edge", "long-cloud", "16M", "125M")
CAPACITIES: Final = ("16M", "long-cloud")
VLLM: Final = "vllm-16M"


def main() -> None:
    for name in CURVES:
        curve_table(name)
    vllm_tables()
    caller_table()
    latency_table()
    for name in CAPACITIES:
        capacity_table(name)


def curve_table(name: str) -> None:
    curve = kept(f"curve-{name}")
    cost, median, largest = curve["fit"]
    print(f"\n{name}: {cost}, off by {median:.0%}, at most {largest:.0%}")
    decode = {rows: 1000 * seconds for rows, _, seconds in curve["decode"]}
    _steps(curve["steps"], decode)


def vllm_tables() -> None:
    for name, steps in kept(f"curve-{VLLM}").items():
        print(f"\nvLLM, {name}")
        _steps(steps, {})


def _steps(steps: list[list[float]], decode: dict[int, float]) -> None:
    told = {(rows, tokens): 1000 * seconds for rows, tokens, seconds in steps}
    rows, tokens = (sorted({int(step[place]) for step in steps}) for place in (0, 1))
    shown = [
        [count, *(told.get((count, width)) for width in tokens), decode.get(count)]
        for count in rows
    ]
    table(["rows", *map(str, tokens), "own answers"], shown)


def caller_table() -> None:
    """Measured tokens a second, and in brackets what the cost model says; then what they took."""
    rows = kept("caller")
    model = one_caller(rows)
    cells: dict[tuple[str, int], dict[str, Any]] = {}
    for row in rows:
        cells.setdefault((row["drafter"], row["round_trip"]), {})[row["way"]] = row
    ways = ("cloud-only", "naive", "one way", "always", "latency")
    heads = ["drafts", "round trip", *ways, "fell back", "always / naive"]
    table(heads, [[*cell, *_rates(by, ways, model)] for cell, by in cells.items()])
    drafting = ways[:-1]
    heads = ["drafts", "round trip", *(f"passes, {way}" for way in drafting)]
    heads += [f"bytes, {way}" for way in drafting]
    table(heads, [[*cell, *_costs(by, drafting)] for cell, by in cells.items()])


def latency_table() -> None:
    """Policy `latency` beside the cloud alone, with more answers of each."""
    rows = kept("latency")
    shown = []
    for alone, ours in zip(rows[::2], rows[1::2], strict=True):
        fell = ours["routes"].get("cloud", 0) / ours["answers"]
        cell = [ours["drafter"], ours["round_trip"]]
        rates = [f"{each['rate']:.0f}" for each in (alone, ours)]
        shown.append([*cell, *rates, f"{ours['rate'] / alone['rate']:.3f}", f"{fell:.0%}"])
    table(["drafts", "round trip", "cloud-only", "latency", "times", "fell back"], shown)


def _rates(by: dict[str, Any], ways: tuple[str, ...], model: Any) -> list[str]:
    row = by["cloud-only"]
    cell = row["round_trip"] / 1000, row["chance"], row["second"]
    shown = [f"{by[way]['rate']:.0f} ({model.expected(way, *cell):.0f})" for way in ways]
    shown[1] += f", k = {by['naive']['length']}"
    latency = by["latency"]
    fell = latency["routes"].get("cloud", 0) / latency["answers"]
    return [*shown, f"{fell:.0%}", f"{by['always']['rate'] / by['naive']['rate']:.2f}"]


def _costs(by: dict[str, Any], ways: tuple[str, ...]) -> list[str]:
    passes = [f"{by[way]['passes'] / by[way]['tokens']:.2f}" for way in ways]
    sent = [by[way]["sent"] + by[way]["received"] for way in ways]
    return passes + [
        f"{count / by[way]['tokens']:.0f}" for count, way in zip(sent, ways, strict=True)
    ]


def capacity_table(name: str) -> None:
    report, curve = kept(f"capacity-{name}"), kept(f"curve-{name}")
    said = capacity(report, cost_of(curve), curve["decode"])
    print(f"\n{name}: wire {1000 * report['wire']:.2f} ms; the server says {report['cost']}")
    shown = []
    for rows, ways in report["rows"].items():
        alone, own = ways["cloud-only"], said["cloud-only"][int(rows)]
        for way, found in ways.items():
            rate, expected = found["tokens_per_second"], said[way][int(rows)]
            times, per_core = rate / alone["tokens_per_second"], rate / found["busy"]
            core = per_core / (alone["tokens_per_second"] / alone["busy"])
            shown.append([rows, way, rate, expected, times, expected / own, found["rows"]])
            shown[-1] += [found["taken"], found["busy"], per_core, core, found["load"]]
    heads = ["requests", "way", "tokens/s", "predicted", "times alone", "predicted", "rows a pass"]
    heads += ["taken", "core busy", "tokens a core second", "times alone", "load's core"]
    table(heads, shown)


if __name__ == "__main__":
    main()
