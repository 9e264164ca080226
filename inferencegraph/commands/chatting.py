"""The terminal's side of `hem chat`: reads lines, streams answers, keeps the conversation."""

import asyncio
import sys
import time
import uuid
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Final

from rich.console import Console

from inferencegraph.commands.rating import (
    HELP as RATINGS,
    keeps_feedback,
    read_rating,
    send_rating,
)
from predictors.contract import Delta
from predictors.contract.names import SPECULATION, SPECULATION_REASON
from predictors.errors import HEMError
from predictors.passed_on import REQUEST_ID, forwarded_headers
from predictors.upstream.attempt import Refusal
from predictors.upstream.client import build_client
from predictors.upstream.http import HTTPUpstream
from predictors.upstream.openai.bodies import CHAT
from predictors.upstream.openai.client import Completions
from predictors.upstream.openai.endpoint import base_url
from predictors.upstream.settings import Limits

NEW: Final = "/new"
QUIT: Final = frozenset({"/quit", "/exit"})
HELP: Final = "/help"
COMMANDS: Final = "/new begins another conversation, /quit ends, Ctrl-C stops an answer"


@dataclass
class Conversation:
    """With one model of one server. `messages` are those so far, as OpenAI's API has them; `last`
    is the request id of the last answer, which feedback names; None until that one is whole."""

    url: str
    key: str
    model: str | None
    system: str | None
    max_tokens: int | None
    temperature: float | None
    timeout: float
    messages: list[dict[str, str]] = field(default_factory=list)
    last: str | None = None

    def __post_init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        self.messages = [{"role": "system", "content": self.system}] if self.system else []
        self.last = None

    async def open(self) -> None:
        """Raises HEMError where nobody answers."""
        limits = Limits(timeout=self.timeout, retries=0, breaker_failures=0)
        client = build_client(self.timeout, connect=5.0)
        headers = {"authorization": f"Bearer {self.key}"} if self.key else {}
        self._http = HTTPUpstream(
            base_url(self.url), limits, client, headers=headers, refused=Refusal.relayed
        )
        self._completions = Completions(self._http, CHAT)
        listed = await self._http.get("/models", lambda body: [m["id"] for m in body["data"]])
        self.model = self.model or str(listed[0])

    async def say(self, text: str) -> AsyncGenerator[Delta]:
        """The answer as it comes. It is part of the conversation once it is whole; where it isn't,
        neither is `text`. Raises HEMError."""
        message = {"role": "user", "content": text}
        options = {"max_tokens": self.max_tokens, "temperature": self.temperature}
        body = {
            "model": self.model,
            "messages": [*self.messages, message],
            "stream": True,
            "stream_options": {"include_usage": True},
            **{name: value for name, value in options.items() if value is not None},
        }
        async with aclosing(self._completions.stream(body)) as parts:
            async for part in parts:
                yield part
                if part.answer is not None:
                    self.messages += [message, {"role": "assistant", "content": part.answer.text}]

    async def close(self) -> None:
        if hasattr(self, "_http"):
            await self._http.close()


def converse(conversation: Conversation) -> None:
    """Until the lines end. Raises HEMError where the server can't be reached at all."""
    console = Console(highlight=False, soft_wrap=True)
    terminal = sys.stdin.isatty()
    with asyncio.Runner() as runner:
        try:
            runner.run(conversation.open())
            if terminal:
                import readline  # noqa: F401 - lets input() edit lines, and remember them

                console.print(f"[dim]{conversation.model} at {conversation.url}[/]")
                _help(runner, conversation, console)
            for line in _lines(terminal):
                if line == NEW:
                    conversation.begin()
                elif line == HELP:
                    _help(runner, conversation, console)
                else:
                    _turn(runner, conversation, line, console)
        finally:
            runner.run(conversation.close())


def _help(runner: asyncio.Runner, chat: Conversation, console: Console) -> None:
    console.print(COMMANDS, style="dim")
    if runner.run(keeps_feedback(chat.url, chat.key)):
        console.print(RATINGS, style="dim")


def _lines(terminal: bool) -> Iterator[str]:
    while True:
        try:
            line = input("> " if terminal else "").strip()
        except (EOFError, KeyboardInterrupt):
            if terminal:
                print()
            return
        if line in QUIT:
            return
        if line:
            yield line


def _turn(runner: asyncio.Runner, chat: Conversation, line: str, console: Console) -> None:
    try:
        if _rated(runner, chat, line, console):
            return
        runner.run(_answer(chat, line, console))
    except KeyboardInterrupt:
        console.print("\n[dim](stopped)[/]")
    except HEMError as error:
        console.print(f"\nhem: error: {error}", style="red", markup=False)


def _rated(runner: asyncio.Runner, chat: Conversation, line: str, console: Console) -> bool:
    """Whether the line was about the last answer."""
    answer = chat.messages[-1]["content"] if chat.messages else ""
    try:
        if (said := read_rating(line, answer)) is None:
            return False
        told = runner.run(send_rating(chat.url, chat.key, chat.last, said))
        console.print(f"  {told}", style="dim", markup=False)
    except HEMError as error:
        console.print(f"hem: error: {error}", style="red", markup=False)
    return True


async def _answer(chat: Conversation, line: str, console: Console) -> None:
    began, first = time.perf_counter(), None
    thinking, identity = False, uuid.uuid4().hex
    chat.last = None  # whoever rates an answer that was stopped means no other one
    # The call begins with the first part, so the header is there until the last.
    with forwarded_headers({REQUEST_ID: identity}):
        async with aclosing(chat.say(line)) as parts:
            async for part in parts:
                if part.reasoning:
                    thinking = True
                    console.print(part.reasoning, end="", style="dim", markup=False)
                if part.text:
                    first = first or time.perf_counter() - began
                    console.print("\n" * thinking + part.text, end="", markup=False)
                    thinking = False
                if part.answer is not None:
                    chat.last = identity
                    if first is None and not part.tool_calls:
                        console.print("[dim](an empty answer)[/]", end="")
                    about = _about(part, first, time.perf_counter() - began, identity)
                    console.print(f"\n[dim]  {about}[/]")


def _about(last: Delta, first: float | None, seconds: float, identity: str = "") -> str:
    """One line: who answered and why, how fast, how much; a gateway's answer has an id, which
    feedback names."""
    assert last.answer is not None
    said: Mapping[str, Any] = last.decision
    facts = []
    if said.get("route"):
        facts.append(f"route {said['route']} ({said.get('reason')})")
    if said.get("score") is not None:
        facts.append(f"score {said['score']:.2f}, threshold {said.get('threshold', 0):.2f}")
    facts += _drafts(said)
    if served_by := said.get("served_by") or last.served_by:
        facts.append(f"served by {served_by}")
    if said.get("degraded"):
        facts.append(f"degraded: the cloud failed ({said['degraded']})")
    if first is not None:
        facts.append(f"first token after {first * 1000:.0f} ms")
    facts.append(f"{seconds:.1f} s")
    if last.answer.completion_tokens is not None:
        rate = last.answer.completion_tokens / seconds if seconds else 0.0
        facts.append(f"{last.answer.completion_tokens} tokens, {rate:.0f}/s")
    facts += _costs(said)
    if said and identity:
        facts.append(f"id {identity}")
    return " · ".join(facts)


def _drafts(said: Mapping[str, Any]) -> Iterator[str]:
    """Where the edge's model drafts for the cloud's."""
    if way := said.get(SPECULATION):
        reason = said.get(SPECULATION_REASON)
        yield f"speculation {way}{f' ({reason})' if reason else ''}"
    if said.get("draft_rounds"):
        yield f"{said['accepted_tokens']} of {said['drafted_tokens']} drafted tokens taken"


def _costs(said: Mapping[str, Any]) -> Iterator[str]:
    """Where a gateway knows the models' prices."""
    currency = said.get("currency")
    if said.get("cost") is not None:
        yield f"cost {_shown(said['cost'])} {currency}"
    drafts = [draft["cost"] for draft in said.get("spent") or () if "cost" in draft]
    if drafts:
        yield f"drafts thrown away {_shown(sum(drafts))} {currency}"


def _shown(cost: float) -> str:
    """To a hundredth of a millionth: a token may cost less than a millionth."""
    return f"{cost:.8f}".rstrip("0").rstrip(".")
