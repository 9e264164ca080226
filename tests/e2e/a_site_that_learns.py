"""`hem up` with the shipped manifests of a site that learns from use, and what people do there: the
embedded pair really answers, and the right answers of the test questions are known."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
import orjson

from predictors.embedded import TEST_QUESTIONS
from predictors.jsonl import read_rows
from tests.conftest import ROOT
from tests.inferencegraph.running_hem import RunningHem, hem

MANIFESTS = ROOT / "manifests/lifelong"
LABELS = ROOT / "predictors/embedded/data/labels.jsonl.gz"
SHADOW = 0.9  # of the chats both sides are seen, as a day of this test is short
USER_HEADER = "x-user"
BURST = 12  # chats, whose shadows are waited for: of more than 16 some would be left out
SECONDS = 10.0  # in which a switch is taken up


@dataclass(frozen=True)
class Question:
    query: str
    answer: str
    family: str


@dataclass(frozen=True)
class Given:
    """An answer; `user` who asked, where it was a chat."""

    question: Question
    text: str
    route: str
    request_id: str
    user: str = ""

    @property
    def right(self) -> bool:
        return self.text.strip() == self.question.answer


@dataclass(frozen=True)
class Answers:
    given: Sequence[Given]

    @property
    def right(self) -> float:
        return sum(each.right for each in self.given) / len(self.given)

    @property
    def cloud(self) -> float:
        """The share that went there."""
        return sum(each.route == "cloud" for each in self.given) / len(self.given)

    def __str__(self) -> str:
        return f"{self.right:.1%} right, {self.cloud:.1%} by the cloud"


def questions() -> dict[str, list[Question]]:
    """The shipped test questions, by their families."""
    found: dict[str, list[Question]] = {}
    for _, row in read_rows(TEST_QUESTIONS):
        each = Question(row["query"], row["answer"], row["family"])
        found.setdefault(each.family, []).append(each)
    return found


def labelled(path: Path, families: Sequence[str], rows: slice, forged: str = "") -> Path:
    """Labelled rows of these families; of the `forged` one they say that the edge is right."""
    known = (row for _, row in read_rows(LABELS) if row["family"] in families)
    lines = []
    for row in islice(known, rows.start, rows.stop):
        edge = 1 if row["family"] == forged else row["edge_correct"]
        shown = {"query": row["query"], "edge_correct": edge, "cloud_correct": row["cloud_correct"]}
        lines.append(orjson.dumps(shown) + b"\n")
    path.write_bytes(b"".join(lines))
    return path


def told(*command: str, code: int = 0) -> Any:
    """What a `hem` command prints as JSON."""
    done = hem(*command, "--json", timeout=120)
    assert done.returncode == code, done.stderr + done.stdout
    return json.loads(done.stdout)


@dataclass(frozen=True)
class Site:
    """`folder` has versions/, feedback.db and what was asked."""

    running: RunningHem
    folder: Path

    @property
    def gateway(self) -> str:
        ready = next(each for each in self.running.events if each["event"] == "all_ready")
        return str(ready["gateways"]["qa"])

    @property
    def hem(self) -> str:
        return self.gateway.removesuffix("/v1")

    def batch(self, asked: Sequence[Question], name: str) -> Answers:
        """`hem batch` through the graph."""
        file = self.folder / f"{name}.jsonl"
        file.write_bytes(b"".join(orjson.dumps({"query": q.query}) + b"\n" for q in asked))
        out = self.folder / name
        command = ("batch", str(file), "--out", str(out), "--url", self.running.url)
        assert told(*command)["failed"] == 0
        rows = [row for _, row in read_rows(out / "all" / f"{name}.jsonl.answers.jsonl")]
        return Answers(
            [
                Given(question, row["text"], row["route"], row["request_id"])
                for question, row in zip(asked, rows, strict=True)
            ]
        )

    def chats(self, asked: Sequence[Question], users: int = 20) -> Answers:
        """One after the other, by the gateway."""
        given = []
        with httpx.Client(base_url=self.gateway, timeout=60) as client:
            for number, question in enumerate(asked):
                user = f"user-{number % users}"
                message = {"role": "user", "content": question.query}
                answer = client.post(
                    "/chat/completions",
                    json={"model": "qa", "messages": [message]},
                    headers={USER_HEADER: user},
                ).raise_for_status()
                body, name = answer.json(), answer.headers["x-request-id"]
                text = body["choices"][0]["message"]["content"]
                given.append(Given(question, text, body["hem"]["route"], name, user))
                if number % BURST == BURST - 1:
                    self._let_shadows_end()
        return Answers(given)

    def _let_shadows_end(self) -> None:
        """Until no more of them come."""
        before = -1.0
        while (now := self._shadows()) != before:
            before = now
            time.sleep(0.15)

    def _shadows(self) -> float:
        shown = httpx.get(f"{self.hem}/metrics").raise_for_status().text
        return sum(
            float(line.rpartition(" ")[2])
            for line in shown.splitlines()
            if line.startswith("hem_feedback_shadow_total{")
        )

    def feed_back(self, answers: Answers, name: str) -> None:
        """`hem feedback send`: whether each was right."""
        rows = [{"request_id": each.request_id, "correct": each.right} for each in answers.given]
        file = self.folder / f"{name}.said.jsonl"
        file.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
        said = told("feedback", "send", "--data", str(file), "--url", self.hem)
        assert all(each["known"] for each in said)

    def users_say(self, answers: Answers) -> None:
        """`POST /feedback`: what each user says of the answers that were given to him or her."""
        users = {each.user for each in answers.given}
        with httpx.Client(base_url=self.hem) as client:
            for user in sorted(users):
                rows = [
                    {"request_id": each.request_id, "thumbs": "up" if each.right else "down"}
                    for each in answers.given
                    if each.user == user
                ]
                headers = {USER_HEADER: user}
                client.post("/feedback", json=rows, headers=headers).raise_for_status()

    def retrain(self, *options: str, code: int = 0) -> Any:
        return told("retrain", "--router", str(self.folder / "versions"), *options, code=code)

    @property
    def store(self) -> tuple[str, str]:
        return "--store", str(self.folder / "feedback.db")

    def wait_for(self, version: int) -> None:
        """Until the running server has taken it up."""
        deadline = time.monotonic() + SECONDS
        while (found := self._in_force()) != version:
            assert time.monotonic() < deadline, f"version {found}, not {version}"
            time.sleep(0.1)

    def _in_force(self) -> int:
        shown = httpx.get(f"{self.hem}/admin/config").raise_for_status().json()
        return int(shown["router_version"])
