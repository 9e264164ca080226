"""What became of a retraining."""

from dataclasses import dataclass, field
from typing import Any, Literal

Result = Literal[
    "promoted",  # a new version is in force
    "recalibrated",  # it is the version before with another threshold, as queries have drifted
    "tried",  # a new version would be in force, but for --dry-run
    "no better",  # a tie, or worse: the version in force stays
    "no promise",  # better, and the pairs don't support what it has to promise
    "too little",  # too few rows to learn from, or to judge by, yet
    "overtaken",  # better than a version that somebody has replaced meanwhile
    "failed",  # better, and it can't be loaded, or written
]


@dataclass(frozen=True, slots=True)
class Outcome:
    """`version` is the new one, None where none was made; `champion` the one that was in force
    before, None for the first. `why` is a sentence. `limit`: so many of the `rows` were taken at
    most, the newest and a draw of the others; None: all. `learned` rows trained it, `held_out` rows
    did not, `judged_by` rows compared it. `reserved` pairs of the held-out rows calibrated it, or,
    by `calibrated_by`, so many queries that were drawn of the newest `decided` ones. `drift` is of
    the newest queries, from those that the champion was calibrated on; `recalibrated`: it is the
    champion, with another threshold, that was promoted. `curves` are of held-out pairs, for
    pictures: by name, points (share of cloud calls, quality)."""

    promoted: bool
    why: str
    champion: int | None
    result: Result = "no better"
    version: int | None = None
    dry_run: bool = False
    at: str = ""
    algorithm: str = ""
    promise: str | None = None
    rows: dict[str, int] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)
    limit: int | None = None
    learned: int = 0
    held_out: int = 0
    judged_by: int = 0
    reserved: int = 0
    calibrated_by: Literal["pairs", "queries"] = "pairs"
    decided: int = 0
    compared: dict[str, Any] = field(default_factory=dict)
    drift: dict[str, Any] = field(default_factory=dict)
    recalibrated: bool = False
    training: dict[str, Any] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    cpu_seconds: float = 0.0
    peak_mebibytes: int = 0
    curves: dict[str, list[tuple[float, float]]] = field(default_factory=dict)

    @property
    def subsample(self) -> str:
        """In words, empty where all rows were taken."""
        available = sum(self.rows.values())
        if self.limit is None or self.limit >= available:
            return ""
        return (
            f"a subsample: {self.limit} of {available} rows, the newest half and a draw of the "
            "others (--limit)"
        )

    @property
    def calibrated_on(self) -> str:
        """In words."""
        if self.calibrated_by == "pairs":
            return f"{self.reserved:,} pairs"
        return f"{self.reserved:,} of the newest {self.decided:,} queries"

    def as_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__ if name != "curves"}
