"""Looks at the files of what is in force, and puts what has changed in its place.

Three things change each by itself: what decides (settings, router and guards, which belong
together), the prices, and the tokens. What is wrong with one is told, and leaves it as it was.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from predictors.errors import ConfigurationError, HEMError
from predictors.prices import Prices, read_prices
from transformers_hem.algorithms.base import AlgorithmParameters, Stage
from transformers_hem.gateway.keys import Keys
from transformers_hem.gateway.options import DecideAt
from transformers_hem.reload.files import Stamps, stamps
from transformers_hem.reload.in_force import Current, InForce, decides_at
from transformers_hem.reload.making import Making
from transformers_hem.reload.report import Change, Report, What
from transformers_hem.reload.settings_file import with_file
from transformers_hem.serving.decision import Decider
from transformers_hem.serving.settings import HEMSettings, build_decider

logger = logging.getLogger("kserve.hem")

SECONDS: Final = 1.0  # between two looks


class Reloading:
    """Of one server, from the settings of its environment. Raises ConfigurationError where what
    they name is wrong at the start.

    A look takes up what has changed and stayed so until the next look: a file that is being
    written is not read. `reload`, which an admin asks for, takes up what is there now. Either runs
    in a thread, one at a time, as loading a router takes seconds.
    """

    def __init__(self, settings: HEMSettings) -> None:
        self.settings = settings
        self._lock = threading.Lock()
        self._making = Making()
        self._on_change: list[Callable[[InForce], None]] = []
        self._files: dict[What, Stamps] = {}
        decider, decide_at = self._decides(Making())
        self.current = Current(InForce(decider, self._keys(), self._prices(), decide_at))
        _warn_of_unknown_guards(self.current.now)
        self._seen = self._stamps()
        self.refused: tuple[Change, ...] = ()

    def on_change(self, told: Callable[[InForce], None]) -> None:
        """`told` gets what is in force, after each change."""
        self._on_change.append(told)

    async def watch(self) -> None:
        """Looks until it is cancelled."""
        while True:
            await asyncio.sleep(SECONDS)
            try:
                await asyncio.to_thread(self.look)
            except Exception:  # the next look may find it well
                logger.exception("reload: the files can't be looked at")

    def look(self) -> Report | None:
        """None where nothing has changed, or is still changing."""
        with self._lock:
            now = self._stamps()
            settled, self._seen = now == self._seen, now
            changed = self._changed(now)
            if not (settled and changed):
                return None
            return self._reload(changed)

    def reload(self) -> Report:
        """What was refused before is tried again."""
        with self._lock:
            self._seen = now = self._stamps()
            again = [change.what for change in self.refused]
            return self._reload(self._changed(now).union(again))

    # What there is

    def guards(self) -> dict[str, AlgorithmParameters]:
        """Parameters of those in force."""
        return dict(self._making.guards)

    def files(self) -> dict[What, Stamps]:
        """Those that are watched."""
        return dict(self._files)

    def _stamps(self) -> dict[What, Stamps]:
        return {what: stamps(files) for what, files in self._files.items()}

    def _changed(self, now: dict[What, Stamps]) -> set[What]:
        return {what for what, found in now.items() if found != self._files[what]}

    def _decides(self, making: Making, stage: Stage | None = None) -> tuple[Decider, DecideAt]:
        """Raises ConfigurationError, and then watches what it would have read, too."""
        named = _path(self.settings.settings_file)
        read = stamps(named)
        try:
            settings = with_file(self.settings)
            decider = build_decider(settings, making)
            decide_at = decides_at(settings.decide_at, decider)
            if stage not in (None, decider.stage):
                raise ConfigurationError(
                    f"{decider.name} mines the {decider.stage}, and this server the "
                    f"{stage}: start it anew for that"
                )
        except BaseException:
            making.discard()
            for what, attempted in making.files.items():
                self._files[what] = {**self._files.get(what, {}), **attempted}
            raise
        self._files |= {"settings": read, **making.files}
        making.forget()
        self._making = making
        return decider, decide_at

    def _prices(self) -> Prices | None:
        named = _path(self.settings.prices_file)
        read = stamps(named)
        try:
            prices = read_prices(named[0]) if named else None
        except ConfigurationError as error:
            raise ConfigurationError(f"HEM_PRICES_FILE {error}") from None
        self._files["prices"] = read
        return prices

    def _keys(self) -> Keys:
        named = _path(self.settings.api_keys_file)
        read = stamps(named)
        try:
            keys = Keys(named[0] if named else None, open=self.settings.listens_here)
        except ConfigurationError as error:
            raise ConfigurationError(f"HEM_API_KEYS_FILE {error}") from None
        self._files["tokens"] = read
        return keys

    # What becomes of it

    def _reload(self, changed: Iterable[What]) -> Report:
        wanted = set(changed)
        before = self.current.now
        found: dict[str, Any] = {}
        changes: list[Change] = []
        tried: set[What] = set()
        parts: list[tuple[set[What], Callable[[], dict[str, Any]]]] = [
            ({"settings", "router", "guards"}, lambda: self._decides_anew(before.decider)),
            ({"prices"}, lambda: {"prices": self._prices()}),
            ({"tokens"}, lambda: {"keys": self._keys()}),
        ]
        for kinds, make in parts:
            if not (these := sorted(kinds & wanted)):
                continue
            tried |= kinds
            try:
                found |= make()
                changes += [Change(what, "loaded") for what in these]
            except Exception as error:
                why = str(error) if isinstance(error, HEMError) else f"{type(error).__name__}"
                changes += [Change(what, "refused", why) for what in these]
                self._keep_as_seen(these)
        if found:
            self.current.now = replace(before, **found, version=before.version + 1)
            _warn_of_unknown_guards(self.current.now)
            for told in self._on_change:
                told(self.current.now)
            _close_others(before.decider, self.current.now.decider)
        kept = tuple(change for change in self.refused if change.what not in tried)
        self.refused = kept + tuple(change for change in changes if change.outcome == "refused")
        for change in changes:
            change.tell()
        return Report(self.current.now.version, changes)

    def _decides_anew(self, before: Decider) -> dict[str, Any]:
        decider, decide_at = self._decides(Making(self._making), before.stage)
        if decider.algorithm is before.algorithm:
            decider.drift = before.drift  # its window goes on
        return {"decider": decider, "decide_at": decide_at}

    def _keep_as_seen(self, refused: Iterable[What]) -> None:
        """Until they change again, they are not tried again by themselves."""
        for what in refused:
            self._files[what] = {**self._files[what], **self._seen[what]}


def _path(text: str) -> tuple[Path, ...]:
    return (Path(text),) if text else ()


def _close_others(before: Decider, now: Decider) -> None:
    """Guards that are in force no longer. A request that began with one ends with it."""
    kept = {id(guard) for guard in now.guards.values()}
    for guard in before.guards.values():
        if id(guard) not in kept:
            guard.close()


def _warn_of_unknown_guards(now: InForce) -> None:
    """A caller whose guards nobody has is held by those of privacy alone."""
    for caller in {each.name: each for each in (now.keys.callers or {}).values()}.values():
        if unknown := sorted((caller.guards or frozenset()) - now.decider.guards.keys()):
            logger.warning("tokens: %s names guards that are not set: %s", caller.name, unknown)
