"""No field writes a log line of its own, whatever it holds and whoever logs it."""

import io
import logging
import subprocess
import sys

import pytest

from predictors.logs import OneLineRecord, one_line
from tests.conftest import ROOT

FORGED = [
    "a\nERROR forged",
    "a\r\nERROR forged",
    "a\x0bERROR",
    "a\x1b[2K\x1b[1AERROR",
    "a\x85ERROR",
    "a\u2028ERROR",
    "a\u2029ERROR",
    "a\u202egnorw",
    "a\x00b\x7f\x9b31m",
    "a\tb",
    "a\ud800b",
]


@pytest.mark.parametrize("text", FORGED)
def test_controls_are_escaped_and_can_be_read(text: str) -> None:
    shown = one_line(text)
    assert shown.isprintable() and shown.startswith("a\\")
    assert shown.encode().decode("unicode_escape") == text


@pytest.mark.parametrize("text", ["plain", "grüß 你好 🙂", 'a "quoted" \\ one', "e\u0301"])
def test_what_is_no_control_stays(text: str) -> None:
    assert one_line(text) == text


def logged(*arguments: object, exc_info: bool = False) -> str:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("LOG %(message)s"))
    info = sys.exc_info() if exc_info else None
    name, message, *fields = map(str, arguments)
    record = OneLineRecord(name, logging.ERROR, "f.py", 1, message, tuple(fields), info)
    handler.handle(record)
    handler.handle(record)  # a second handler finds the same
    return stream.getvalue()


@pytest.mark.parametrize("text", FORGED[:-1])
def test_a_record_is_one_line_wherever_the_field_stands(text: str) -> None:
    for lines in (logged("n", f"said {text}"), logged("n", "said %s", text)):
        assert lines.splitlines() == [f"LOG said {one_line(text)}"] * 2


def test_the_lines_of_a_traceback_begin_with_blanks() -> None:
    try:
        raise ValueError("x\nLOG forged \x1b[2K") from KeyError("y\nLOG forged")
    except ValueError:
        lines = logged("n", "failed\n", exc_info=True).splitlines()
    assert [line for line in lines if not line.startswith("  ")] == ["LOG failed"] * 2
    assert "\x1b" not in "".join(lines) and "  ValueError: x" in lines


def test_a_terminal_that_lacks_a_character_fails_no_record() -> None:
    code = (
        "import logging, sys; from predictors import logs; logs.install();"
        "logging.basicConfig(stream=sys.stdout, format='%(message)s');"
        "logging.error('gr\\u00fc\\u00df %s', 'x\\ny')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        cwd=ROOT,
        env={"PYTHONIOENCODING": "ascii", "PYTHONPATH": str(ROOT)},
        check=True,
    )
    assert done.stdout == b"gr\\xfc\\xdf x\\ny\n"
    assert done.stderr == b""
