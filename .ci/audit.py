#!/usr/bin/env python3
"""Checks every pin in .ci for known vulnerabilities, without the internet: `make audit`.

The database has OSV's format: a folder, a zip file, or a git repository, work tree or not. Such are
github.com/pypa/advisory-database, and PyPI/all.zip of osv.dev. AUDIT_DATABASE names it.

Exit status: 0, no pin has a known vulnerability; 1, one has; 2, it was called wrongly; 3, there is
no database, so nothing was checked. `.ci/audit-seen.txt` has what people have judged: an id and why
on each line.
"""

import argparse
import io
import json
import os
import subprocess
import sys
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import yaml
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

HERE: Final = Path(__file__).resolve().parent
CLEAN, VULNERABLE, WRONG, NO_DATABASE = range(4)
OLD_DAYS: Final = 30
SUFFIXES: Final = (".json", ".yaml")
LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # C's is ten times as fast
UNKNOWN: Final = datetime.min.replace(tzinfo=UTC)

Pins = dict[str, dict[Version, str]]  # name -> version -> the file that has it
Record = dict[str, Any]


@dataclass(frozen=True, order=True)
class Finding:
    name: str
    version: str
    id: str
    file: str
    aliases: tuple[str, ...]
    fixed: tuple[str, ...]

    def __str__(self) -> str:
        way_out = f"; mended in {', '.join(self.fixed)}" if self.fixed else "; not mended yet"
        also = f" ({', '.join(self.aliases)})" if self.aliases else ""
        return f"{self.name} {self.version} ({self.file}): {self.id}{also}{way_out}"


def read_pins(folder: Path) -> Pins:
    """Of the constraints and the locks."""
    pins: Pins = defaultdict(dict)
    for file in sorted([*folder.glob("constraints*.txt"), *folder.glob("locks/*")]):
        for line in file.read_text().splitlines():
            try:
                requirement = Requirement(line.partition("#")[0].rstrip("\\ "))
                (specifier,) = requirement.specifier
                version = Version(specifier.version)
            except (InvalidRequirement, InvalidVersion, ValueError):
                continue  # a comment, a hash, a name without a version
            if specifier.operator == "==":
                name = canonicalize_name(requirement.name)
                pins[name].setdefault(version, str(file.relative_to(folder)))
    return pins


def read_records(database: Path, names: set[str]) -> Iterator[Record]:
    """Those whose text has one of the names: to read YAML is slow, and few are about ours."""
    for file, content in _files(database):
        if not file.endswith(SUFFIXES):
            continue
        text = content.decode()
        plain = text.lower().replace("_", "-").replace(".", "-")
        if any(name in plain for name in names):
            read = json.loads(text) if file.endswith(".json") else yaml.load(text, Loader=LOADER)
            if isinstance(read, dict) and not read.get("withdrawn"):
                yield read


def _files(database: Path) -> Iterator[tuple[str, bytes]]:
    if database.is_file():
        yield from _zipped(database)
    elif (database / "HEAD").is_file():
        git = ["git", "--git-dir", str(database), "archive", "--format=zip", "HEAD"]
        made = subprocess.run(git, capture_output=True, check=True)
        yield from _zipped(io.BytesIO(made.stdout))
    else:
        for path in sorted(database.rglob("*")):
            if path.is_file():
                yield path.name, path.read_bytes()


def _zipped(source: Path | io.BytesIO) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(source) as archive:
        for name in archive.namelist():
            yield name, archive.read(name)


def find(pins: Pins, records: Iterator[Record]) -> tuple[list[Finding], datetime]:
    """And when the newest of the records was written."""
    found: set[Finding] = set()
    newest = UNKNOWN
    for record in records:
        newest = max(newest, _time(record.get("modified")))
        for affected in record.get("affected") or ():
            package = affected.get("package") or {}
            if package.get("ecosystem") != "PyPI":
                continue
            name = canonicalize_name(str(package.get("name")))
            for version, file in pins.get(name, {}).items():
                if _is_affected(version, affected):
                    aliases = tuple(sorted(record.get("aliases") or ()))
                    fixed = tuple(_fixed(affected))
                    found.add(Finding(name, str(version), record["id"], file, aliases, fixed))
    return sorted(found), newest


def _time(value: Any) -> datetime:
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    try:
        return datetime.fromisoformat(str(value))
    except ValueError:
        return UNKNOWN


def _is_affected(version: Version, affected: Record) -> bool:
    """By OSV's rule: it is listed, or lies in a range (ossf.github.io/osv-schema, Evaluation)."""
    if any(_version(listed) == version for listed in affected.get("versions") or () if listed):
        return True
    return any(_lies_in(version, each["events"]) for each in _ranges(affected))


def _ranges(affected: Record) -> list[Record]:
    return [each for each in affected.get("ranges") or () if each.get("type") == "ECOSYSTEM"]


def _lies_in(version: Version, events: list[dict[str, str]]) -> bool:
    inside = False
    read = [(_version(text), kind) for event in events for kind, text in event.items()]
    if any(at is None for at, _ in read):
        return True  # what can't be compared is for people
    for at, kind in sorted((at, kind) for at, kind in read if at is not None):
        if kind == "introduced" and version >= at:
            inside = True
        if (kind == "fixed" and version >= at) or (kind == "last_affected" and version > at):
            inside = False
    return inside


def _fixed(affected: Record) -> Iterator[str]:
    for each in _ranges(affected):
        for event in each["events"]:
            if "fixed" in event:
                yield str(event["fixed"])


def _version(text: Any) -> Version | None:
    try:
        return Version(str(text))
    except InvalidVersion:
        return None


def read_seen(path: Path) -> set[str]:
    if not path.is_file():
        return set()
    lines = (line.partition("#")[0].split() for line in path.read_text().splitlines())
    return {words[0] for words in lines if words}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--database", default=os.environ.get("AUDIT_DATABASE", ""))
    parser.add_argument("--pins", type=Path, default=HERE, help="folder with constraints and locks")
    options = parser.parse_args(arguments)
    if not options.database:
        print("audit: no database, so nothing was checked: set AUDIT_DATABASE to a folder, a zip")
        print("file or a git repository of OSV's format (github.com/pypa/advisory-database)")
        return NO_DATABASE
    database = Path(options.database)
    if not database.exists():
        print(f"audit: there is no database {database}, so nothing was checked")
        return NO_DATABASE
    pins = read_pins(options.pins)
    found, newest = find(pins, read_records(database, set(pins)))
    seen = read_seen(options.pins / "audit-seen.txt")
    new = [each for each in found if not {each.id, *each.aliases} & seen]
    for each in new:
        print(f"audit: {each}")
    days = (datetime.now(UTC) - newest).days
    if newest == UNKNOWN:
        print("audit: warning: the database has no record about any of these packages")
    elif days > OLD_DAYS:
        print(f"audit: warning: its newest record about one of them is {days} days old")
    count = sum(map(len, pins.values()))
    print(f"audit: {count} pins; vulnerabilities: {len(new)} new, {len(found) - len(new)} seen")
    return VULNERABLE if new else CLEAN


if __name__ == "__main__":
    sys.exit(main())
