"""What left, why, and how much: sums over the lines of a ledger, which have to hold together."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from predictors.contract.usage import Usage
from predictors.prices import Prices
from predictors.upstream.ledger.lines import BEGINNING, Head, Kind
from predictors.upstream.ledger.verify import Verified, rows

By = Literal["destination", "reason", "day"]
NOT_KNOWN: Final = "not known"


@dataclass(slots=True)
class Sums:
    """`requests` are calls, whatever attempts they took; `probes` ask for a server's health, or its
    models. `failed` attempts ended in an error, `unknown` ones have no outcome in the ledger.
    `sent` and `received` are bytes: of bodies, and of whole answers. `unpriced` attempts tell
    tokens, but their model has no price."""

    requests: int = 0
    attempts: int = 0
    probes: int = 0
    failed: int = 0
    unknown: int = 0
    sent: int = 0
    received: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0
    unpriced: int = 0

    def intended(self, row: Mapping[str, Any]) -> None:
        self.unknown += 1
        self.sent += _count(row, "bytes")
        if row.get("probe"):
            self.probes += 1
        else:
            self.attempts += 1
            self.requests += "again" not in row

    def ended(self, row: Mapping[str, Any], prices: Prices | None) -> None:
        self.unknown -= 1
        self.failed += "cause" in row
        self.received += _count(row, "received")
        usage = Usage(_count(row, "prompt_tokens"), 0, _count(row, "completion_tokens"))
        self.prompt_tokens += usage.prompt_tokens
        self.completion_tokens += usage.completion_tokens
        if prices is not None and usage != Usage():
            cost = prices.cost(usage, str(row.get("model", "")))
            self.cost += cost or 0.0
            self.unpriced += cost is None


@dataclass(slots=True)
class Report:
    """`groups` by what `by` says, in the order of first appearance."""

    by: By
    verified: Verified = field(default_factory=Verified)
    groups: dict[str, Sums] = field(default_factory=dict)

    def as_json(self, currency: str | None) -> dict[str, Any]:
        return {
            "by": self.by,
            "head": str(self.verified.head),
            "groups": {name: _shown(sums, currency) for name, sums in self.groups.items()},
            "total": _shown(self.total(), currency),
            **({"currency": currency} if currency else {}),
        }

    def total(self) -> Sums:
        total = Sums()
        for sums in self.groups.values():
            for name, value in asdict(sums).items():
                setattr(total, name, getattr(total, name) + value)
        return total


def report(
    path: Path,
    by: By,
    since: datetime | None = None,
    prices: Prices | None = None,
    after: Head = BEGINNING,
) -> Report:
    """Of attempts that left at `since` or later. Raises as `verify`: a ledger that does not hold
    together tells nothing."""
    made = Report(by)
    key = _KEYS[by]
    under_way: dict[int, Sums] = {}
    for row in _lately(rows(path, None, after, made.verified), since):
        if row["kind"] == Kind.INTENT:
            sums = made.groups.setdefault(key(row), Sums())
            sums.intended(row)
            under_way[row["n"]] = sums
        elif row["kind"] == Kind.OUTCOME:
            number = row.get("of")
            if type(number) is int and (found := under_way.pop(number, None)) is not None:
                found.ended(row, prices)
    return made


def _lately(lines: Iterable[dict[str, Any]], since: datetime | None) -> Iterable[dict[str, Any]]:
    """Without intents that are older; an outcome without its intent is passed over later."""
    for row in lines:
        if since is not None and row["kind"] == Kind.INTENT and not _is_since(row["at"], since):
            continue
        yield row


def _is_since(at: str, since: datetime) -> bool:
    """What has no time of the ledger's is not left out."""
    try:
        written = datetime.fromisoformat(at)
    except ValueError:
        return True
    return (written if written.tzinfo else written.replace(tzinfo=UTC)) >= since


def _destination(row: Mapping[str, Any]) -> str:
    to = str(row.get("to", NOT_KNOWN))
    try:
        url = urlsplit(to)
    except ValueError:
        return to
    return f"{url.scheme}://{url.netloc}" if url.netloc else to


def _reason(row: Mapping[str, Any]) -> str:
    decision = row.get("decision")
    if row.get("probe"):
        return "probe"
    return str(decision.get("reason", NOT_KNOWN)) if isinstance(decision, dict) else NOT_KNOWN


_KEYS: Final[Mapping[By, Callable[[Mapping[str, Any]], str]]] = {
    "destination": _destination,
    "reason": _reason,
    "day": lambda row: str(row["at"])[:10],
}


def _count(row: Mapping[str, Any], name: str) -> int:
    value = row.get(name, 0)
    return value if type(value) is int else 0


def _shown(sums: Sums, currency: str | None) -> dict[str, Any]:
    shown = asdict(sums)
    if currency is None:
        del shown["cost"], shown["unpriced"]
    return shown
