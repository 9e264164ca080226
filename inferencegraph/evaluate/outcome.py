"""What became of each question."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Item:
    """A question and the one answer that is right."""

    query: str
    answer: str


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
