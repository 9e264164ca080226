"""The draft side of speculative decoding: a small model's next tokens, of many sequences."""

from collections.abc import Sequence as Rows
from typing import Final, NamedTuple

import torch

from predictors.contract.speculation import Whole
from predictors.engines.huggingface.accepting import Drafted, Place
from predictors.engines.huggingface.drawing import distribution, draw
from predictors.engines.huggingface.loading import Loaded
from predictors.engines.huggingface.penalties import Penalties
from predictors.engines.huggingface.slots import Slots
from predictors.engines.huggingface.stepping import Feed, Stepper

PART_TOKENS: Final = 256


class _Known(NamedTuple):
    slot: int
    tokens: list[int]  # in the slot


class ModelDrafter:
    """For at most `count` sequences at once; the others get no draft."""

    def __init__(self, model: Loaded, count: int, room: int) -> None:
        self._stepper: Stepper[_Draft] = Stepper(
            Slots(model.model, count, min(room, model.context)), count
        )
        self._room = min(room, model.context)
        self._free = list(range(count))
        self._known: dict[str, _Known] = {}

    async def start(self) -> None:
        self._stepper.start()

    def cause_of_death(self) -> str | None:
        return self._stepper.cause_of_death()

    async def close(self) -> None:
        await self._stepper.close()

    def begin(self, id: str) -> None:
        if self._free:
            self._known[id] = _Known(self._free.pop(), [])

    def end(self, id: str) -> None:
        if (known := self._known.pop(id, None)) is not None:
            self._free.append(known.slot)

    async def draft(self, id: str, whole: Whole, count: int) -> Drafted:
        """Raises EngineError where the model fails."""
        known = self._known.get(id)
        count = min(count, self._room - len(whole.tokens))
        if known is None or count < 1:
            return Drafted([])
        work = _Draft(known, whole, count)
        await self._stepper.run(work)
        probabilities = torch.stack(work.probabilities) if work.probabilities else None
        return Drafted(work.drafted, probabilities)


class _Draft:
    def __init__(self, known: _Known, whole: Whole, count: int) -> None:
        self.slot = known.slot
        self.drafted: list[int] = []
        self.probabilities: list[torch.Tensor] = []
        self._cached = known.tokens
        self._whole = whole
        self._count = count
        self._fed: list[int] = []
        # What was drafted and not taken is overwritten.
        same = _same(known.tokens, whole.tokens)
        del known.tokens[min(same, len(whole.tokens) - 1) :]

    def feed(self) -> Feed | None:
        if len(self.drafted) == self._count:
            return None
        tokens = [*self._whole.tokens, *self.drafted]
        start = len(self._cached)
        self._fed = tokens[start : start + PART_TOKENS]
        return Feed(start, self._fed)

    def take(self, logits: torch.Tensor) -> None:
        self._cached += self._fed
        if len(self._cached) < len(self._whole.tokens) + len(self.drafted):
            return
        whole = self._whole
        answer = [*whole.tokens[whole.prompt :], *self.drafted]
        drawing = whole.drawing
        place = Place(drawing.sampling(), drawing.key, whole.tokens[: whole.prompt], answer)
        rows = [place]
        scores = Penalties().applied(logits[-1:].float(), rows)  # type: ignore[arg-type]
        if not drawing.coupled:
            self.probabilities.append(distribution(scores, rows)[0])  # type: ignore[arg-type]
        self.drafted.append(int(draw(scores, rows)))  # type: ignore[arg-type]


def _same(one: Rows[int], other: Rows[int]) -> int:
    """How many tokens they begin with alike."""
    count = 0
    for mine, theirs in zip(one, other, strict=False):
        if mine != theirs:
            break
        count += 1
    return count
