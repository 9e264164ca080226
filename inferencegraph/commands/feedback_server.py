"""How `hem feedback` calls the server that keeps it."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from transformers_hem.feedback.client import FeedbackClient

T = TypeVar("T")


def called(url: str, key_file: Path | None, work: "Callable[[FeedbackClient], Awaitable[T]]") -> T:
    """What `work` makes of the server. Raises HEMError."""
    import asyncio

    from predictors.upstream.openai.endpoint import read_key
    from transformers_hem.feedback.client import FeedbackClient

    key = read_key(key_file, "--key-file") if key_file else ""

    async def calling() -> T:
        async with FeedbackClient(url, key) as client:
            return await work(client)

    return asyncio.run(calling())
