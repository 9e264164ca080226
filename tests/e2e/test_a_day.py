"""A day of a router that learns from use: a server decides, users say how answers were, and what
`hem retrain` promotes is taken up; a bad router that somebody plants is rolled back.

The queries and how both models do on them are the shipped pair's.
"""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from predictors.contract import HEM_ROUTE, HEM_SCORE, text_request
from tests.conftest import ROOT, ServerProcess, StartServer
from tests.inferencegraph.running_hem import hem
from tests.transformers_hem.retraining.queries import Query, write_rows
from transformers_hem.evaluation.quality import gap_recovered
from transformers_hem.labels.labels import read_labels

ROWS = ROOT / "predictors/embedded/data/labels.jsonl.gz"
SECONDS = 10.0  # in which a switch is taken up


@dataclass(frozen=True)
class Day:
    """`asked`: some queries through the server. `retrain`: the command on its folder."""

    server: ServerProcess
    folder: Path
    retrain: Callable[..., Any]

    def ask(self, rows: Sequence[Query], name: str) -> "Asked":
        routes, scores = [], []
        with httpx.Client(base_url=self.server.url) as client:
            for number, (query, *_) in enumerate(rows):
                headers = {"x-request-id": f"{name}-{number}"}
                path = "/v2/models/qa-hem/infer"
                answer = client.post(path, json=text_request([query]), headers=headers)
                parameters = answer.raise_for_status().json()["parameters"]
                routes.append(parameters[HEM_ROUTE])
                scores.append(parameters[HEM_SCORE])
        return Asked(name, rows, routes, scores)

    def feed_back(self, asked: "Asked", file: Path) -> None:
        """A user says of each answer whether it was right."""
        said = [
            {"request_id": f"{asked.name}-{number}", "correct": bool(right)}
            for number, right in enumerate(asked.served)
        ]
        file.write_text("".join(json.dumps(row) + "\n" for row in said))
        done = hem("feedback", "send", "--data", str(file), "--url", self.server.url)
        assert done.returncode == 0, done.stderr

    def wait_for(self, version: int) -> None:
        deadline = time.monotonic() + SECONDS
        while (found := self.in_force()) != version:
            assert time.monotonic() < deadline, f"version {found}, not {version}"
            time.sleep(0.1)

    def in_force(self) -> int:
        shown = httpx.get(f"{self.server.url}/admin/config").raise_for_status().json()
        return int(shown["router_version"])


@dataclass(frozen=True)
class Asked:
    name: str
    rows: Sequence[Query]
    routes: Sequence[str]
    scores: Sequence[float]

    @property
    def served(self) -> list[int]:
        sides = zip(self.rows, self.routes, strict=True)
        return [edge if route == "edge" else cloud for (_, edge, cloud), route in sides]

    @property
    def apgr(self) -> float:
        edge, cloud = np.array([(e, c) for _, e, c in self.rows], dtype=float).T
        return gap_recovered(np.array(self.scores), edge, cloud)


@pytest.fixture(scope="module")
def rows() -> list[Query]:
    labels = read_labels(ROWS)
    order = np.random.default_rng(0).permutation(len(labels.queries))[:3000]
    return [(labels.queries[i], int(labels.edge[i]), int(labels.cloud[i])) for i in order]


@pytest.fixture
def day(start_server: StartServer, rows: list[Query], tmp_path: Path) -> Day:
    """A server whose router was trained on the first 60 of them."""
    folder = tmp_path / "versions"

    def retrain(*arguments: str) -> Any:
        done = hem("retrain", "--router", str(folder), "--json", *arguments, timeout=300)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    start = train(rows[:60], tmp_path / "start")
    retrain("--add", start)
    environment = {
        "HEM_ROUTER": str(folder),
        "HEM_FEEDBACK_STORE": str(tmp_path / "feedback.db"),
    }
    server = start_server(
        *("transformers_hem", "--model_name", "qa-hem"),
        env=environment,
        ready="/v2/models/qa-hem/ready",
    )
    return Day(server, folder, retrain)


def train(rows: Sequence[Query], out: Path) -> str:
    labels = write_rows(out.with_suffix(".jsonl"), rows)
    command = ("train", "--data", str(labels), "--algorithm", "LinearRouter", "--out", str(out))
    done = hem(*command, timeout=300)
    assert done.returncode == 0, done.stderr
    return str(out)


def test_a_day(day: Day, rows: list[Query], tmp_path: Path) -> None:
    new = rows[1800:2200]
    before = day.ask(new, "before")
    morning = day.ask(rows[100:700], "morning")
    day.feed_back(morning, tmp_path / "said.jsonl")
    # What `hem label` says of some of the day's queries: both sides are seen, for the promise.
    labelled = write_rows(tmp_path / "labelled.jsonl", rows[800:1800])
    store = ("--store", str(tmp_path / "feedback.db"))
    outcome = day.retrain(*store, "--data", str(labelled), "--max-quality-loss", "0.05")
    assert (outcome["promoted"], outcome["version"]) == (True, 2), outcome["why"]
    assert outcome["rows"] == {"base": 1000, "explicit": 600}
    day.wait_for(2)

    after = day.ask(new, "after")
    assert after.apgr > before.apgr + 0.03
    lost = np.array([cloud for _, _, cloud in new]) - np.array(after.served)
    # As promised, of all traffic: of so few queries the mean has an error of its own.
    assert lost.mean() <= 0.05 + 2 * lost.std() / np.sqrt(len(lost))
    assert after.routes.count("edge") > 0.2 * len(new)

    bad = train([(query, 1 - edge, cloud) for query, edge, cloud in rows[:400]], tmp_path / "bad")
    day.retrain("--add", bad)
    day.wait_for(3)
    planted = day.ask(new, "planted")
    assert planted.apgr < 0.5
    day.retrain("--rollback")
    day.wait_for(2)
    assert replace(day.ask(new, "again"), name="after") == after
