"""`hem import` as a user runs it: told what became of the records, interrupted, out of room."""

import gzip
import json
import os
import resource
import signal
import subprocess
from pathlib import Path

import pytest

from inferencegraph.evaluate.importing.run import Job, import_rows, sizes
from tests.inferencegraph.evaluate.importing import SAMPLES
from tests.inferencegraph.running_hem import HEM, hem

GOOD = b'{"messages": [{"role": "user", "content": "When are beans sown?"}]}\n'


def test_it_says_what_became_of_the_records(tmp_path: Path) -> None:
    logs, out = SAMPLES / "openai_chat.jsonl", tmp_path / "rows.jsonl"
    done = hem("import", "openai-chat", str(logs), "--out", str(out))
    assert done.returncode == 0
    assert done.stdout == f"6 rows in {out}, of 10 records; 4 left out\n"
    assert f"hem: 1 left out, no message of a user: {logs}, line 8" in done.stderr
    assert f"hem: 1 with an answer that was cut off: {logs}, line 4" in done.stderr
    again = hem("import", "openai-chat", str(logs), "--out", str(out))
    assert again.returncode == 2 and "exists; choose another --out" in again.stderr
    facts = json.loads(
        hem("import", "openai-chat", str(logs), "--out", str(out), "--force", "--json").stdout
    )
    assert (facts["rows"], facts["read"], facts["left_out"]["no messages"]) == (6, 10, 1)


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["openai-chat", "LOGS", "--strict"], "line 7: images or other parts in messages"),
        (["gsm8k", "LOGS"], "none of 10 records can become a row of gsm8k: 10 left out, missing"),
        (["openai", "LOGS"], "unknown format 'openai'"),
        (["openai-chat", "gone.jsonl"], "gone.jsonl can't be read: No such file"),
        (["routerbench", "LOGS", "--edge", "small"], "give both --edge and --cloud"),
        (["routerbench", "LOGS", "--edge", "a", "--cloud", "a"], "are the same model, 'a'"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(
    tmp_path: Path, arguments: list[str], fault: str
) -> None:
    logs = str(SAMPLES / "openai_chat.jsonl")
    command = [logs if word == "LOGS" else word for word in arguments]
    done = hem("import", *command, "--out", str(tmp_path / "rows.jsonl"))
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert fault in done.stderr and not list(tmp_path.iterdir())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_import_that_is_stopped_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    logs = tmp_path / "logs.jsonl"
    os.mkfifo(logs)
    out = tmp_path / "rows.jsonl"
    command = [*HEM, "import", "openai-chat", str(logs), "--out", str(out)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    with logs.open("wb") as pipe:  # opens when the import does, and has no end
        pipe.write(GOOD * 10_000)  # more than a pipe holds: some of it is read
        pipe.flush()
        assert list(tmp_path.glob(".rows.jsonl-*.part"))
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130 and "hem: error: stopped" in errors
    assert list(tmp_path.iterdir()) == [logs]


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    logs, out = tmp_path / "logs.jsonl", tmp_path / "rows.jsonl"
    logs.write_bytes(GOOD * 10_000)

    def little_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    done = subprocess.run(
        [*HEM, "import", "openai-chat", str(logs), "--out", str(out)],
        capture_output=True,
        text=True,
        preexec_fn=little_room,
    )
    assert done.returncode == 2
    assert f"{out} can't be written: File too large" in done.stderr
    assert list(tmp_path.iterdir()) == [logs]


@pytest.mark.parametrize("name", ["logs.jsonl", "logs.jsonl.gz"])
def test_an_import_tells_how_much_of_its_files_it_has_read(tmp_path: Path, name: str) -> None:
    logs = tmp_path / name
    logs.write_bytes(gzip.compress(GOOD * 10_000) if name.endswith("gz") else GOOD * 10_000)
    read: list[int] = []
    import_rows(Job("openai-chat", [logs], tmp_path / "rows.jsonl"), read.append)
    assert sum(read) == sizes([logs]) == logs.stat().st_size
