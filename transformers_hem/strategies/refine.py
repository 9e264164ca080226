"""The cloud makes the edge's answer better: it gets the query with that answer as a draft."""

import re
from typing import ClassVar, Final

from pydantic import Field, field_validator

from transformers_hem.algorithms.base import AlgorithmParameters, Stage
from transformers_hem.strategies.base import Strategy, Turn

QUERY: Final = "{query}"
DRAFT: Final = "{draft}"
PROMPT: Final = """{query}

A smaller model has drafted this answer:

<draft>
{draft}
</draft>

Check the draft, correct what is wrong in it, and add what is missing. Keep what is right. Reply \
with the finished answer alone, and do not mention the draft."""
_PLACES: Final = re.compile(r"\{(query|draft)\}")


class RefineParameters(AlgorithmParameters):
    prompt: str = Field(
        default=PROMPT, description="what the cloud is asked: {query} and {draft} stand in it"
    )

    @field_validator("prompt")
    @classmethod
    def _has_both(cls, prompt: str) -> str:
        missing = [place for place in (QUERY, DRAFT) if place not in prompt]
        if missing:
            raise ValueError(f"has no {' and no '.join(missing)}, which the cloud would not see")
        return prompt


class Refine(Strategy):
    """An edge that said nothing has made no draft: then the cloud is asked the query."""

    stage: ClassVar[Stage] = "answer"
    Parameters: ClassVar[type[AlgorithmParameters]] = RefineParameters

    def __init__(self, parameters: RefineParameters) -> None:
        self._prompt = parameters.prompt

    def asks(self, turn: Turn) -> str:
        if not turn.draft.strip():
            return turn.query
        # In one go: what is put in may hold such places, too.
        filled = {"query": turn.query, "draft": turn.draft}
        return _PLACES.sub(lambda place: filled[place[1]], self._prompt)
