"""Penalties for the tokens that a sequence has, for all rows of a batch at once.

Of each row only the scores of its own tokens change, a few hundred of a vocabulary. Their numbers
stay on the device from step to step.
"""

from collections.abc import Sequence as Rows
from typing import Final

import torch

from predictors.engines.huggingface.sequence import Sequence

FREE_COLUMNS: Final = 64  # of a new table, for tokens that come


class Penalties:
    """The repetition penalty (CTRL, arXiv 1909.05858, section 4.1) is for the tokens of prompt (not
    an encoder-decoder's) and answer so far; OpenAI's two are for those of the answer."""

    def __init__(self) -> None:
        self._table: _Table | None = None  # of the last step

    def applied(self, scores: torch.Tensor, rows: Rows[Sequence | None]) -> torch.Tensor:
        """[rows, vocabulary] scores with each row's penalties, in place."""
        penalised = [row if row is not None and _is_penalised(row) else None for row in rows]
        if not any(penalised):
            self._table = None
            return scores
        if self._table is None or not self._table.is_of(penalised):
            self._table = _Table(penalised, scores, self._table)
        self._table.apply(scores)
        return scores

    def chosen(self, tokens: torch.Tensor) -> None:
        """[rows] tokens, which the rows of the last `applied` get next."""
        if self._table is not None:
            self._table.add(tokens)


class _Table:
    """The tokens of each row, on the device of `scores`; what `last` has of them comes from there.
    A row of None has token 0, to which nothing happens."""

    def __init__(
        self, rows: list[Sequence | None], scores: torch.Tensor, last: "_Table | None"
    ) -> None:
        self._rows = rows
        self._lengths = [_length(row) for row in rows]
        self._tokens = self._gathered(scores.device, last)
        self._places = scores.new_tensor(self._lengths, dtype=torch.long)[:, None]
        self._real = scores.new_tensor([row is not None for row in rows], dtype=torch.long)[:, None]
        self._repetition = _column(
            scores, [s.sampling.repetition_penalty if s else 1 for s in rows]
        )
        self._presence = _column(scores, [s.sampling.presence_penalty if s else 0 for s in rows])
        self._frequency = _column(scores, [s.sampling.frequency_penalty if s else 0 for s in rows])
        self._counts = _counts(scores, rows) if any(map(_adds, rows)) else None

    def is_of(self, rows: list[Sequence | None]) -> bool:
        """Whether it is that of these rows, as far as they have come."""
        return rows == self._rows and self._lengths == [_length(row) for row in rows]

    def apply(self, scores: torch.Tensor) -> None:
        tokens = self._tokens[:, : max(self._lengths)]
        values = scores.gather(-1, tokens)
        values = torch.where(values < 0, values * self._repetition, values / self._repetition)
        if self._counts is not None:
            counts = self._counts.gather(-1, tokens)
            values -= self._frequency * counts + self._presence * (counts > 0)
        scores.scatter_(-1, tokens, values)  # a token that is there twice has one value

    def add(self, tokens: torch.Tensor) -> None:
        """[rows]; that of a row of None goes nowhere."""
        if max(self._lengths) == self._tokens.shape[1]:
            self._tokens = _of_width(self._tokens, 2 * max(self._lengths))
        added = tokens[:, None] * self._real
        self._tokens.scatter_(-1, self._places, added)
        if self._counts is not None:
            self._counts.scatter_add_(-1, added, self._real.to(self._counts.dtype))
        self._places += self._real
        self._lengths = [
            length + 1 if row else length
            for length, row in zip(self._lengths, self._rows, strict=True)
        ]

    def _gathered(self, device: torch.device, last: "_Table | None") -> torch.Tensor:
        """[rows, columns]: free columns repeat the row's first token."""
        width = max(self._lengths) + FREE_COLUMNS
        known = last._places_of() if last is not None else {}
        new = [row for row in self._rows if row not in known]
        lists = [_tokens(row) for row in new]
        padded = [tokens + tokens[:1] * (width - len(tokens)) for tokens in lists]
        table = torch.tensor(padded, dtype=torch.long, device=device).reshape(-1, width)
        if last is None or not known:
            return table
        table = torch.cat([_of_width(last._tokens, width), table])
        behind = iter(range(len(last._rows), len(table)))
        order = [known[row] if row in known else next(behind) for row in self._rows]
        return table[torch.tensor(order, device=device)]

    def _places_of(self) -> dict[Sequence | None, int]:
        """Of the rows that are here as far as they have come."""
        return {
            row: place
            for place, row in enumerate(self._rows)
            if row is not None and self._lengths[place] == _length(row)
        }


def _is_penalised(sequence: Sequence) -> bool:
    penalised = sequence.sampling.repetition_penalty != 1.0 or _adds(sequence)
    return penalised and bool(sequence.continued or sequence.tokens)


def _adds(sequence: Sequence | None) -> bool:
    return sequence is not None and bool(
        sequence.sampling.presence_penalty or sequence.sampling.frequency_penalty
    )


def _tokens(row: Sequence | None) -> list[int]:
    return [*row.continued, *row.tokens] if row else [0]


def _length(row: Sequence | None) -> int:
    return len(row.continued) + len(row.tokens) if row else 1


def _column(scores: torch.Tensor, values: list[float]) -> torch.Tensor:
    return scores.new_tensor(values)[:, None]


def _counts(scores: torch.Tensor, rows: list[Sequence | None]) -> torch.Tensor:
    """[rows, vocabulary]: how often each token is in the answer so far."""
    counts = torch.zeros_like(scores)
    for place, row in enumerate(rows):
        if row and row.tokens:
            tokens = torch.tensor(row.tokens, device=scores.device)
            counts[place].scatter_add_(0, tokens, torch.ones_like(tokens, dtype=counts.dtype))
    return counts


def _of_width(tokens: torch.Tensor, width: int) -> torch.Tensor:
    missing = max(0, width - tokens.shape[1])
    return torch.cat([tokens[:, :width], tokens[:, :1].expand(-1, missing)], dim=-1)
