"""How fast `hem import` reads OpenAI's logs on one core, beside a bare loop of orjson over the same
lines, and how much memory it takes for a file of twice the size.

Seconds are those of the processor, so that what else the machine does counts little."""

import os
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from tests.inferencegraph.running_hem import HEM

pytestmark = pytest.mark.benchmark

MEGABYTES = int(os.environ.get("HEM_IMPORT_MEGABYTES", "300"))
WORDS = "the cloud answers what the edge can not, and the edge answers what is left of it. " * 8
LEAST_MEGABYTES_PER_SECOND = 30
BARE_LOOP = """
import sys, orjson
with open(sys.argv[1], "rb") as source, open(sys.argv[2], "wb") as out:
    for line in source:
        out.write(orjson.dumps(orjson.loads(line)) + b"\\n")
"""


def log(number: int) -> dict[str, object]:
    """A request and its answer, 1.7 kB in JSON, as a proxy logs it; every fourth has a history."""
    asked = [{"role": "user", "content": f"{number}: {WORDS[: 200 + number % 400]}"}]
    if number % 4 == 0:
        before = [{"role": "user", "content": "hello"}, {"role": "assistant", "content": WORDS}]
        asked = [{"role": "system", "content": "Be brief."}, *before, *asked]
    message = {"role": "assistant", "content": WORDS}
    usage = {"prompt_tokens": 120, "completion_tokens": 160, "total_tokens": 280}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    answer = {"id": f"chatcmpl-{number}", "object": "chat.completion", "created": 1735689600}
    answer |= {"model": "big-2025", "choices": [choice], "usage": usage}
    return {"request": {"model": "big", "messages": asked, "temperature": 0.7}, "response": answer}


def write(path: Path, megabytes: int) -> float:
    """Its size in MB."""
    number = 0
    with path.open("wb") as file:
        while file.tell() < megabytes * 1e6:
            file.write(b"".join(orjson.dumps(log(number + i)) + b"\n" for i in range(1000)))
            number += 1000
    return path.stat().st_size / 1e6


def timed(*command: str) -> tuple[float, float]:
    """Seconds of the processor, and the largest resident set in MB."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def test_openai_logs_are_read_at_the_speed_of_a_disk(tmp_path: Path) -> None:
    logs, out = tmp_path / "logs.jsonl", tmp_path / "rows.jsonl"
    peaks = []
    for megabytes in (MEGABYTES // 2, MEGABYTES):
        size = write(logs, megabytes)
        bare, _ = timed(sys.executable, "-c", BARE_LOOP, str(logs), str(out))
        seconds, peak = timed(
            *HEM, "import", "openai-chat", str(logs), "--out", str(out), "--force"
        )
        peaks.append(peak)
        print(
            f"\n{size:.0f} MB: {size / seconds:.0f} MB/s, {seconds / bare:.1f} times the time of a "
            f"bare loop of orjson ({size / bare:.0f} MB/s); at most {peak:.0f} MB resident"
        )
        assert size / seconds >= LEAST_MEGABYTES_PER_SECOND
    rows = size * 1e6 / 1700
    assert peaks[1] - peaks[0] <= 10 + rows * 32 / 1e6


def test_redacted_logs_take_no_more_memory(tmp_path: Path) -> None:
    logs, out = tmp_path / "logs.jsonl", tmp_path / "rows.jsonl"
    command = (*HEM, "import", "openai-chat", str(logs), "--out", str(out), "--force")
    peaks = []
    for megabytes in (MEGABYTES // 10, MEGABYTES // 5):
        size = write(logs, megabytes)
        seconds, peak = timed(*command, "--redact", "placeholder")
        peaks.append(peak)
        print(f"\n{size:.0f} MB, redacted: {size / seconds:.0f} MB/s; at most {peak:.0f} MB")
    assert peaks[1] - peaks[0] <= 10 + size * 1e6 / 1700 * 32 / 1e6
