"""The large model's server on a core of its own; whoever calls it has the others."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.conftest import ServerProcess

CORES: Final = sorted(os.sched_getaffinity(0))
CLOUD: Final = {CORES[-1]}
REST: Final = set(CORES[:-1]) or CLOUD
# Read by torch when it is imported; a server with these is started as a process of its own, which
# has its starter's cores.
ONE_THREAD: Final = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


@contextmanager
def cloud(model_dir: str, log: Path, *options: str) -> Iterator[ServerProcess]:
    """`python -m predictors` with the model, on one thread of the last core; meanwhile all that
    this process starts stays off it. The core is shared where there is but one."""
    before = os.sched_getaffinity(0)
    given = ("--model_name", "m", "--model_dir", model_dir, "--threads", "1", *options)
    os.sched_setaffinity(0, CLOUD)
    server = ServerProcess(
        "predictors", (*given, "--enable_latency_logging", "false"), ONE_THREAD, log
    )
    os.sched_setaffinity(0, REST)
    try:
        server.wait_ready("/v2/models/m/ready", timeout=300)
        yield server
    finally:
        os.sched_setaffinity(0, before)
        server.stop()
