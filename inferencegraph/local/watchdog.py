"""Ends the services when `hem` itself is gone, however it went (SIGKILL included).

Run as `python -S watchdog.py` with a pipe as stdin that only `hem` holds open. Lines `+PID` and
`-PID` name the process groups to end; the end of the pipe is the end of `hem`. Standard library
only: it lives as long as the stack does and should cost nothing.
"""

import contextlib
import os
import signal
import sys
import time

_GRACE_SECONDS = 2.0


def _signal(groups: set[int], number: signal.Signals) -> None:
    for group in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, number)


def main() -> None:
    groups: set[int] = set()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    for line in sys.stdin:
        group = int(line[1:])
        groups.add(group) if line[0] == "+" else groups.discard(group)
    _signal(groups, signal.SIGTERM)
    if groups:
        time.sleep(_GRACE_SECONDS)
    _signal(groups, signal.SIGKILL)


if __name__ == "__main__":
    main()
