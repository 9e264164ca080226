"""A ledger survives kill -9, full disks and two writers."""

import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from threading import Thread
from typing import Final

import pytest
from prometheus_client import REGISTRY

from predictors.errors import ConfigurationError, Unrecorded
from predictors.upstream.ledger.lines import parse_head
from predictors.upstream.ledger.opening import close_ledger, open_ledger
from predictors.upstream.ledger.segments import files, sealed
from predictors.upstream.ledger.verify import verify
from predictors.upstream.ledger.writer import Ledger
from tests.conftest import ROOT
from tests.predictors.upstream.ledger.reading import lines

SMALL: Final = 4096  # bytes of a segment
WRITER: Final = """
import sys
from pathlib import Path
from predictors.upstream.ledger.writer import Ledger
ledger = Ledger(Path(sys.argv[1]), 4096)
print("open", flush=True)
while True:
    ledger.report({"of": ledger.intend({"to": "x" * 200})})
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "egress.jsonl"


def write(path: Path, count: int, segment_bytes: int = 2**20) -> Ledger:
    ledger = Ledger(path, segment_bytes)
    for _ in range(count):
        ledger.report({"of": ledger.intend({"to": "x"})})
    return ledger


def test_a_chain_goes_on_over_segments_and_processes(path: Path) -> None:
    for _ in range(3):
        write(path, 40, SMALL).close()
    found = verify(path)
    assert found.files == len(files(path)) > 3
    assert len(lines(path, "intent")) == len(lines(path, "outcome")) == 120
    assert [row["n"] for row in lines(path)] == list(range(found.lines))
    assert all(each.stat().st_size < SMALL + 500 for each in files(path))
    assert list(sealed(path)) == list(range(1, found.files))


@pytest.mark.slow
def test_kill_9_at_any_moment_leaves_a_ledger_that_holds(path: Path) -> None:
    moments = random.Random(7)
    for _ in range(30):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, cwd=ROOT
        )
        assert process.stdout is not None
        assert process.stdout.readline() == b"open\n"
        time.sleep(moments.random() * 0.02)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
        verify(path)
    found = verify(path)
    assert found.files > 30
    assert found.open <= 30


@pytest.mark.parametrize(
    "tail", [b'{"n":12', b"\0" * 300, b"x" * 70_000], ids=["half", "0", "long"]
)
@pytest.mark.parametrize("count", [0, 20])
def test_an_unfinished_line_is_cut_and_told(path: Path, tail: bytes, count: int) -> None:
    write(path, count).close()
    with path.open("ab") as file:
        file.write(tail)
    assert verify(path).unfinished == len(tail)
    write(path, 1).close()
    found = verify(path)
    assert found.cuts == 1
    assert [row["bytes"] for row in lines(path, "cut")] == [len(tail)]


@pytest.mark.parametrize(
    "step", ["before the rename", "before the next segment", "before its line"]
)
def test_a_process_may_end_at_each_step_of_a_seal(path: Path, step: str) -> None:
    write(path, 40, SMALL).close()
    number, last = list(sealed(path).items())[-1]
    path.unlink()
    if step == "before the rename":
        last.rename(path)
    if step == "before its line":
        path.touch()
    write(path, 1, SMALL).close()
    verify(path)
    assert max(sealed(path)) == number
    assert len(lines(path, "intent")) > 1


def test_a_ledger_that_is_damaged_at_its_end_is_not_gone_on_with(path: Path) -> None:
    write(path, 3).close()
    with path.open("ab") as file:
        file.write(b"no line\n")
    with pytest.raises(ConfigurationError, match=r"damaged at its end.*hem ledger verify"):
        write(path, 1)


def test_a_second_process_is_refused(path: Path) -> None:
    ledger = write(path, 1)
    again = subprocess.run(
        [sys.executable, "-c", WRITER, str(path)], capture_output=True, text=True, cwd=ROOT
    )
    assert "is being written by another process" in again.stderr
    assert "{hostname}" in again.stderr
    ledger.close()
    write(path, 1).close()
    verify(path)


def test_a_path_that_can_not_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="can't be written: No such file"):
        Ledger(tmp_path / "absent" / "egress.jsonl", SMALL)


def test_threads_may_share_it(path: Path) -> None:
    ledger = Ledger(path, SMALL, fsync_seconds=0.001)

    def work() -> None:
        for _ in range(100):
            ledger.report({"of": ledger.intend({"to": "x"})})

    threads = [Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ledger.close()
    assert len(lines(path, "outcome")) == 400
    assert verify(path).open == 0


def test_a_full_disk_at_the_start_refuses_what_would_leave_until_there_is_room(path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
    try:
        ledger = Ledger(path, SMALL)
        with pytest.raises(Unrecorded, match="nothing was sent"):
            ledger.intend({"to": "x"})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == b""
    ledger.intend({"to": "x"})
    ledger.close()
    assert [row["kind"] for row in lines(path)] == ["open", "intent"]
    verify(path)


def test_the_head_is_a_metric_and_a_line_of_the_log(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "kserve.hem")
    ledger = open_ledger(str(path), SMALL, 0)
    assert open_ledger(str(path), SMALL, 0) is ledger
    close_ledger(ledger)
    for _ in range(40):
        ledger.intend({"to": "x"})
    labels = {"ledger": str(path)}
    number = REGISTRY.get_sample_value("hem_ledger_head_number", labels)
    digest = REGISTRY.get_sample_value("hem_ledger_head_hash", labels)
    assert number is not None and digest is not None
    head = parse_head(f"{number:.0f}:{int(digest):012x}", "--head")
    assert ledger.head.digest.startswith(head.digest)
    verify(path, head)
    close_ledger(ledger)
    told = [record.getMessage() for record in caplog.records]
    assert any("segment 1 is sealed; head " in line for line in told)
    assert told[-1].endswith(f"closed; head {verify(path).head}")
    assert REGISTRY.get_sample_value("hem_ledger_head_number", labels) is None


def test_a_host_has_a_ledger_of_its_own(tmp_path: Path) -> None:
    ledger = open_ledger(str(tmp_path / "egress-{hostname}.jsonl"), SMALL, 0)
    assert ledger.path.name == f"egress-{os.uname().nodename}.jsonl"
    close_ledger(ledger)
