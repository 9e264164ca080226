"""Good questions at a steady rate, whatever the answers take, and what became of each."""

import asyncio
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import httpx
import orjson

from predictors.contract import HEM_PREFER, SERVED_BY, TEXT_OUTPUT, text_request

# A client gives up then. KServe's graph has no say in it: nobody waits longer for a question.
PATIENCE_SECONDS: Final = 15.0
FOR_THE_CLOUD: Final = 0.6

Alone = Mapping[tuple[str, str], str]  # model, query -> its answer


@dataclass(frozen=True, slots=True)
class Outcome:
    """`at`: when it was due (monotonic). `kind`: right, wrong, error (a body that says so), or
    lost. `said`: what was wrong with it."""

    at: float
    seconds: float
    kind: str
    served_by: str = ""
    said: str = ""


class GoodLoad:
    """Asks each query of `alone` in turn; FOR_THE_CLOUD of them insist on the cloud."""

    def __init__(self, client: httpx.AsyncClient, url: str, alone: Alone, seed: int) -> None:
        self.outcomes: list[Outcome] = []
        self.url = url
        self._client = client
        self._alone = alone
        self._queries = sorted({query for _, query in alone})
        self._random = random.Random(seed)
        self._asked: set[asyncio.Task[None]] = set()

    async def run(self, rate: float) -> None:
        """Until cancelled. Latencies count from when a question was due."""
        due = time.monotonic()
        while True:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            task = asyncio.create_task(self._ask(self._random.choice(self._queries), due))
            self._asked.add(task)
            task.add_done_callback(self._asked.discard)
            due += 1 / rate

    async def finish(self) -> None:
        """Waits for the answers that are still due."""
        await asyncio.gather(*self._asked)

    async def _ask(self, query: str, due: float) -> None:
        cloud = self._random.random() < FOR_THE_CLOUD
        body = text_request([query], {HEM_PREFER: "cloud"} if cloud else {})
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                response = await self._client.post(self.url, json=body)
            kind, served_by, said = judge(
                response.status_code, response.content, query, self._alone
            )
        except (httpx.HTTPError, OSError) as error:
            kind, served_by, said = "lost", "", f"no answer: {error!r}"
        self.outcomes.append(Outcome(due, time.monotonic() - due, kind, served_by, said))


def judge(status: int, body: bytes, query: str, alone: Alone) -> tuple[str, str, str]:
    """(kind, served_by, said). Right is what the model in `served_by` answers when asked alone."""
    shown = f"{status}: {body[:200].decode(errors='replace')}"
    content = _json(body)
    if "error" in content:
        honest = status >= 400 and isinstance(content["error"], str)
        return ("error" if honest else "wrong"), "", shown
    if status != 200:
        return "lost", "", shown
    served_by = (content.get("parameters") or {}).get(SERVED_BY)
    outputs = content.get("outputs")
    texts = [item.get("data") for item in _dicts(outputs) if item.get("name") == TEXT_OUTPUT]
    if texts != [[alone.get((served_by, query))]] or served_by is None:
        return "wrong", str(served_by), f"{query!r}: {shown}"
    return "right", served_by, ""


def _json(body: bytes) -> dict[str, Any]:
    try:
        content = orjson.loads(body)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _dicts(items: object) -> Sequence[dict[str, Any]]:
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


async def ask_alone(
    client: httpx.AsyncClient, urls: Mapping[str, str], queries: Sequence[str]
) -> Alone:
    """`urls`: model -> its own infer URL. One question at a time."""
    answers: dict[tuple[str, str], str] = {}
    for model, url in urls.items():
        for query in queries:
            response = await client.post(url, json=text_request([query]), timeout=60)
            outputs = response.raise_for_status().json()["outputs"]
            (text,) = next(item["data"] for item in outputs if item["name"] == TEXT_OUTPUT)
            answers[model, query] = text
    return answers
