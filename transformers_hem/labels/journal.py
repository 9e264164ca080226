"""What has been asked and scored so far: a file that only grows, and survives a power cut.

Its first line says with which settings it was begun; each other line is one answer, one pair of
scores, one part of such a pair or one failure. It stays beside the labels: the same command again
asks only what is new.
"""

import fcntl
import os
import time
from collections import UserDict
from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import orjson

from predictors.contract import Answer
from predictors.errors import ConfigurationError
from predictors.jsonl import append_line
from transformers_hem.labels.prefixes import Prefix
from transformers_hem.labels.question import Question, Side
from transformers_hem.labels.scorers.base import Pair

SUFFIX: Final = ".journal"
_VERSION: Final = 1
_SYNC_SECONDS: Final = 1.0


class Journal:
    """Open it with `open`, close it with `close`. `answers`, `prefixes` of the edge's, `seconds`
    that the edge's took where they were measured, `scores` and `parts`, a scorer's, are by question
    id; `failures` are ids of questions that failed before."""

    def __init__(self, path: Path, handle: int) -> None:
        self.path = path
        self.answers: dict[str | int, dict[Side, Answer]] = {}
        self.prefixes: dict[str | int, Sequence[Prefix]] = {}
        self.seconds: dict[str | int, float] = {}
        self.scores: dict[str | int, Pair] = {}
        self.parts: dict[str | int, dict[str, Pair]] = {}
        self.failures: set[str | int] = set()
        self._fingerprints: dict[str | int, str] = {}
        self._handle = handle
        self._synced = time.monotonic()

    @classmethod
    def open(
        cls, out: Path, settings: Mapping[str, Any], questions: Iterable[Question]
    ) -> "Journal":
        """The journal of the labels `out`, locked. Raises ConfigurationError where it belongs to
        other settings, other questions or another process, or is damaged before its last line."""
        path = out.with_name(out.name + SUFFIX)
        if out.exists() and not path.exists():
            raise ConfigurationError(f"{out} exists, and has no {path.name}; choose another --out")
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        except OSError as error:
            raise ConfigurationError(f"{path} can't be written: {error.strerror}") from None
        journal = cls(path, handle)
        try:
            journal._begin(settings)
            journal._require_same(questions)
        except BaseException:
            os.close(handle)
            raise
        return journal

    @property
    def empty(self) -> bool:
        """Whether no model, and no judge, has answered anything yet."""
        return not (self.answers or self.scores or self.parts)

    def answered(
        self,
        question: Question,
        side: Side,
        answer: Answer,
        prefixes: Sequence[Prefix] = (),
        seconds: float | None = None,
    ) -> None:
        self.answers.setdefault(question.id, {})[side] = answer
        known = {name: value for name, value in asdict(answer).items() if value is not None}
        record: dict[str, Any] = {"side": side, "answer": known}
        if prefixes:
            self.prefixes[question.id] = record["prefixes"] = prefixes
        if seconds is not None:
            self.seconds[question.id] = record["seconds"] = seconds
        self._write(question, record)

    def scored(self, question: Question, pair: Pair) -> None:
        self.scores[question.id] = pair
        self._write(question, {"scores": list(pair)})

    def parts_of(self, question: Question) -> MutableMapping[str, Pair]:
        """What a scorer has paid for; what it sets is written at once."""

        def write(part: str, gives: Pair) -> None:
            self.parts.setdefault(question.id, {})[part] = gives
            self._write(question, {"part": part, "gives": list(gives)})

        return _Parts(self.parts.get(question.id, {}), write)

    def failed(self, question: Question, reason: str) -> None:
        """What failed is tried again by the next run, after what was never tried."""
        self._write(question, {"failed": reason})

    def close(self) -> None:
        """Removes a journal that holds no answer and no score."""
        os.fsync(self._handle)
        if self.empty:
            self.path.unlink(missing_ok=True)
        os.close(self._handle)

    def _write(self, question: Question, record: dict[str, Any]) -> None:
        append_line(
            self._handle, {"id": question.id, "of": question.fingerprint, **record}, self.path
        )
        if time.monotonic() - self._synced > _SYNC_SECONDS:
            os.fsync(self._handle)
            self._synced = time.monotonic()

    def _begin(self, settings: Mapping[str, Any]) -> None:
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigurationError(f"{self.path} is being written by another process") from None
        content = self.path.read_bytes()
        whole = content.rfind(b"\n") + 1  # a line that a kill or a power cut left unfinished goes
        os.ftruncate(self._handle, whole)
        lines = content[:whole].splitlines()
        for number, line in enumerate(lines[1:], start=2):
            self._read(line, number)
        header = {"hem_label": _VERSION, "settings": dict(settings)}
        if not self.empty:
            self._require_settings(lines[0], settings)
        elif lines[:1] != [orjson.dumps(header)]:
            os.ftruncate(self._handle, 0)
            append_line(self._handle, header, self.path)

    def _read(self, line: bytes, number: int) -> None:
        try:
            record = orjson.loads(line)
            name = record["id"]
            if "answer" in record:
                self.answers.setdefault(name, {})[record["side"]] = Answer(**record["answer"])
                if "prefixes" in record:
                    self.prefixes[name] = record["prefixes"]
                if "seconds" in record:
                    self.seconds[name] = record["seconds"]
            elif "scores" in record:
                self.scores[name] = Pair(*record["scores"])
            elif "part" in record:
                self.parts.setdefault(name, {})[record["part"]] = Pair(*record["gives"])
            elif "failed" in record:
                self.failures.add(name)
            self._fingerprints[name] = record["of"]
        except (orjson.JSONDecodeError, TypeError, KeyError) as error:
            raise ConfigurationError(
                f"{self.path}, line {number}: damaged: {error}; remove the line, or choose "
                "another --out"
            ) from None

    def _require_settings(self, line: bytes, settings: Mapping[str, Any]) -> None:
        try:
            header = orjson.loads(line)
            version, before = header["hem_label"], dict(header["settings"])
        except (orjson.JSONDecodeError, TypeError, KeyError, ValueError):
            raise ConfigurationError(f"{self.path}, line 1: not the start of a journal") from None
        if version != _VERSION:
            raise ConfigurationError(f"{self.path} is of version {version}, this is {_VERSION}")
        for name in sorted(before.keys() | settings.keys()):
            if before.get(name) != settings.get(name):
                raise ConfigurationError(
                    f"{self.path} was begun with {name} {before.get(name)!r}, not "
                    f"{settings.get(name)!r}; choose another --out"
                )

    def _require_same(self, questions: Iterable[Question]) -> None:
        for question in questions:
            before = self._fingerprints.get(question.id, question.fingerprint)
            if before != question.fingerprint:
                raise ConfigurationError(
                    f"{question.where}: id {question.id!r} was another question, or had another "
                    f"reference, when {self.path} was begun; choose another --out"
                )


class _Parts(UserDict[str, Pair]):
    def __init__(self, known: Mapping[str, Pair], write: Callable[[str, Pair], None]) -> None:
        super().__init__()
        self.data.update(known)
        self._write = write

    def __setitem__(self, part: str, gives: Pair) -> None:
        super().__setitem__(part, gives)
        self._write(part, gives)
