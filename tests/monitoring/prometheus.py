"""Debian's Prometheus, where it is installed: its server, and promtool."""

import contextlib
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.conftest import ROOT, free_port

MONITORING = ROOT / "manifests" / "monitoring"
INTERVAL = "1s"


def program(name: str) -> str:
    """Skips the test where it is not installed."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"no {name}: apt-get install prometheus")
    return found


def promtool(*arguments: str | Path) -> None:
    """Fails with its words."""
    command = [program("promtool"), *map(str, arguments)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stdout + ended.stderr


class Prometheus:
    """Watches `targets` (host:port, by their names) as the job kserve-hem; a context manager."""

    def __init__(self, folder: Path, targets: Mapping[str, str]) -> None:
        self._folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        content = {
            "global": {"scrape_interval": INTERVAL, "evaluation_interval": INTERVAL},
            "rule_files": [str(MONITORING / "alerts.yaml")],
            "scrape_configs": [
                {
                    "job_name": "kserve-hem",
                    "static_configs": [
                        {"targets": [target], "labels": {"service": name}}
                        for name, target in targets.items()
                    ],
                }
            ],
        }
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "prometheus.yaml").write_text(yaml.safe_dump(content))
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Prometheus":
        command = [
            program("prometheus"),
            f"--config.file={self._folder / 'prometheus.yaml'}",
            f"--storage.tsdb.path={self._folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
        ]
        log = self._folder / "log"
        with log.open("wb") as out:
            self._process = subprocess.Popen(command, stdout=out, stderr=out)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and self._process.poll() is None:
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"{self.url}/-/ready").status_code == 200:
                    return self
            time.sleep(0.1)
        raise AssertionError(f"Prometheus did not start: {log.read_text()[-2000:]}")

    def __exit__(self, *error: object) -> None:
        assert self._process is not None
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def ask(self, expression: str) -> Sequence[Mapping[str, Any]]:
        """The series of an instant query. Fails where Prometheus refuses it."""
        answer = httpx.get(f"{self.url}/api/v1/query", params={"query": expression}).json()
        assert answer["status"] == "success", f"{expression}: {answer.get('error')}"
        found: Sequence[Mapping[str, Any]] = answer["data"]["result"]
        return found

    def asked_over(
        self, expression: str, seconds: float, step: float
    ) -> Sequence[Mapping[str, Any]]:
        """Of the last `seconds`, a value each `step`."""
        now = time.time()
        span = {"start": str(now - seconds), "end": str(now), "step": str(step)}
        answer = httpx.get(
            f"{self.url}/api/v1/query_range", params={"query": expression, **span}
        ).json()
        assert answer["status"] == "success", f"{expression}: {answer.get('error')}"
        found: Sequence[Mapping[str, Any]] = answer["data"]["result"]
        return found
