"""Mixed requests, some of them with something private in one of the places where it may stand."""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, Literal

from tests.soak.planted import Planted, planted

Target = Literal["redact", "keep", "cascade", "graph"]
Body = dict[str, Any]
PRIVATE: Final = 0.4
AGAIN: Final = 0.1  # questions that were asked before, for the cache
LEAVES: Final = 0.03
SENTENCES: Final = (
    "Please forward it to {}, thanks. Then tell me when it is done.",
    "Mine is {}. Is that enough? I can send more.",
    "We have {} on file for him. Check it.",
    "Notiert ist {} bei uns. Stimmt das?",
    "Le mien est {} depuis hier. Cela suffit ?",
)
PLAIN: Final = "the one that you know"


@dataclass(frozen=True)
class Ask:
    """`leaves`: the caller goes away in the middle."""

    target: Target
    body: Body
    headers: dict[str, str]
    planted: Planted | None
    leaves: bool = False

    @property
    def text(self) -> str:
        """What a model repeats."""
        if self.target == "graph":
            return str(self.body["inputs"][0]["data"][0])
        return str(self.body["messages"][-1]["content"])


def asks(count: int, seed: int, targets: tuple[Target, ...]) -> Iterator[Ask]:
    draw, items = random.Random(seed), planted(seed)
    before: list[Ask] = []
    for number in range(count):
        if before and draw.random() < AGAIN:
            yield draw.choice(before)
            continue
        target = draw.choice(targets)
        item = next(items) if draw.random() < PRIVATE else None
        made = (_graph if target == "graph" else _chat)(number, target, item, draw)
        before = [*islice(before, max(0, len(before) - 50), None), made]
        yield made


def _sentence(number: int, item: Planted | None, draw: random.Random) -> str:
    written = item.written if item else PLAIN
    return f"Question q{number}q. {draw.choice(SENTENCES).format(written)}"


def _graph(number: int, target: Target, item: Planted | None, draw: random.Random) -> Ask:
    in_text = draw.random() < 0.7
    text = _sentence(number, item if in_text else None, draw)
    parameters: Body = {"temperature": 0}
    if item and not in_text:
        parameters["note"] = item.written
    if draw.random() < 0.2:
        parameters["hem_prefer"] = "cloud"
    tensor = {"name": "text_input", "datatype": "BYTES", "shape": [1], "data": [text]}
    return Ask(target, {"inputs": [tensor], "parameters": parameters}, {}, item)


def _chat(number: int, target: Target, item: Planted | None, draw: random.Random) -> Ask:
    place = draw.choice(PLACES) if item else "question"
    text = _sentence(number, item if place == "question" else None, draw)
    messages: list[Body] = [{"role": "user", "content": text}]
    body: Body = {"model": draw.choice(("qa", "qa", "qa", "qa-cloud")), "messages": messages}
    body |= {"stream": draw.random() < 0.6, "temperature": 0}
    if item and place != "question":
        _plant(body, messages, place, item.written)
    headers = {"x-hem-on-break": "continue"} if draw.random() < 0.5 else {}
    if draw.random() < 0.1:
        headers["x-session-id"] = f"s{number % 20}"
    return Ask(target, body, headers, item, leaves=draw.random() < LEAVES)


PLACES: Final = ("question", "question", "system", "history", "arguments", "result", "user", "name")


def _plant(body: Body, messages: list[Body], place: str, written: str) -> None:
    call = {"id": "c1", "type": "function"}
    call["function"] = {"name": "look", "arguments": json.dumps({"number": written})}  # type: ignore[assignment]
    called = {"role": "assistant", "content": None, "tool_calls": [call]}
    before: dict[str, list[Body]] = {
        "system": [{"role": "system", "content": f"You serve {written}."}],
        "history": [
            {"role": "user", "content": f"I am {written}"},
            {"role": "assistant", "content": f"Hello {written}."},
        ],
        "arguments": [
            *({"role": "user", "content": "look"}, called),
            {"role": "tool", "tool_call_id": "c1", "content": "none"},
        ],
        "result": [
            {"role": "user", "content": "look"},
            {**called, "tool_calls": [{**call, "function": {"name": "look", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "c1", "content": json.dumps({"found": written})},
        ],
    }
    messages[:0] = before.get(place, [])
    if place == "user":
        body["user"] = written
    if place == "name":
        messages[-1]["name"] = written
