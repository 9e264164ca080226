"""What a soak saw: a row for each fault on each part, and whether it may stand."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from rich.console import Console
from rich.table import Table

from tests.soak.good_load import Outcome

CLOUD: Final = "cloud"
CALLER: Final = "caller"
NOTHING: Final = "nothing"
# Where one of these fails, nothing else can answer.
NEAR: Final = frozenset({"edge", "uplink", "hem"})
SLOWEST_SECONDS: Final = 3.0  # p99 in the first ten seconds; an error body of a near part
FIRST_SECONDS: Final = 10.0
NAMES: Final = (
    *("fault", "part", "good", "lost", "wrong", "errors"),
    *("p50 first", "p99 first", "p50 after", "p99 after", "back", "verdict"),
)


@dataclass
class Row:
    """`began` and `healed`: when the fault was there (monotonic). `normal`: seconds that p99 may
    be once the first `first_seconds` are over. `back`: seconds from the recovery to the last
    failure, or to the cloud's first answer, at most `back_within`. `statuses`: what callers who
    hurt got. `notes`: what else is wrong. `skipped`: why it was not run."""

    fault: str
    part: str
    began: float = 0.0
    healed: float = 0.0
    normal: float = SLOWEST_SECONDS
    first_seconds: float = FIRST_SECONDS
    outcomes: Sequence[Outcome] = ()
    back: float | None = 0.0
    back_within: float = 10.0
    skipped: str = ""
    notes: list[str] = field(default_factory=list)
    statuses: Mapping[str, Mapping[int, int]] = field(default_factory=dict)

    def count(self, kind: str) -> int:
        return sum(outcome.kind == kind for outcome in self.outcomes)

    @property
    def first(self) -> list[float]:
        return [o.seconds for o in self.outcomes if o.at < self.began + self.first_seconds]

    @property
    def after(self) -> list[float]:
        """Of what was due after the first ten seconds; for a near part after its recovery."""
        begin = self.began + self.first_seconds
        if self.part in NEAR:
            begin = self.healed + (self.back or 0.0)
        return [o.seconds for o in self.outcomes if o.at >= begin]

    def complaints(self) -> list[str]:
        """Why the row fails; empty where it may stand."""
        if self.skipped:
            return []
        said = [*self._lost_or_wrong(), *self._caused_500(), *self.notes]
        if self.back is None or self.back > self.back_within:
            shown = "at all" if self.back is None else f"before {self.back:.1f} s"
            said.append(f"not answered again {shown} after the recovery")
        if not self.outcomes:
            said.append("no request was made")
        return said

    def _caused_500(self) -> list[str]:
        return [
            f"{kind} was answered 500, {found[500]} times"
            for kind, found in self.statuses.items()
            if found.get(500) and self.part not in NEAR
        ]

    def _lost_or_wrong(self) -> list[str]:
        bad = ("lost", "wrong") if self.part in NEAR else ("lost", "wrong", "error")
        said = [
            f"{self.count(kind)} {kind}, such as {_example(self.outcomes, kind)}"
            for kind in bad
            if self.count(kind)
        ]
        if self.part not in NEAR:
            for when, seconds, most in (
                ("at first", self.first, SLOWEST_SECONDS),
                ("afterwards", self.after, self.normal),
            ):
                if percentile(seconds, 99) > most:
                    shown = percentile(seconds, 99)
                    said.append(f"p99 {when} was {shown:.2f} s, above {most:.2f} s")
        slow = max((o.seconds for o in self.outcomes if o.at < self.healed), default=0.0)
        if slow > SLOWEST_SECONDS and self.part in NEAR:
            said.append(
                f"neither an answer nor an error for {slow:.2f} s, above {SLOWEST_SECONDS:g} s"
            )
        return said


def percentile(seconds: Sequence[float], share: int) -> float:
    """Nearest rank; 0 where there are none."""
    ordered = sorted(seconds)
    return ordered[min(len(ordered) - 1, len(ordered) * share // 100)] if ordered else 0.0


def _example(outcomes: Sequence[Outcome], kind: str) -> str:
    return next((o.said for o in outcomes if o.kind == kind), "")


def show(rows: Sequence[Row], console: Console) -> None:
    table = Table(title="Good requests under faults (seconds)")
    for number, name in enumerate(NAMES):
        justify = "left" if number < 2 or name == "verdict" else "right"
        table.add_column(name, justify=justify, overflow="fold")
    for row in rows:
        table.add_row(*_cells(row))
    console.print(table)
    for row in rows:
        for complaint in row.complaints():
            console.print(f"{row.part}, {row.fault}: {complaint}", markup=False)


def _cells(row: Row) -> list[str]:
    if row.skipped:
        return [row.fault, row.part, *[""] * (len(NAMES) - 3), f"not run: {row.skipped}"]
    counts = [len(row.outcomes), *(row.count(kind) for kind in ("lost", "wrong", "error"))]
    seconds = [percentile(part, share) for part in (row.first, row.after) for share in (50, 99)]
    back = "never" if row.back is None else f"{row.back:.1f}"
    verdict = "fails" if row.complaints() else "holds"
    return [
        *(row.fault, row.part, *map(str, counts)),
        *(f"{value:.2f}" for value in seconds),
        *(back, verdict),
    ]
