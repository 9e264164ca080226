"""A large model that costs no computation: it takes its time, and its answer follows from the
query. `--engine tests.soak.soak_engine:SoakEngine`."""

import asyncio
import hashlib
from collections.abc import Sequence
from typing import cast

from pydantic import Field

from predictors.contract import Answer, Query
from predictors.engines.base import EngineSettings, TextEngine


class SoakSettings(EngineSettings):
    seconds: float = Field(0.1, ge=0, description="seconds that an answer takes")


class SoakEngine(TextEngine):
    """Its answers are some hundred characters, so that half of one is another answer."""

    Settings = SoakSettings

    async def start(self) -> None:
        await asyncio.sleep(0)

    async def generate(self, queries: Sequence[Query]) -> list[Answer]:
        await asyncio.sleep(cast(SoakSettings, self.settings).seconds)
        return [_answer(query.text) for query in queries]


def _answer(text: str) -> Answer:
    digest = hashlib.sha256(text.encode()).hexdigest()
    return Answer(f"{digest} {digest[::-1]}", prompt_tokens=len(text.split()), completion_tokens=2)
