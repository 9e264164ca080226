"""The draft side of speculative decoding: a small model's next tokens, of many sequences."""

import asyncio
import math
import time
from collections import deque
from collections.abc import Sequence as Rows
from typing import Final, NamedTuple

import torch

from predictors.contract.speculation import Likely, Whole
from predictors.engines.huggingface.accepting import Place
from predictors.engines.huggingface.drawing import distribution, draw
from predictors.engines.huggingface.loading import Loaded
from predictors.engines.huggingface.penalties import Penalties
from predictors.engines.huggingface.remembering import common
from predictors.engines.huggingface.slots import Slots
from predictors.engines.huggingface.stepping import FEW_TOKENS, Feed, Stepper
from predictors.engines.speculative.base import Drafted

PART_TOKENS: Final = 256


class _Known(NamedTuple):
    slot: int
    tokens: list[int]  # in the slot


class ModelDrafter:
    """For at most `count` sequences at once, of at most `room` tokens; the others get no draft.
    `branches`: how many other ways on of all of them together are drafted for at once."""

    answers = True

    def __init__(self, model: Loaded, count: int, room: int, branches: int = 0) -> None:
        self.branches = branches
        self._room = min(room, model.context)
        self._vocabulary = model.vocabulary
        slots = Slots(model.model, count + branches, self._room)
        self._stepper = Stepper[_Draft](slots, count + branches)
        self._slots = slots
        self._free = list(range(count))
        self._spare = list(range(count, count + branches))
        self._known: dict[str, _Known] = {}
        self._waiting: deque[tuple[str, asyncio.Future[None]]] = deque()

    @property
    def full(self) -> bool:
        return not self._free

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
        while self._waiting and self._free:
            other, placed = self._waiting.popleft()
            if not placed.done():
                self.begin(other)
                placed.set_result(None)

    async def place(self, id: str) -> None:
        if id not in self._known:
            placed = asyncio.get_running_loop().create_future()
            self._waiting.append((id, placed))
            await placed

    async def draft(self, id: str, whole: Whole, count: int) -> Drafted:
        known = self._known.get(id)
        count = min(count, self._room - len(whole.tokens))
        if known is None or count < 1 or max(whole.tokens) >= self._vocabulary:
            return Drafted([])
        work = _Draft(known, whole, count, others=self.branches > 0)
        await self._stepper.run(work)
        return work.drafted()

    async def branch(self, id: str, wholes: Rows[Whole], count: int) -> list[Drafted]:
        known = self._known.get(id)
        if known is None:
            return [Drafted([]) for _ in wholes]
        works: list[_Draft] = []
        for whole in wholes[: len(self._spare)]:
            own = _Known(self._spare.pop(), [])
            most = min(count, self._room - len(whole.tokens))
            works.append(_Draft(own, whole, max(most, 0), like=(self._slots, known)))
        try:
            await asyncio.gather(*(self._stepper.run(work) for work in works))
        finally:
            self._spare += [work.slot for work in works]
        return [work.drafted() for work in works]


class _Draft:
    """Its methods run in the stepper's thread, where nothing else touches the slot. `like`: its
    slot begins as a copy of that one."""

    last = False

    def __init__(
        self,
        known: _Known,
        whole: Whole,
        count: int,
        *,
        others: bool = False,
        like: tuple[Slots, _Known] | None = None,
    ) -> None:
        self.slot = known.slot
        self._cached = known.tokens
        self._whole = whole
        self._count = count
        self._like = like
        self._others: list[int] | None = [] if others else None
        self._tokens: list[int] = []
        self._logits: list[torch.Tensor] = []
        self._likely: list[Likely] = []
        self._fed: list[int] = []
        self._begun = False
        self._since = math.nan
        self._timed = 0
        self._until = math.nan

    def feed(self) -> Feed | None:
        if not self._begun:
            self._begun = True
            self._go_back()
        if len(self._tokens) >= self._count:
            return None
        tokens = [*self._whole.tokens, *self._tokens]
        start = len(self._cached)
        self._fed = tokens[start : start + PART_TOKENS]
        if math.isnan(self._since) and len(self._fed) <= FEW_TOKENS:
            self._since = time.perf_counter()
        return Feed(start, self._fed, 1)

    def take(self, logits: torch.Tensor) -> None:
        self._cached += self._fed
        if len(self._cached) < len(self._whole.tokens) + len(self._tokens):
            return
        whole, row = self._whole, logits[-1:].float()
        answer = [*whole.tokens[whole.prompt :], *self._tokens]
        drawing = whole.drawing
        rows = [Place(drawing.sampling(), drawing.key, whole.tokens[: whole.prompt], answer)]
        self._logits.append(row.clone())
        scores = Penalties().applied(row, rows)  # type: ignore[arg-type]
        if not drawing.coupled:
            self._likely.append(_likely(distribution(scores, rows)[0]))  # type: ignore[arg-type]
        token = int(draw(scores, rows))  # type: ignore[arg-type]
        if self._others is not None:
            # Without the winner the same random numbers say who would have won.
            scores[0, token] = -math.inf
            self._others.append(int(draw(scores, rows)))  # type: ignore[arg-type]
        self._tokens.append(token)
        if not math.isnan(self._since):
            self._timed += 1
            self._until = time.perf_counter()

    def drafted(self) -> Drafted:
        """Of one that is done."""
        if not self._tokens:
            return Drafted([])
        logprobs = torch.cat(self._logits).log_softmax(-1)
        chosen = logprobs.gather(-1, torch.tensor(self._tokens, device=logprobs.device)[:, None])
        best = logprobs.topk(2, dim=-1).values.exp()
        step = (self._until - self._since) / self._timed if self._timed else None
        return Drafted(
            self._tokens,
            seconds=None if step is None else step * len(self._tokens),
            others=self._others,
            drawn_from=self._likely or None,
            logprobs=chosen[:, 0].tolist(),
            margins=(best[:, 0] - best[:, 1]).tolist(),
        )

    def _go_back(self) -> None:
        """What was drafted and not taken is overwritten. The last token goes through the model
        again, as its logits are needed."""
        if self._like is not None:
            slots, other = self._like
            same = min(common(other.tokens, self._whole.tokens), len(self._whole.tokens) - 1)
            slots.copy(other.slot, self.slot, same)
            self._cached += other.tokens[:same]
        same = common(self._cached, self._whole.tokens)
        del self._cached[min(same, len(self._whole.tokens) - 1) :]


def _likely(row: torch.Tensor) -> Likely:
    tokens = row.nonzero()[:, 0]
    return Likely(tokens=tokens.tolist(), probabilities=row[tokens].tolist())
