"""Drafts without a model: what stood behind the same words before.

The last few tokens of prompt and answer are looked for in what comes before them, the longest run
first; what followed there is the draft (A. Saxena, "Prompt lookup decoding", 2023,
https://github.com/apoorvumang/prompt-lookup-decoding). An n-gram of at most 4 tokens and at least 2
is vLLM's documented example of its `ngram` method; the latest place wins, as that text is the
nearest.
"""

from collections.abc import Sequence as Rows
from dataclasses import dataclass, field

from predictors.contract.speculation import Whole
from predictors.engines.huggingface.remembering import common
from predictors.engines.speculative.base import Drafted


@dataclass(slots=True)
class _Index:
    """Where each n-gram of `tokens` ended last, and before that, by its tokens."""

    tokens: list[int] = field(default_factory=list)
    ends: dict[tuple[int, ...], list[int]] = field(default_factory=dict)


class PromptLookup:
    """N-grams from `longest` down to `shortest` tokens."""

    answers = False
    branches = 0
    full = False

    def __init__(self, longest: int, shortest: int) -> None:
        self._sizes = range(longest, shortest - 1, -1)
        self._known: dict[str, _Index] = {}

    async def start(self) -> None:
        return None

    async def close(self) -> None:
        return None

    def cause_of_death(self) -> str | None:
        return None

    def begin(self, id: str) -> None:
        self._known[id] = _Index()

    def end(self, id: str) -> None:
        self._known.pop(id, None)

    async def place(self, id: str) -> None:
        return None

    async def branch(self, id: str, wholes: Rows[Whole], count: int) -> list[Drafted]:
        return [Drafted([]) for _ in wholes]

    async def draft(self, id: str, whole: Whole, count: int) -> Drafted:
        index = self._known.get(id)
        if index is None:
            return Drafted([])
        self._read(index, whole.tokens)
        begin = self._found(index)
        return Drafted(index.tokens[begin : begin + count] if begin else [], seconds=0.0)

    def _read(self, index: _Index, tokens: list[int]) -> None:
        """What is not the same any more is forgotten, and what is new is read."""
        same = common(index.tokens, tokens)
        for end in range(len(index.tokens), same, -1):
            for size in self._sizes:
                if size <= end:
                    index.ends[tuple(index.tokens[end - size : end])].pop()
        index.tokens[same:] = tokens[same:]
        for end in range(same + 1, len(tokens) + 1):
            for size in self._sizes:
                if size <= end:
                    index.ends.setdefault(tuple(tokens[end - size : end]), []).append(end)

    def _found(self, index: _Index) -> int:
        """Where the draft begins; 0: nowhere."""
        tokens = index.tokens
        for size in self._sizes:
            ends = index.ends.get(tuple(tokens[-size:]), ()) if size <= len(tokens) else ()
            if len(ends) > 1:
                return ends[-2]
        return 0
