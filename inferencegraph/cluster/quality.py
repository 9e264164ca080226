"""What a site's router promises of quality, and what the last check of live queries has found."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any, Final

NOT_PROMISED: Final = "no quality loss is promised, and none is watched"
NOT_CHECKED: Final = "not checked yet (hem retrain --check)"
NOT_KNOWN: Final = "too few shadow pairs"

_NUMBERS: Final = {
    "hem_promised_quality_loss": "promised",
    "hem_live_quality_loss": "live",
    "hem_live_quality_loss_low": "low",
    "hem_live_quality_loss_high": "high",
    "hem_live_quality_rows": "pairs",
    "hem_promise_kept": "kept",
    "hem_promise_checked_version": "checked_version",
    "hem_promise_checked_timestamp_seconds": "checked",
}


@dataclass(slots=True)
class Quality:
    """`versions` that the replicas have in force: during a switch there may be two. The others are
    None where nobody has told; the `live` loss, its interval and `pairs` are of the version in
    force, `kept` (0 or 1) and `checked` (seconds since 1970) of `checked_version`."""

    versions: set[int] = field(default_factory=set)
    promised: float | None = None
    live: float | None = None
    low: float | None = None
    high: float | None = None
    pairs: float | None = None
    kept: float | None = None
    checked_version: float | None = None
    checked: float | None = None

    def take(self, name: str, value: float) -> None:
        """One sample of a HEM server."""
        if name == "hem_router_version":
            self.versions.add(int(value))
        elif name in _NUMBERS:
            setattr(self, _NUMBERS[name], value)

    def include(self, other: "Quality") -> None:
        """Of another site: what this one has not told."""
        self.versions |= other.versions
        for each in fields(self):
            if getattr(self, each.name) is None:
                setattr(self, each.name, getattr(other, each.name))

    @property
    def is_checked(self) -> bool:
        """The version in force, and no other one."""
        return self.checked_version is not None and self.versions == {int(self.checked_version)}

    @property
    def is_broken(self) -> bool:
        return self.is_checked and self.kept == 0

    def sentences(self) -> list[str]:
        """For people."""
        told = [f"promise: {self._promise()}"]
        if self.promised is not None and self.is_checked:
            told.append(f"live: {self._live()}{self._when()}")
        if self.kept == 0 and self.checked_version is not None and not self.is_checked:
            fallen = f"version {self.checked_version:.0f} broke its promise, and is not in force"
            told.append(f"last check: {fallen}{self._when()}")
        return told

    def _promise(self) -> str:
        if self.promised is None:
            return NOT_PROMISED
        limit = f"a quality loss of at most {self.promised:g}"
        if not self.versions:
            return f"{limit}; no check, as the router is no folder of versions"
        if not self.is_checked:
            return f"{limit}; {NOT_CHECKED}"
        return limit if self.live is None else f"{limit}: {self._verdict(self.promised, self.live)}"

    def _live(self) -> str:
        if self.live is None:
            return NOT_KNOWN
        between = ""
        if self.low is not None and self.high is not None:
            between = f" ({self.low:.3f} to {self.high:.3f})"
        pairs = f" by {self.pairs:.0f} shadow pairs" if self.pairs is not None else ""
        return f"{self.live:.3f}{between}{pairs}"

    def _verdict(self, promised: float, live: float) -> str:
        """Of a promise that is checked: the check alone says that it is broken."""
        if self.is_broken:
            return "BROKEN"
        if live > promised:
            return "IN DOUBT, though it may be chance"
        return "kept so far" if self.high is None or self.high > promised else "kept"

    def _when(self) -> str:
        if self.checked is None:
            return ""
        return f", checked {datetime.fromtimestamp(self.checked, UTC):%Y-%m-%dT%H:%MZ}"

    def as_json(self) -> Mapping[str, Any]:
        return {
            "promisedLoss": self.promised,
            "liveLoss": self.live,
            "liveLossLow": self.low,
            "liveLossHigh": self.high,
            "shadowPairs": None if self.pairs is None else int(self.pairs),
            "kept": None if self.kept is None else bool(self.kept),
            "checkedVersion": None if self.checked_version is None else int(self.checked_version),
            "checkedAt": self.checked,
        }
