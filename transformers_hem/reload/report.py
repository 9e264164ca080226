"""What a look at the files found, for who asked, for the log and for Prometheus."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from prometheus_client import Counter

logger = logging.getLogger("kserve.hem")

What = Literal["settings", "router", "guards", "prices", "tokens"]
Outcome = Literal["loaded", "refused"]
EVERYTHING: Final[tuple[What, ...]] = ("settings", "router", "guards", "prices", "tokens")

_RELOADS = Counter(
    "hem_reload_total",
    "Changes of files of a running server, by what they are of: loaded, or refused, and then the "
    "old one stays.",
    ["what", "outcome"],
)
for _what in EVERYTHING:
    for _outcome in get_args(Outcome):
        _RELOADS.labels(_what, _outcome)  # at 0, for alerts


@dataclass(frozen=True, slots=True)
class Change:
    """Of one thing that is another one now, or would be: `error` says why it is not."""

    what: What
    outcome: Outcome
    error: str = ""

    def tell(self) -> None:
        _RELOADS.labels(self.what, self.outcome).inc()
        if self.error:
            logger.error("reload: %s refused, the old one stays: %s", self.what, self.error)
        else:
            logger.info("reload: %s loaded", self.what)

    def as_json(self) -> dict[str, Any]:
        told = {"what": self.what, "outcome": self.outcome}
        return {**told, "error": self.error} if self.error else told


@dataclass(frozen=True, slots=True)
class Report:
    """`version` is that of what is in force afterwards."""

    version: int
    changes: Sequence[Change] = ()

    @property
    def refused(self) -> list[Change]:
        return [change for change in self.changes if change.outcome == "refused"]

    def as_json(self) -> dict[str, Any]:
        changed = {change.what for change in self.changes}
        told: dict[str, Any] = {
            "version": self.version,
            "changes": [change.as_json() for change in self.changes],
            "unchanged": [what for what in EVERYTHING if what not in changed],
        }
        if refused := self.refused:
            told["error"] = "; ".join(dict.fromkeys(change.error for change in refused))
        return told
