"""A site that is watched: `hem up` of the embedded pair with a router that promises something and a
store of feedback, an edge beside it that drafts for the same cloud, a Prometheus, some traffic, and
a cloud that dies."""

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from predictors.contract import text_request
from predictors.embedded.workshop.questions import test_questions as shipped_questions
from tests.conftest import ServerProcess
from tests.inferencegraph.running_hem import RunningHem
from tests.monitoring.prometheus import Prometheus
from tests.transformers_hem.retraining.queries import Store
from tests.transformers_hem.versions.routers import ADDED, checked, promising
from transformers_hem.versions.folder import Versions
from transformers_hem.versions.told import RETRAINED, tell

PRICES = """
currency: USD
models:
  qa-edge: {input: 0.01, output: 0.02}
  qa-cloud: {input: 2.5, output: 10}
  qa-uplink: {input: 2.5, output: 10}
"""
CARD = "My card is 4111 1111 1111 1111. 2 + 2?"
UNREADABLE = [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]
DRIFTED = 250  # scores; the index is known from 200 on
CLIENT = "x-client"
THRESHOLD = 0.389  # as the shipped router has it


@dataclass(frozen=True)
class Site:
    """`joint` is the URL of the edge that drafts."""

    hem: RunningHem
    prometheus: Prometheus
    gateway: str
    joint: str

    def url(self, name: str) -> str:
        return next(str(e["url"]) for e in self.hem.events if e.get("name") == name and "url" in e)

    def draft(self, text: str) -> None:
        body = text_request([text], {"temperature": 0})
        httpx.post(f"{self.joint}/v2/models/qa-joint/infer", json=body, timeout=60)

    def say(self, request_id: str) -> None:
        """That its answer was good; of a request that nobody has decided, too."""
        for each in (request_id, "of-nobody"):
            said = {"request_id": each, "thumbs": "up"}
            httpx.post(f"{self.url('qa-hem')}/feedback", json=said, timeout=60)

    def ask(self, text: str, **parameters: Any) -> httpx.Response:
        return self.hem.ask(text, temperature=0, **parameters)

    def chat(self, content: Any, *, stream: bool = False, side: str = "") -> str:
        """Its request's id."""
        body = {
            "model": f"qa-{side}".rstrip("-"),
            "messages": [{"role": "user", "content": content}],
            "stream": stream,
            "temperature": 0,
        }
        with httpx.Client(timeout=60) as client:
            headers = {CLIENT: "somebody"}
            answer = client.post(f"{self.gateway}/chat/completions", json=body, headers=headers)
        return answer.headers["x-request-id"]

    def until(self, holds: Callable[[], object], timeout: float = 30) -> None:
        deadline = time.monotonic() + timeout
        while not holds():
            assert time.monotonic() < deadline, "not in time"
            time.sleep(0.25)


@contextlib.contextmanager
def site(folder: Path, env: Mapping[str, str] | None = None) -> Iterator[Site]:
    """Both run, and Prometheus has scraped all."""
    prices = folder / "prices.yaml"
    prices.write_text(PRICES)
    settings = {
        "qa-hem.HEM_PRICES_FILE": prices,
        "qa-hem.HEM_GUARDS": json.dumps(
            [
                {"name": "PrivacyGuard", "parameters": {"action": "redact"}},
                {
                    "name": "BudgetGuard",
                    "parameters": {"state": str(folder / "budget.db"), "tokens": "100000000"},
                },
            ]
        ),
        "qa-hem.HEM_ROUTER": learned(folder),
        "qa-hem.HEM_FEEDBACK_STORE": folder / "feedback.db",
        "qa-hem.HEM_FEEDBACK_SHADOW": "0.5",
        "qa-hem.HEM_CLIENT_HEADER": CLIENT,
        "qa-cloud.verify_slots": 4,
        "qa-edge.cache": "memory",
        "qa-uplink.ledger": folder / "egress.jsonl",
        "qa-uplink.breaker_failures": 3,
        "qa-uplink.retry_seconds": 1,
    }
    arguments = [word for name in settings for word in ("--set", f"{name}={settings[name]}")]
    with RunningHem([*arguments, "--no-restart"], env=env) as hem:
        urls = {e["name"]: e["url"] for e in hem.events if e["event"] == "started"}
        gateways = next(e for e in hem.events if e["event"] == "all_ready")["gateways"]
        with joint(urls["qa-cloud"], folder / "joint.log") as urls["qa-joint"]:
            targets = {name: url.removeprefix("http://") for name, url in urls.items()}
            with Prometheus(folder / "prometheus", targets) as prometheus:
                watched = Site(hem, prometheus, gateways["qa"], urls["qa-joint"])
                watched.until(lambda: len(prometheus.ask("up == 1")) == len(targets))
                yield watched


def learned(folder: Path) -> Path:
    """A folder of versions whose second one keeps what it promises, by a check of just now."""
    versions = Versions.at(folder / "versions")
    for number in (1, 2):
        router = promising(THRESHOLD, 0.25, folder / f"router-{number}")
        versions.promote(router, ADDED, "", versions.current)
    store = Store(folder / "pairs.db")
    checked(versions, store, lost=40)
    store.close()
    retrained = {"at": "2026-11-29T03:00:00+00:00", "promoted": True, "result": "promoted"}
    retrained["rows"] = {"base": 900}
    tell(versions.folder, RETRAINED, retrained)
    return versions.folder


@contextlib.contextmanager
def joint(cloud: str, log: Path) -> Iterator[str]:
    """An edge that drafts, and asks that cloud to check; its URL."""
    words = ["--model_name", "qa-joint", "--model_dir", "embedded:edge"]
    words += ["--engine", "speculative", "--url", cloud, "--policy", "always"]
    words += ["--on_break", "finish", "--retries", "0"]
    server = ServerProcess("predictors", words, {"OMP_NUM_THREADS": "1"}, log)
    try:
        server.wait_ready("/v2/models/qa-joint/ready")
        yield server.url
    finally:
        server.stop()


def traffic(watched: Site, rounds: int = 1) -> None:
    """V2, chats and streams, some of them forced, cached, private or not to be looked through."""
    questions = [question.query for question in shipped_questions()]
    for number in range(rounds):
        for question in questions[12 * number : 12 * (number + 1)]:
            watched.ask(question)
            watched.say(watched.chat(question))
            watched.chat(question, stream=True)
            watched.draft(question)
        watched.ask(questions[0], hem_prefer="cloud")
        watched.chat(questions[1], stream=True, side="cloud")
        watched.chat(CARD, side="cloud")
        watched.ask(CARD)
        watched.chat(UNREADABLE)
    rows = text_request((questions * 2)[:DRIFTED], {"temperature": 0})
    httpx.post(f"{watched.url('qa-hem')}/v2/models/qa-hem/infer", json=rows, timeout=60)


def outage(watched: Site) -> None:
    """The cloud is gone; who asks for it is answered by the edge, or is refused."""
    watched.hem.kill("qa-cloud")
    for _ in range(15):
        keep_asking(watched)


def keep_asking(watched: Site) -> None:
    """For a cloud that may be gone, and for the edge."""
    watched.ask("1 + 1?", hem_prefer="edge")
    watched.ask("1 + 1?", hem_prefer="cloud")
    watched.chat("1 + 1?", side="cloud")
