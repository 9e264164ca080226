"""Whoever promotes may be killed at any moment: the old version is in force, or the new, whole."""

import re
import subprocess
import sys
from pathlib import Path

import pytest


def killed(folder: Path, *arguments: str) -> int:
    """How often; raises where something was not as it should be."""
    command = [sys.executable, "-m", "tests.transformers_hem.versions.killed", str(folder)]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    found = re.match(r"(\d+) kills", done.stdout)
    assert found, done.stdout
    return int(found[1])


def test_killed_before_each_operation_on_a_file(tmp_path: Path) -> None:
    assert killed(tmp_path, "operations") > 40


def test_killed_at_random_moments(tmp_path: Path) -> None:
    assert killed(tmp_path, "random", "10", "7") == 10


@pytest.mark.soak
def test_killed_a_hundred_times(tmp_path: Path) -> None:
    assert killed(tmp_path, "random", "150", "8") == 150
