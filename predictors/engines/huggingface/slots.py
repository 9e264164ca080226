"""A key-value cache with a slot for each sequence, which many sequences' next tokens go through in
one forward pass, several tokens of each at once.

`generate` and continuous batching give one token of a sequence a step. Speculative decoding checks
some at a time, and takes some of them back: here a sequence's length is told with each pass, so
that what lies behind it counts for nothing and is overwritten.
"""

import math
from collections.abc import Sequence as Rows
from typing import Any

import torch
from transformers import Cache
from transformers.cache_utils import CacheLayerMixin


class Slots:
    """Of a causal `model` whose layers all see the whole text; `count` sequences of at most `room`
    tokens. One thread uses it."""

    def __init__(self, model: Any, count: int, room: int) -> None:
        self.count = count
        self.room = room
        self._model = model
        self._places = _Places()
        layers = model.config.get_text_config().num_hidden_layers
        self._adds_masks = "eager" in str(model.config._attn_implementation)
        self._can_skip = model._supports_logits_to_keep()
        self._cache = Cache([_Layer(self._places, count, room) for _ in range(layers)])

    @torch.no_grad()
    def logits(
        self,
        slots: Rows[int],
        starts: Rows[int],
        tokens: Rows[Rows[int]],
        read: Rows[int] | None = None,
    ) -> list[torch.Tensor]:
        """Of each sequence [tokens, vocabulary]: its next `tokens`, which come behind `starts`
        tokens that its slot has; or of the last `read` of them alone, as logits of a whole prompt
        are many. Raises ValueError where a slot has no room for them, or more are read."""
        counts = [len(row) for row in tokens]
        width = max(counts)
        length = max(starts) + width
        if length > self.room:
            raise ValueError(f"{length} tokens are more than the {self.room} that a slot holds")
        spare = list(map(int.__sub__, counts, read or counts))
        if min(spare) < 0:
            raise ValueError(f"logits of {read} tokens can't be read of {counts}")
        unread = min(spare) if self._can_skip else 0
        places = torch.tensor(starts)[:, None] + torch.arange(width)
        seen = torch.arange(length) <= places[:, None, :, None]
        padded = [[*row, *[0] * (width - count)] for row, count in zip(tokens, counts, strict=True)]
        device = self._model.device
        places = places.to(device)
        self._places.set(slots, places, length)
        logits: torch.Tensor = self._model(
            input_ids=torch.tensor(padded, device=device),
            attention_mask=(self._added(seen) if self._adds_masks else seen).to(device),
            position_ids=places,
            past_key_values=self._cache,
            use_cache=True,
            **({"logits_to_keep": width - unread} if unread else {}),
        ).logits
        return [
            logits[row, count - wanted - unread : count - unread]
            for row, (count, wanted) in enumerate(zip(counts, read or counts, strict=True))
        ]

    def copy(self, slot: int, to: int, length: int) -> None:
        """The first `length` tokens of one slot, into another."""
        for layer in self._cache.layers:
            if layer.is_initialized:
                for table in (layer.keys, layer.values):
                    table[to, :length] = table[slot, :length]

    def _added(self, seen: torch.Tensor) -> torch.Tensor:
        return torch.zeros(seen.shape, dtype=self._model.dtype).masked_fill_(~seen, -math.inf)


class _Places:
    """Where the tokens of one pass go: `slots` [rows], `places` [rows, width] in them, of which the
    first `length` are looked at. Slots that stand side by side need not be copied to be read."""

    slots: torch.Tensor
    places: torch.Tensor
    length: int
    beside: slice | None

    def set(self, slots: Rows[int], places: torch.Tensor, length: int) -> None:
        self.slots = torch.tensor(slots, device=places.device)
        self.places, self.length = places, length
        first, count = slots[0], len(slots)
        together = list(slots) == list(range(first, first + count))
        self.beside = slice(first, first + count) if together else None


class _Layer(CacheLayerMixin):
    """[slots, room, heads, size]: a token's place is one piece of memory."""

    def __init__(self, places: _Places, count: int, room: int) -> None:
        super().__init__()
        self._places = places
        self._count = count
        self._room = room

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        self.keys = self._empty(key_states)
        self.values = self._empty(value_states)
        self.is_initialized = True

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        return self._written(self.keys, key_states), self._written(self.values, value_states)

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self._places.length, 0

    def get_seq_length(self) -> int:
        return 0  # of no use: positions and masks are given

    def get_max_length(self) -> int:
        return self._room

    def _empty(self, like: torch.Tensor) -> torch.Tensor:
        return like.new_zeros(self._count, self._room, like.shape[1], like.shape[3])

    def _written(self, table: Any, states: torch.Tensor) -> torch.Tensor:
        """states: [rows, heads, width, size]; returns [rows, heads, length, size]."""
        here = self._places
        table[here.slots[:, None], here.places] = states.transpose(1, 2)
        looked_at = table[:, : here.length]
        if here.beside is not None:
            return torch.as_tensor(looked_at[here.beside]).transpose(1, 2)
        return torch.as_tensor(looked_at.index_select(0, here.slots)).transpose(1, 2)
