"""What a caller has got of an answer that ends there, and what another side is asked to go on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from predictors.contract.chat import ASSISTANT
from predictors.errors import UpstreamError

CONTINUES: Final = "continue_final_message"
GENERATES: Final = "add_generation_prompt"
# Characters at the beginning of an answer that no other text has by chance.
REPEATED: Final = 24
MOST: Final = ("max_tokens", "max_completion_tokens")


@dataclass(slots=True)
class Said:
    """`text` of the one choice. `plain`: there was nothing else, such as reasoning, tool calls or
    log-probabilities, so that another answer can go on behind it. `about` are the fields that name
    the answer."""

    parts: list[str] = field(default_factory=list)
    plain: bool = True
    about: dict[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        return "".join(self.parts)

    def begin(self) -> None:
        """Anew: of what came before the caller has got nothing."""
        self.parts, self.plain, self.about = [], True, {}

    def take(self, data: Mapping[str, Any]) -> None:
        """One event."""
        if not self.about:
            self.about = {name: data[name] for name in ("id", "created") if name in data}
        for choice in data.get("choices") or ():
            delta = choice.get("delta") or {}
            text = choice.get("text") or delta.get("content") or ""
            others = any(value for n, value in delta.items() if n not in ("role", "content"))
            if choice.get("index") or others or choice.get("logprobs") or type(text) is not str:
                self.plain = False
            elif text:
                self.parts.append(text)

    def continued(self, body: Mapping[str, Any]) -> dict[str, Any] | None:
        """The request for the rest; None where there is no telling how to ask for it."""
        if not self.plain or (body.get("n") or 1) > 1:
            return None
        asked = {**body, **self._left(body)}
        messages = body.get("messages")
        if messages is None:
            prompt = body.get("prompt")
            if not isinstance(prompt, str) or body.get("echo"):
                return None
            return {**asked, "prompt": prompt + self.text}
        begun = messages[-1] if body.get(CONTINUES) else {"role": ASSISTANT, "content": ""}
        if not isinstance(begun["content"], str):
            return None
        kept = messages[:-1] if body.get(CONTINUES) else messages
        whole = {**begun, "content": begun["content"] + self.text}
        return {**asked, "messages": [*kept, whole], CONTINUES: True, GENERATES: False}

    def _left(self, body: Mapping[str, Any]) -> dict[str, int]:
        """Tokens: each part is at least one."""
        return {n: max(1, body[n] - len(self.parts)) for n in MOST if body.get(n)}

    def rewrite(self, data: dict[str, Any]) -> dict[str, Any]:
        """An event of what goes on behind it, as one of the same answer."""
        for choice in data.get("choices") or ():
            (choice.get("delta") or {}).pop("role", None)
        return {**data, **self.about}


class Rest:
    """Of an answer that was asked to go on behind `said`. Some servers ignore what they don't know
    of a request and begin anew, and nothing tells. So what comes is kept back as long as it is what
    `said` begins with, up to REPEATED characters or all of it; from there on it is Again."""

    def __init__(self, said: Said) -> None:
        self._said = said
        self._begins = said.text[:REPEATED]
        self._held: list[dict[str, Any]] = []
        self._again: Again | None = None
        self._settled = not self._begins

    def rewrite(self, data: dict[str, Any]) -> dict[str, Any] | None:
        """None for an event that is kept back, or says nothing new. Raises UpstreamError."""
        if self._again is not None:
            return self._again.rewrite(data)
        if self._settled:
            return self._said.rewrite(data)
        self._held.append(data)
        text = "".join(map(text_of, self._held))
        same = min(len(text), len(self._begins))
        if text[:same] == self._begins[:same] and not _ends(data):
            if same < len(self._begins):
                return None
            self._again = Again(self._said)
            return self._again.rewrite(with_text(data, text))
        self._settled = True
        return self._said.rewrite(with_text(data, text))


class Again:
    """Of an answer that begins anew, while the caller has the beginning of another one: leaves out
    what is there already, as long as it is the same."""

    def __init__(self, said: Said) -> None:
        self._said = said
        self._left = said.text

    def rewrite(self, data: dict[str, Any]) -> dict[str, Any] | None:
        """None for an event that says nothing new. Raises UpstreamError where it says something
        else."""
        data = self._said.rewrite(data)
        if not self._left:
            return data
        text = text_of(data)
        same = min(len(text), len(self._left))
        if text[:same] != self._left[:same]:
            raise _other()
        self._left = self._left[same:]
        if _ends(data) and self._left:
            raise _other()
        new = text[same:]
        return with_text(data, new) if new or _ends(data) or data.get("usage") else None


def text_of(data: Mapping[str, Any]) -> str:
    """Of an event's one choice."""
    for choice in data.get("choices") or ():
        return choice.get("text") or (choice.get("delta") or {}).get("content") or ""
    return ""


def with_text(data: Mapping[str, Any], text: str) -> dict[str, Any]:
    """The event with this text in its one choice."""
    choices = []
    for choice in data.get("choices") or ():
        delta = {**(choice.get("delta") or {}), "content": text}
        choices.append({**choice, **({"text": text} if "text" in choice else {"delta": delta})})
    return {**data, "choices": choices}


def _ends(data: Mapping[str, Any]) -> bool:
    return any(choice.get("finish_reason") for choice in data.get("choices") or ())


def _other() -> UpstreamError:
    text = "the side that stands in gives another answer than the one that it should go on with"
    return UpstreamError(text, down=False)
