"""Logits -> next tokens, each row by its own sequence's parameters.

All batching paths choose tokens here, so a query gets the same distribution, the same seed
behaviour and the same telemetry whichever way it goes. The order is that of transformers and
vLLM: repetition penalty, the penalties that are added, temperature, top_p.

The whole batch goes through each operation at once, and what the host reads of a step it reads
together: on a GPU every single read waits for all that was computed before.
"""

import math
from collections.abc import Sequence as Rows
from typing import Any

import torch

from predictors.engines.huggingface.drawing import draw
from predictors.engines.huggingface.penalties import Penalties
from predictors.engines.huggingface.sequence import NAN, Sequence, Top
from predictors.errors import first_line


class Sampler:
    """Chooses the tokens of one batch, step by step, in the thread that computes it."""

    def __init__(self) -> None:
        self._penalties = Penalties()

    def choose(
        self, logits: torch.Tensor, rows: Rows[Sequence | None], *, spreads: bool = False
    ) -> torch.Tensor:
        """Chooses one token per row and adds it to the row's sequence. A row that fails ends its
        own sequence alone.

        logits: [rows, vocabulary], which nobody may need any more; a row of None (cancelled, ended)
        gets a token that nobody reads. Returns [rows] token ids. Log-probabilities and margins are
        those of the model itself: before penalties, temperature and top_p, so that they mean the
        same for every query.

        `spreads`: the rows were computed in one pass of attention, whose masked products are
        0 * NaN: the NaN of one row becomes that of all. Raises FloatingPointError where it may
        have, and has then changed nothing.
        """
        logits = logits.float()
        logprobs = logits.log_softmax(-1)
        alternatives = _alternatives(rows)
        likeliest = logprobs.topk(max(2, alternatives), dim=-1)
        best = likeliest.values[:, :2].exp()
        tokens = draw(self._penalties.applied(logits, rows), rows)
        chosen = logprobs.gather(-1, tokens[:, None])[:, 0]
        read = _read(tokens, chosen, best[:, 0] - best[:, 1])
        if spreads and _all_nan(read[2], rows):
            raise FloatingPointError(NAN)
        self._penalties.chosen(tokens)
        tops = _tops(likeliest, rows) if alternatives else [()] * len(rows)
        for sequence, token, logprob, margin, top in zip(rows, *read, tops, strict=True):
            if sequence is not None:
                _add(sequence, int(token), logprob, margin, top)
        return tokens


def _read(*columns: torch.Tensor) -> list[Any]:
    """By the host, together. 32 bits hold every token's number exactly, up to 16 million."""
    if columns[0].device.type == "cpu":
        return [column.tolist() for column in columns]
    return torch.stack([column.float() for column in columns]).tolist()


def _alternatives(rows: Rows[Sequence | None]) -> int:
    """How many of the likeliest tokens are read, of every row."""
    return max((row.query.top_logprobs or 0 for row in rows if row is not None), default=0)


def _tops(likeliest: "torch.return_types.topk", rows: Rows[Sequence | None]) -> list[Top]:
    tokens, logprobs = likeliest.indices.tolist(), likeliest.values.tolist()
    return [
        tuple(zip(tokens[i], logprobs[i], strict=True))[: row.query.top_logprobs or 0]
        if row is not None
        else ()
        for i, row in enumerate(rows)
    ]


def _add(sequence: Sequence, token: int, logprob: float, margin: float, top: Top) -> None:
    try:
        sequence.add(token, logprob, margin, top)
    except Exception as error:  # a tokenizer that can't decode the token, say
        sequence.end(failure=first_line(error))


def _all_nan(margins: list[float], rows: Rows[Sequence | None]) -> bool:
    read = [v for v, sequence in zip(margins, rows, strict=True) if sequence is not None]
    return bool(read) and all(map(math.isnan, read))
