"""An answer as a stream: its parts, and when each of them comes."""

import asyncio
import time
from itertools import pairwise
from typing import NamedTuple

from predictors.contract import Answer


class Pace(NamedTuple):
    """Seconds until the first part, and from each to the next."""

    first: float
    next: float

    @classmethod
    def of(cls, recorded: Answer, tokens_per_second: float | None) -> "Pace":
        """That of the recording, unless another is given; at once where nothing is known."""
        if tokens_per_second is not None:
            return cls(1 / tokens_per_second, 1 / tokens_per_second)
        return cls(recorded.time_to_first_token or 0.0, recorded.inter_token_latency or 0.0)

    async def wait(self, begin: float, number: int) -> None:
        """Until the time of part `number`, counted from 0, of a stream that began at `begin`
        (perf_counter). A reader who was slow gets what is overdue at once."""
        seconds = begin + self.first + number * self.next - time.perf_counter()
        if seconds > 0:
            await asyncio.sleep(seconds)


def parts_of(answer: Answer) -> list[str]:
    """The text in as many parts as it has tokens, or words where their number is not recorded; in
    fewer where there are fewer characters, as none is empty."""
    length = len(answer.text)
    count = min(answer.completion_tokens or len(answer.text.split()) or 1, length)
    ends = [length * number // count for number in range(count + 1)] if count else []
    return [answer.text[begin:end] for begin, end in pairwise(ends)]
