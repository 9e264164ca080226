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
    rows = kept("caller")
    model = one_caller(rows)
    heads = ["drafts", "round trip, ms", "way", "tokens/s", "predicted", "times naive"]
    heads += ["times the cloud alone", "passes a token", "bytes a token", "drafted a token"]
    table([*heads, "by the cloud alone"], [_caller_row(row, rows, model) for row in rows])


def _caller_row(row: dict[str, Any], rows: list[dict[str, Any]], model: Any) -> list[Any]:
    beside = {
        other["way"]: other["rate"]
        for other in rows
        if (other["drafter"], other["round_trip"]) == (row["drafter"], row["round_trip"])
    }
    way = f"naive, {row['length']} tokens" if row["length"] else row["way"]
    return [
        row["drafter"],
        row["round_trip"],
        way,
        row["rate"],
        model.expected(row),
        row["rate"] / beside["naive"],
        row["rate"] / beside["cloud-only"],
        row["passes"] / row["tokens"],
        (row["sent"] + row["received"]) / row["tokens"],
        row["drafted"] / row["tokens"],
        f"{row['routes'].get('cloud', 0) / row['answers']:.0%}",
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
