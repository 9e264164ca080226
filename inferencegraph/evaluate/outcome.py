"""What became of each question."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from predictors.contract import Scalar, text_request


@dataclass(frozen=True, slots=True)
class Item:
    """The V2 inputs of one row, and the one answer that is right: a text, or a class's number."""

    inputs: Sequence[Mapping[str, Any]]
    answer: str

    @classmethod
    def of_text(cls, query: str, answer: str) -> "Item":
        return cls(text_request([query])["inputs"], answer)

    def request(self, parameters: Mapping[str, Scalar]) -> dict[str, Any]:
        return {"inputs": list(self.inputs), "parameters": dict(parameters)}


@dataclass(frozen=True, slots=True)
class Outcome:
    """`seconds` as the client saw it. A question that got no answer has an `error` and no `text`;
    it stays in every count, as a wrong answer."""

    item: Item
    seconds: float
    text: str | None = None
    route: str | None = None
    served_by: str | None = None
    error: str | None = None

    @property
    def right(self) -> bool:
        """Exact match, apart from blanks around it."""
        return self.text is not None and self.text.strip() == self.item.answer.strip()


Run: TypeAlias = Sequence[Outcome]
