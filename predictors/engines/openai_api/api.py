"""The two APIs that OpenAI-compatible servers have, and in what they differ."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Final


class API(ABC):
    path: ClassVar[str]

    @abstractmethod
    def prompt(self, text: str) -> dict[str, Any]:
        """The fields that hold the query."""

    @abstractmethod
    def logprobs(self, alternatives: int) -> dict[str, Any]:
        """The fields that ask for log-probabilities."""

    @abstractmethod
    def text(self, choice: Mapping[str, Any]) -> str:
        """Of a whole answer. Raises ValueError; "" where the model said nothing."""

    @abstractmethod
    def delta(self, choice: Mapping[str, Any]) -> str:
        """Of one event of a stream."""


class Chat(API):
    path = "/chat/completions"

    def prompt(self, text: str) -> dict[str, Any]:
        return {"messages": [{"role": "user", "content": text}]}

    def logprobs(self, alternatives: int) -> dict[str, Any]:
        return {"logprobs": True, "top_logprobs": alternatives}

    def text(self, choice: Mapping[str, Any]) -> str:
        return _content(choice, "message")

    def delta(self, choice: Mapping[str, Any]) -> str:
        return _content(choice, "delta")


class Completions(API):
    path = "/completions"

    def prompt(self, text: str) -> dict[str, Any]:
        return {"prompt": text}

    def logprobs(self, alternatives: int) -> dict[str, Any]:
        return {"logprobs": alternatives}

    def text(self, choice: Mapping[str, Any]) -> str:
        return _string(choice.get("text"), "text")

    def delta(self, choice: Mapping[str, Any]) -> str:
        return _string(choice.get("text", ""), "text")


APIS: Final[Mapping[str, API]] = {"chat": Chat(), "completions": Completions()}


def _content(choice: Mapping[str, Any], name: str) -> str:
    message = choice.get(name)
    if not isinstance(message, dict):
        raise ValueError(f"a choice without {name}")
    # null: a model that spent all its tokens on reasoning, or the first event of a stream.
    return _string(message.get("content") or "", f"{name}.content")


def _string(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"a choice whose {name} is no string")
    return value
