"""The verdicts of several proxies, side by side."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table

from tests.faults.caller import Seen
from tests.faults.rows import Row
from tests.faults.verdicts import Played

NAMES: Final = ("verdict", "the caller saw", "calls", "first, end")


@dataclass(frozen=True)
class Result:
    """`wrong` is empty where it is right. `calls`: of the primary and of the fallback. `first` and
    `end`: seconds to the first of the text, and to the end, of the slowest request."""

    wrong: str
    saw: str
    calls: tuple[int, int]
    first: float | None
    end: float


# By the name of a row and of its case.
Results: TypeAlias = Mapping[tuple[str, str], Result]


def result_of(played: Played, wrong: str) -> Result:
    firsts = [seen.first for seen in played.asked if seen.first is not None]
    return Result(
        wrong,
        _all_saw(played),
        (len(played.primary.calls), len(played.fallback.calls)),
        max(firsts, default=None),
        max(seen.seconds for seen in played.asked),
    )


def _all_saw(played: Played) -> str:
    counts = Counter(_saw(seen, played) for seen in played.asked)
    if len(played.asked) == 1:
        return next(iter(counts))
    return ", ".join(f"{count} x {what}" for what, count in counts.most_common())


def _saw(seen: Seen, played: Played) -> str:
    if seen.broken:
        return "no end"
    if seen.error:
        return "an error event" if seen.status == 200 else f"status {seen.status}"
    if seen.text not in played.texts:
        return "another text"
    if len(set(played.texts)) == 1:
        return "a whole answer"
    return "the primary" if seen.text == played.primary.text else "the fallback"


def show(rows: Sequence[Row], proxies: Mapping[str, Results], title: str, console: Console) -> None:
    """One line for each way to ask. Below it: what was wrong, and how many faults are right."""
    table = Table(title=title, box=MARKDOWN)
    table.add_column("fault")
    table.add_column("call")
    for proxy in proxies:
        for name in NAMES:
            table.add_column(f"{proxy}: {name}" if name == NAMES[0] else name, overflow="fold")
    for row in rows:
        for number, case in enumerate(row.cases):
            cells = (_cells(results.get((row.name, case.name))) for results in proxies.values())
            name = row.name if number == 0 else ""
            table.add_row(name, case.name, *(cell for each in cells for cell in each))
    console.print(table)
    for proxy, results in proxies.items():
        for (row_name, case_name), result in results.items():
            if result.wrong:
                said = f"{proxy}: {row_name}, {case_name}: {result.wrong}"
                console.print(said, markup=False, soft_wrap=True)
        console.print(f"{proxy}: {right(rows, results)} of {len(rows)} right")


def right(rows: Sequence[Row], results: Results) -> int:
    """Faults that are right however they were asked for."""
    return sum(all(not results[row.name, case.name].wrong for case in row.cases) for row in rows)


def _cells(result: Result | None) -> Sequence[str]:
    if result is None:
        return [""] * len(NAMES)
    first = "-" if result.first is None else f"{result.first:.2f}"
    primary, fallback = result.calls
    verdict = "wrong" if result.wrong else "right"
    return verdict, result.saw, f"{primary} + {fallback}", f"{first}, {result.end:.2f}"
