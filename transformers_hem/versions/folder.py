"""Adds versions, switches between them, and deletes the oldest."""

import logging
import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np

from predictors.errors import ConfigurationError
from transformers_hem.algorithms.row_fields import score_rows
from transformers_hem.routers.directory import CONFIG_FILE, algorithm_of, locate
from transformers_hem.routers.scoring import open_router
from transformers_hem.versions import disk, pointer, record
from transformers_hem.versions.locks import SWITCH, SWITCH_SECONDS, held
from transformers_hem.versions.pointer import How, Pointer, Switch, is_versions, read_pointer
from transformers_hem.versions.record import Origin, Version, hashes, read_version, require_whole

logger = logging.getLogger("kserve.hem")

KEEP: Final = 10
PROBE: Final = {"query": "What is the capital of France?"}


class Overtaken(ConfigurationError):
    """Another version has come into force meanwhile."""


@dataclass(frozen=True, slots=True)
class Versions:
    """Of one folder; one that is not there has none."""

    folder: Path

    @classmethod
    def at(cls, folder: Path, *, make: bool = True) -> "Versions":
        """`make`: where it is not there. Raises ConfigurationError where the folder holds something
        else."""
        if make:
            with disk.writable(folder):
                folder.mkdir(parents=True, exist_ok=True)
        with disk.readable(folder):
            is_router = (folder / CONFIG_FILE).exists()
        if is_router:
            raise ConfigurationError(
                f"{folder} is a router, and not a folder of versions; name a new folder, and put "
                f"the router there: hem retrain --router FOLDER --add {folder}"
            )
        return cls(folder)

    @property
    def pointer(self) -> Pointer | None:
        """Raises ConfigurationError."""
        return read_pointer(self.folder) if is_versions(self.folder) else None

    @property
    def current(self) -> int | None:
        """Raises ConfigurationError."""
        found = self.pointer
        return found.current if found else None

    def numbers(self) -> list[int]:
        """Raises ConfigurationError."""
        with disk.readable(self.folder):
            if not self.folder.exists():
                return []
            names = [path.name for path in self.folder.iterdir() if path.is_dir()]
        return sorted(int(name) for name in names if name.isascii() and name.isdigit())

    def directory(self, number: int) -> Path:
        """Raises ConfigurationError."""
        path = self.folder / str(number)
        if not path.is_dir():
            known = ", ".join(map(str, self.numbers())) or "none"
            raise ConfigurationError(f"{self.folder} has no version {number}; it has: {known}")
        return path

    def read(self, number: int) -> Version:
        """Raises ConfigurationError."""
        return read_version(self.directory(number))

    def promote(
        self,
        router: str,
        origin: Origin,
        why: str,
        instead_of: int | None,
        how: How = "promoted",
        keep: int = KEEP,
    ) -> Version:
        """A copy of `router` becomes the next version, and the one in force in place of
        `instead_of`. Raises ConfigurationError, and then all stays as it was: where it can't be
        loaded, and Overtaken where another version has come into force meanwhile."""
        with held(self.folder, SWITCH, "a switch", SWITCH_SECONDS):
            disk.sweep(self.folder)
            if (now := self.current) != instead_of:
                raise Overtaken(
                    f"{self.folder} had version {instead_of} in force, and now has {now}: nothing "
                    "was switched"
                )
            version = self._add(router, origin)
            try:
                self._point(self.pointer, version.number, how, why)
            except ConfigurationError:
                self._take_back(version.number)
                raise
            self._delete_oldest(keep)
        return version

    def roll_back(self, to: int | None, why: str, instead_of: int | None = None) -> Version:
        """To the version that was in force before, or to the one that is named. Raises
        ConfigurationError where there is none, or it is damaged, and where `instead_of` is named
        and is not in force any more. A damaged pointer is written anew where `to` is named."""
        with held(self.folder, SWITCH, "a switch", SWITCH_SECONDS):
            disk.sweep(self.folder)
            now = self._pointer_before(to)
            if instead_of not in (None, now and now.current):
                raise ConfigurationError(f"version {instead_of} is not in force any more")
            number = now.before(frozenset(self.numbers())) if now and to is None else to
            if number is None:
                raise ConfigurationError(
                    f"{self.folder} has no version before {now and now.current} to go back to"
                )
            if now and number == now.current:
                raise ConfigurationError(f"version {number} is in force already")
            version = require_whole(self.directory(number))
            require_loads(self.directory(number))
            self._point(now, number, "rolled back", why)
        return version

    def _pointer_before(self, to: int | None) -> Pointer | None:
        """None where it is damaged, and a version is named."""
        try:
            return read_pointer(self.folder)
        except ConfigurationError:
            if to is None:
                raise
            return None

    def _add(self, router: str, origin: Origin) -> Version:
        source = locate(router)
        algorithm_of(source)  # one that is not there is told so, and not that it can't be copied
        number = self._next()
        out = self.folder / str(number)
        with disk.whole_folder(out) as aside:
            with disk.writable(out):
                shutil.copytree(source, aside, dirs_exist_ok=True, copy_function=shutil.copyfile)
                (aside / record.FILE).unlink(missing_ok=True)  # of another version
            calibration = require_loads(aside)
            version = Version(
                number=number,
                made=now_utc(),
                algorithm=algorithm_of(aside),
                promise=calibration,
                origin=origin,
                files=hashes(aside),
            )
            with disk.writable(out):
                (aside / record.FILE).write_text(version.model_dump_json(indent=2) + "\n")
        return version

    def _take_back(self, number: int) -> None:
        """One that could not be put in force: each try would leave another."""
        with suppress(ConfigurationError):
            if self.current != number:
                disk.delete_folder(self.folder / str(number))

    def _next(self) -> int:
        """None is given twice: a report names versions that may be deleted."""
        found = self.pointer
        return max([0, *self.numbers(), found.highest if found else 0]) + 1

    def _point(self, before: Pointer | None, number: int, how: How, why: str) -> None:
        switch = Switch(at=now_utc(), to=number, how=how, why=why)
        now = Pointer(
            current=number,
            highest=max(number, *self.numbers(), before.highest if before else 0),
            switches=(*(before.switches if before else ()), switch)[-pointer.MOST_SWITCHES :],
        )
        content = now.model_dump_json(indent=2).encode() + b"\n"
        disk.write_whole(self.folder / pointer.FILE, content)

    def _delete_oldest(self, keep: int) -> None:
        """Never the one in force, nor the one to go back to. The switch before stands, whether or
        not they can be deleted."""
        now = read_pointer(self.folder)
        numbers = self.numbers()
        kept = {now.current, now.before(frozenset(numbers)), *numbers[-keep:]}
        for number in numbers:
            if number in kept:
                continue
            try:
                disk.delete_folder(self.folder / str(number))
            except ConfigurationError as error:
                logger.warning("versions: an old one stays: %s", error)


def require_loads(directory: Path) -> str | None:
    """Loads a router as a server would, and asks it for a score; returns its promise. Raises
    ConfigurationError."""
    algorithm = open_router(os.fspath(directory))
    if algorithm.stage == "query":
        score = score_rows(algorithm, [PROBE])
        if not (np.isfinite(score) & (score >= 0) & (score <= 1)).all():
            raise ConfigurationError(f"{directory} gives no score in [0, 1]: {score[0]}")
    calibrated = algorithm.calibrated
    return calibrated.calibration.promise if calibrated and calibrated.calibration else None


def now_utc() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
