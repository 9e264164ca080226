"""`hem status --watch`, and what it and a long list do where an answer breaks off."""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from inferencegraph.cluster.connection import connect
from inferencegraph.cluster.observing import observing
from tests.conftest import ROOT
from tests.inferencegraph.cluster.api_refusals import forbidden, status
from tests.inferencegraph.cluster.api_server import CUT, ApiServer, Fault
from tests.inferencegraph.cluster.conftest import Hem, printed
from tests.inferencegraph.cluster.controller import pod
from tests.inferencegraph.cluster.shop import EDGE, EDGE_POD, not_ready, parts, waiting

Capture = pytest.CaptureFixture[str]


def test_a_long_list_comes_in_chunks(running: ApiServer, hem: Hem, capsys: Capture) -> None:
    running.chunk = 2
    assert hem("status", "--json") == 0
    assert len(parts(printed(capsys)[0])) == 9


class Watching:
    """`hem status --watch --json` in a process of its own."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "inferencegraph", "status", "--watch", "--json"],
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        self._lines: queue.Queue[str] = queue.Queue()
        self.reading = threading.Thread(target=self._read, daemon=True)
        self.reading.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                self._lines.put(line)

    def until(self, condition: str) -> dict[str, Any]:
        """The first status in this condition."""
        while True:
            [shown] = json.loads(self._lines.get(timeout=60))
            if shown["condition"] == condition:
                return dict(shown)


@pytest.fixture
def watching(running: ApiServer) -> Iterator[Watching]:
    watch = Watching()
    yield watch
    watch.process.kill()
    watch.process.wait()
    watch.reading.join()


def test_watch_follows_the_cluster_until_ctrl_c(running: ApiServer, watching: Watching) -> None:
    watching.until("Running")
    not_ready(running)
    watching.until("Pending")
    running.update("Pod", EDGE_POD, lambda each: each.update(status=waiting("ImagePullBackOff")))
    watching.until("Failed")
    watching.process.send_signal(signal.SIGINT)
    assert watching.process.wait(20) == 130


def test_watch_starts_from_the_version_of_its_list_and_takes_bookmarks(
    running: ApiServer, watching: Watching
) -> None:
    watching.until("Running")
    not_ready(running)
    watching.until("Pending")
    asked = [each for each in running.requests if each.query.get("watch") == "true"]
    assert {each.path.rpartition("/")[2] for each in asked} >= {
        *("pods", "deployments", "inferenceservices", "inferencegraphs")
    }
    for each in asked:
        assert int(each.query["resourceVersion"]) > 100
        assert each.query["allowWatchBookmarks"] == "true"
        assert int(each.query["timeoutSeconds"]) > 0


def test_watch_lists_again_where_its_version_is_too_old(
    running: ApiServer, watching: Watching
) -> None:
    watching.until("Running")
    lists = len(running.sent("GET", "/pods"))
    not_ready(running)
    running.forget_history()
    watching.until("Pending")
    assert len(running.sent("GET", "/pods")) > lists


def test_watch_goes_on_where_the_connection_breaks(running: ApiServer, kubeconfig: Path) -> None:
    def pods(each: Any) -> bool:
        return each.query.get("watch") == "true" and each.path.endswith("/pods")

    fault = Fault(pods, None, times=7)
    running.faults.append(fault)
    with observing(connect(None, None), "default") as observer:
        running.put(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {
                    "name": "late",
                    "labels": {"serving.kserve.io/inferenceservice": EDGE},
                },
            }
        )
        while not any(each["metadata"]["name"] == "late" for each in observer.now().pods):
            assert observer.wait(60)
    assert fault.times <= 0


@pytest.mark.parametrize("cut", [True, False], ids=["cut", "ended by the server"])
def test_watch_goes_on_where_its_stream_ends(
    cut: bool, running: ApiServer, kubeconfig: Path
) -> None:
    def of_edge(name: str) -> dict[str, Any]:
        return pod(name, {"serving.kserve.io/inferenceservice": EDGE})

    with observing(connect(None, None), "default") as observer:
        for name in ("first", "second"):  # the one before, the other behind it
            running.put(of_edge(name))
            while not any(each["metadata"]["name"] == f"{name}-1" for each in observer.now().pods):
                assert observer.wait(60)
            running.end_watches(cut=cut)
    assert len(running.sent("GET", "/pods")) == 3  # listed once by each label, never again


def test_a_list_that_expires_between_two_chunks_is_begun_again(
    running: ApiServer, hem: Hem, capsys: Capture
) -> None:
    running.chunk = 2
    gone = 410, status(410, "Expired", "The provided continue parameter is too old")
    fault = Fault(lambda each: bool(each.query.get("continue")), gone)
    running.faults.append(fault)
    assert hem("status", "--json") == 0
    assert fault.times == 0
    assert len(parts(printed(capsys)[0])) == 9
    fault.times = 99
    assert hem("status") == 2
    assert "The provided continue parameter is too old" in capsys.readouterr().err


def test_an_answer_that_breaks_off_is_asked_for_again(
    running: ApiServer, hem: Hem, capsys: Capture
) -> None:
    fault = Fault(lambda each: each.path.endswith("/pods"), CUT, times=2)
    running.faults.append(fault)
    assert hem("status", "--json") == 0
    assert fault.times == 0
    fault.times = 99
    assert hem("status") == 2
    assert "the connection broke, several times, at list pods" in capsys.readouterr().err


def test_watch_ends_where_it_is_not_allowed_any_more(
    running: ApiServer, hem: Hem, capsys: Capture
) -> None:
    answer = forbidden("watch", "pods", "", "default")
    running.faults.append(Fault(lambda each: "watch" in each.query, answer, times=99))
    assert hem("status", "--watch", "--json") == 2
    assert "no permission to watch" in capsys.readouterr().err
