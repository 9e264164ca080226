"""The cases of bug reports beside the checkout, as they are: what each prints is now right."""

import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT


def said(shared: Path, case: str) -> list[str]:
    command = [sys.executable, str(shared / "cases" / case)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=240)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_float_over_grpc_is_used_or_refused(shared: Path) -> None:
    text, number, negative, tokens, seed = said(shared, "01_grpc_float_parameter_dropped.py")
    assert "temperature must be a number from 0 to 2, not '5.0'" in text
    assert "temperature must be a number from 0 to 2, not 5.0" in number
    assert "top_p must be a number above 0 and at most 1, not -1.0" in negative
    assert tokens.endswith("completion_tokens [1]")
    assert "-> 200" in seed


def test_bodies_of_tritonclient_and_curl_are_answered(shared: Path) -> None:
    lines = said(shared, "02_json_without_content_type.py")
    assert len(lines) == 8
    assert all("b'42'" in line for line in lines[:5])
    assert all('"data":["42"]' in line for line in lines[5:])
