"""Whether the version in force keeps its promise, by what came back since it came into force;
where it doesn't, the version before takes its place.

It runs by itself, as `hem retrain --check`, every few minutes: one process decides for all replicas
of HEM, and none of them has to be able to write.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np

from predictors.contract import EDGE
from predictors.errors import ConfigurationError
from transformers_hem.reload.files import digest
from transformers_hem.retraining.gathering import read_decisions, read_store
from transformers_hem.retraining.live import Live, live_loss
from transformers_hem.routers.scoring import open_router
from transformers_hem.versions.folder import Versions, now_utc
from transformers_hem.versions.pointer import read_pointer
from transformers_hem.versions.told import CHECKED, tell


@dataclass(frozen=True, slots=True)
class Check:
    """Of version `version`. `rolled_back_to`: the one that is in force instead; `stuck`: why there
    is none. `untold`: why servers don't learn of it."""

    version: int
    promised: float | None
    live: Live | None
    rolled_back_to: int | None = None
    stuck: str = ""
    untold: str = ""

    @property
    def kept(self) -> bool:
        """As far as is known."""
        return self.live is None or not self.live.broken

    def sentence(self) -> str:
        if self.promised is None:
            return f"version {self.version} promises no quality loss: there is nothing to check"
        if self.live is None:
            return f"version {self.version}: too few shadow pairs to know whether its promise holds"
        told = (
            f"version {self.version} loses {self.live.loss:.3f} of quality ({self.live.low:.3f} to "
            f"{self.live.high:.3f}, {self.live.pairs} shadow pairs), and promises "
            f"{self.promised:g} at most"
        )
        if self.kept:
            return f"{told}{_doubt(self.live, self.promised)}"
        if self.rolled_back_to is not None:
            return f"{told}: version {self.rolled_back_to} is in force again"
        return f"{told}: its promise is broken, and it stays in force: {self.stuck}"

    def as_json(self) -> dict[str, Any]:
        live = self.live
        return {
            "at": now_utc(),
            "version": self.version,
            "promised": self.promised,
            "live": live and live.loss,
            "low": live and live.low,
            "high": live and live.high,
            "rows": live.pairs if live else 0,
            "edge_share": live and live.edge_share,
            "kept": self.kept,
            "rolled_back_to": self.rolled_back_to,
            "sentence": self.sentence(),
        }


def _doubt(live: Live, promised: float) -> str:
    """Of a promise that is not refuted: an alarm asks for more than the interval does."""
    if live.low > promised:
        return ": hardly chance any more, and not proven yet; more shadow pairs will tell"
    return ": it may still be chance" if live.loss > promised else ""


def check(versions: Versions, store: str, dry_run: bool) -> Check:
    """Raises ConfigurationError."""
    if not store:
        raise ConfigurationError("a check needs --store, where feedback is kept")
    found = _found(versions, store)
    if not found.kept:
        found = _go_back(versions, found, dry_run)
    try:
        tell(versions.folder, CHECKED, found.as_json())
    except ConfigurationError as error:  # what was found is told all the same, to who asks
        return replace(found, untold=str(error))
    return found


def _found(versions: Versions, store: str) -> Check:
    pointer = read_pointer(versions.folder)
    directory = versions.directory(pointer.current)
    calibrated = open_router(str(directory)).calibrated
    calibration = calibrated.calibration if calibrated else None
    promised = (
        calibration.limit if calibration and calibration.target == "max_quality_loss" else None
    )
    since = datetime.fromisoformat(pointer.switches[-1].at).timestamp() if pointer.switches else 0.0
    if promised is None:
        return Check(pointer.current, None, None)
    name = digest(directory) or ""
    routes = read_decisions(store, name, since)
    losses = np.array(list(_losses(store, name, since)), dtype=float)
    live = live_loss(losses, routes.get(EDGE, 0), sum(routes.values()), promised)
    return Check(pointer.current, promised, live)


def _losses(store: str, version: str, since: float) -> Iterator[float]:
    """Of shadow pairs that the edge answered, in order."""
    for example in read_store(store, since):
        decided = example.decided
        if decided.version != version or example.feedback.source != "shadow":
            continue
        edge, cloud = example.scores
        if example.served == EDGE and edge is not None and cloud is not None:
            yield cloud - edge


def _go_back(versions: Versions, found: Check, dry_run: bool) -> Check:
    if dry_run:
        return replace(found, stuck="nothing is switched, as --dry-run says")
    try:
        why = found.sentence().partition(": its promise")[0]
        version = versions.roll_back(None, why, instead_of=found.version)
    except ConfigurationError as error:
        return replace(found, stuck=str(error))
    return replace(found, rolled_back_to=version.number)
