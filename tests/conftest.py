"""What tests of all rooms share: free ports, server processes, and the shared reference data."""

import contextlib
import gc
import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from http.client import HTTPConnection
from pathlib import Path
from typing import Final

import httpx
import pytest

from inferencegraph.local.ports import free_ports
from tests.forked import ForkedProcess, can_be_forked

ROOT = Path(__file__).resolve().parent.parent

if "PYTEST_XDIST_WORKER" in os.environ:
    # Beside other workers the threads of one operation wait for each other longer than they
    # compute. Read when torch or numpy is imported.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

with contextlib.suppress(ImportError):  # the engines' environments do without
    import hypothesis

    # How long an example takes says how busy the machine is. The same examples each time: a fault
    # that new ones show is nobody's change. `--hypothesis-profile=new` draws new ones.
    untimed = {"deadline": None, "suppress_health_check": [hypothesis.HealthCheck.too_slow]}
    hypothesis.settings.register_profile("new", **untimed)
    hypothesis.settings.register_profile("same", derandomize=True, database=None, **untimed)
    hypothesis.settings.load_profile("same")


@pytest.fixture(scope="session")
def shared() -> Path:
    """Reference data beside the checkout; not part of the project's own tree."""
    path = ROOT.parent / "shared"
    if not path.is_dir():
        pytest.skip("../shared is absent: the reference data is not part of the project")
    return path


@pytest.fixture(scope="session", autouse=True)
def certificates() -> Iterator[Mapping[str, str]]:
    """Where this machine's are, for who asks beyond loopback. Nobody else reads them: each client
    of httpx would, also for a URL of http, for 20 ms."""
    names = ("SSL_CERT_FILE", "SSL_CERT_DIR")
    of_the_machine = {name: os.environ[name] for name in names if name in os.environ}
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("SSL_CERT_FILE", raising=False)
        patch.setenv("SSL_CERT_DIR", str(ROOT / "tests"))  # there are none
        yield of_the_machine


# Nobody's list of endpoints is behind here.
NO_DRAIN = {"PREDICTOR_DRAIN_SECONDS": "0", "HEM_DRAIN_SECONDS": "0"}


def _own_ports() -> range:
    """Workers run at once, and a server binds its port seconds after it was chosen: each worker has
    ports of its own, below those that `hem up` draws from."""
    share = 10_000 // int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    first = 10_000 + share * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    return range(first, first + share)


_PORTS: Final = free_ports(_own_ports())


def free_port() -> int:
    """One that nothing else takes before a slow server binds it: no outgoing connection, and no
    test of another worker."""
    return next(_PORTS)


class ServerProcess:
    """A server of ours as a real process, with its log."""

    def __init__(self, module: str, arguments: Sequence[str], env: Mapping[str, str], log: Path):
        self.port = free_port()
        self.grpc_port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = log
        ports = ["--http_port", str(self.port), "--grpc_port", str(self.grpc_port)]
        self._words, self._variables = [*arguments, *ports], {**os.environ, **NO_DRAIN, **env}
        self._module, self._forked = module, can_be_forked(env)
        self.process = self._started()

    def _started(self) -> "ForkedProcess | subprocess.Popen[bytes]":
        if self._forked:
            return ForkedProcess(self._module, self._words, self._variables, self.log, ROOT)
        with self.log.open("wb") as out:
            command = [sys.executable, "-m", self._module, *self._words]
            return subprocess.Popen(command, stdout=out, stderr=out, env=self._variables, cwd=ROOT)

    def restart(self, ready: str) -> None:
        """Killed, and started again at the same ports."""
        self.process.kill()
        self.process.wait()
        self.process = self._started()
        self.wait_ready(ready)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def memory_peak(self) -> int:
        """Bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return 1024 * int(status.split("VmHWM:")[1].split()[0])

    def wait_ready(self, path: str, timeout: float = 90) -> None:
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(self.url + path, timeout=5).status_code == 200:
                    return
            time.sleep(0.1)
        raise AssertionError(f"{self.url}{path} is not ready:\n{self.log.read_text()[-4000:]}")

    def refusal(self) -> str:
        """The last line of one that ends by itself, as something is wrong with its settings."""
        assert self.process.wait(60) == 2
        said = self.log.read_text()
        assert "Traceback" not in said
        return said.splitlines()[-1]

    def begin(self, path: str, body: object) -> HTTPConnection:
        """A question whose answer nobody reads: who closes the connection has left."""
        caller = HTTPConnection("127.0.0.1", self.port)
        caller.request("POST", path, json.dumps(body), {"content-type": "application/json"})
        return caller

    def logged(self, said: str) -> list[str]:
        """The lines so far with `said` in them."""
        return [line for line in self.log.read_text().splitlines() if said in line]

    def wait_logged(self, said: str, times: int = 1, timeout: float = 30) -> str:
        """The line with `said` in it, the last of so many: some are written behind the answer."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if len(lines := self.logged(said)) >= times:
                return lines[times - 1]
            time.sleep(0.05)
        raise AssertionError(
            f"{said!r} is not there {times} times:\n{self.log.read_text()[-4000:]}"
        )

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


@pytest.fixture(autouse=True)
def heard(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who reads what is logged reads it whatever ran before: kserve's server, where a test has one
    in this process, keeps its lines to itself from then on."""
    if "caplog" in request.fixturenames:
        for logger in map(logging.getLogger, ("kserve", "kserve.hem")):
            monkeypatch.setattr(logger, "propagate", True)
            monkeypatch.setattr(logger, "disabled", False)


StartServer = Callable[..., ServerProcess]


# Folders and files whose tests start processes, compute with real models, or wait.
SLOW = tuple(
    ROOT / "tests" / path
    for path in (
        "e2e",
        "inferencegraph/commands/test_estimate.py",
        "inferencegraph/commands/test_label.py",
        "inferencegraph/evaluate/estimating/test_promises.py",
        "inferencegraph/local/test_process.py",
        "inferencegraph/local/test_stack.py",
        "inferencegraph/router/test_limits.py",
        "inferencegraph/router/test_server.py",
        "inferencegraph/simulate/test_theory.py",
        "predictors/cache",
        "predictors/embedded",
        "predictors/engines/classifier",
        "predictors/engines/huggingface",
        "predictors/engines/test_one_row_fails_alone.py",
        "predictors/engines/test_side_by_side.py",
        "predictors/engines/triton/test_failures.py",
        "predictors/serving/test_command_line.py",
        "predictors/serving/test_connection.py",
        "predictors/serving/test_shared_cases.py",
        "predictors/upstream/test_faults.py",
        "predictors/upstream/test_slow_answers.py",
        "soak",
        "transformers_hem/algorithms/test_algorithms.py",
        "transformers_hem/calibration/test_promises.py",
        "transformers_hem/calibration/test_promises_on_prefixes.py",
        "transformers_hem/evaluation/test_reference.py",
        "transformers_hem/routers/classifier",
        "transformers_hem/routers/encoder",
        "transformers_hem/routers/kernel",
        "transformers_hem/routers/test_table.py",
        "transformers_hem/serving/test_command_line.py",
        "transformers_hem/test_embedded.py",
    )
)


# Files that take longest come first, so that no worker is left with one of them at the end.
LONGEST = tuple(
    ROOT / "tests" / path
    for path in (
        "inferencegraph/spec/test_running.py",
        "e2e/test_modes.py",
        "e2e/test_images.py",
        "e2e/test_gateway.py",
        "e2e/test_a_day.py",
        "inferencegraph/local/test_stack.py",
        "inferencegraph/simulate/test_theory.py",
        "e2e/test_lm_eval.py",
        "predictors/engines/huggingface/test_continuing.py",
        "predictors/engines/huggingface/test_one_row_fails_alone.py",
        "e2e/test_extending.py",
        "predictors/serving/test_continuing.py",
        "e2e/test_digits.py",
        "inferencegraph/spec/test_engine_files.py",
        "inferencegraph/spec/test_own_algorithm.py",
        "inferencegraph/evaluate/estimating/test_promises.py",
        "inferencegraph/commands/test_estimate.py",
        "inferencegraph/commands/test_label.py",
    )
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first, behind them those with most tests. `make check` leaves out what is
    slow."""
    ranks = {path: rank for rank, path in enumerate(LONGEST)}
    tests = Counter(item.path for item in items)
    items.sort(key=lambda item: (ranks.get(item.path, len(ranks)), -tests[item.path]))
    for item in items:
        at = {item.path, *item.path.parents}
        if "start_server" in getattr(item, "fixturenames", ()) or not at.isdisjoint(SLOW):
            item.add_marker(pytest.mark.slow)


def pytest_collection_finish() -> None:
    """What has been imported and collected stays: looked through again and again for garbage, it
    would hold a test up for half a second each time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module")
def start_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartServer]:
    """start_server("predictors", "--model_name", "m", env={...}, ready="/v2/models/m/ready")"""
    started: list[ServerProcess] = []

    def start(
        module: str, *arguments: str, env: Mapping[str, str] | None = None, ready: str | None = None
    ) -> ServerProcess:
        log = tmp_path_factory.mktemp("server") / "log"
        server = ServerProcess(module, arguments, env or {}, log)
        started.append(server)
        if ready is not None:
            server.wait_ready(ready)
        return server

    yield start
    for server in started:
        server.stop()
