"""The soak's smaller pieces: the disk, the limits, the log, the manifests, the happenings."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.soak.bad_callers import FORGED, KINDS
from tests.soak.full_disk import full_disk
from tests.soak.happenings import HAPPENINGS, ON_ALL
from tests.soak.log_lines import faults
from tests.soak.memory_limits import container_limit, memory_limit, why_no_cgroup
from tests.soak.wire_faults import FAULTS

EATER = "b = bytearray({mib} << 20); print(len(b))"


def test_a_full_disk_is_full_and_is_freed(tmp_path: Path) -> None:
    with full_disk(tmp_path / "small") as disk:
        if disk.why_not:
            pytest.skip(disk.why_not)
        (disk.folder / "before").write_bytes(b"1" * 4096)
        disk.fill()
        with pytest.raises(OSError, match="No space left"):
            (disk.folder / "after").write_bytes(b"1" * 8192)
        disk.free()
        (disk.folder / "after").write_bytes(b"1" * 8192)
    assert list((tmp_path / "small").iterdir()) == []


def eat(mib: int, folder: Path, tmp_path: Path) -> int:
    (tmp_path / "eater.py").write_text(EATER.format(mib=mib))
    command = [sys.executable, "-m", "tests.soak.memory_limits", str(folder), "eater"]
    path = {"PYTHONPATH": f"{ROOT}:{tmp_path}"}
    return subprocess.run(command, env=path, capture_output=True, check=False).returncode


def test_who_needs_more_than_its_limit_is_killed_and_counted(tmp_path: Path) -> None:
    if reason := why_no_cgroup():
        pytest.skip(reason)
    with memory_limit("hem-soak-test", 64 << 20) as limit:
        assert limit.folder is not None
        assert eat(16, limit.folder, tmp_path) == 0
        assert limit.holds
        assert eat(200, limit.folder, tmp_path) == -9
        assert limit.kills() == 1
        assert not limit.holds
        folder = limit.folder
    assert not folder.exists()


def test_limits_are_those_of_the_manifest() -> None:
    container = {"resources": {"limits": {"memory": "512Mi"}}}
    assert container_limit(container) == 512 << 20


@pytest.mark.parametrize(
    ("line", "is_fault"),
    [
        ("Traceback (most recent call last):", True),
        ("Task exception was never retrieved", True),
        (FORGED, True),
        (f"\x1b[31m{FORGED}", True),
        (f"ModelNotFound: Model with name x\\n{FORGED} does not exist.", False),
        ("WARNING the circuit breaker is open", False),
        (json.dumps({"id": FORGED}), False),
    ],
)
def test_faults_are_told_from_what_outages_bring(line: str, is_fault: bool) -> None:
    assert bool(faults("qa-edge", [line])) is is_fault


def test_every_fault_and_every_caller_that_is_asked_for_is_there() -> None:
    asked = {
        *("killed", "terminated", "frozen", "restarting", "silent", "dripping", "garbage"),
        *("truncated body", "oversized body", "wrong content type", "500", "503", "429"),
        *("429 Retry-After", "reset before the headers", "reset in the body"),
        *("20% packet loss", "2 s of delay", "disk full"),
    }
    assert asked <= set(ON_ALL)
    assert {"bad certificate", "unknown host", *FAULTS} <= set(HAPPENINGS)
    assert {"tiny temperature", "unload", "huge query", "10,000 rows"} <= set(KINDS)
