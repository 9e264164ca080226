"""Scores -> tokens: the likeliest one of each row, or one at random by temperature and top_p.

Randomness is a function of a row's key, of the position in the answer and of the token. So an
answer depends neither on what else is in the batch, nor on the device, nor on a step that had to be
computed again, and no generator has a state.
"""

from collections.abc import Sequence as Rows
from hashlib import blake2b
from typing import Final

import torch

from predictors.engines.huggingface.sequence import Sequence

# On the CPU a whole vocabulary takes long to sort. So many of the likeliest tokens nearly always
# hold top_p of the mass; where they don't, more of them may.
CANDIDATES: Final = (256, 4096)
# The finalizer of MurmurHash3 (A. Appleby, 2008), on 32 bits: shifts to the right, and factors.
MIX: Final = ((16, 0x85EBCA6B), (13, 0xC2B2AE35), (16, 1))
GOLDEN: Final = 0x9E3779B1  # neighbours become far apart


def draw(scores: torch.Tensor, rows: Rows[Sequence | None]) -> torch.Tensor:
    """[rows] token ids of [rows, vocabulary] scores: the likeliest one, or a sample where the row's
    temperature is not 0. A row of None gets a token that nobody reads."""
    groups: dict[bool | None, list[int]] = {}
    for place, row in enumerate(rows):
        groups.setdefault(_is_narrow(row), []).append(place)
    if len(groups) == 1:
        return _drawn(scores, rows, *groups)
    tokens = torch.empty(len(rows), dtype=torch.long, device=scores.device)
    for narrow, places in groups.items():
        index = torch.tensor(places, device=scores.device)
        tokens[index] = _drawn(scores[index], [rows[place] for place in places], narrow)
    return tokens


def _is_narrow(row: Sequence | None) -> bool | None:
    """Whether the row draws from its nucleus; None where it draws nothing."""
    return None if row is None or row.sampling.greedy else row.sampling.top_p < 1.0


def _drawn(scores: torch.Tensor, rows: Rows[Sequence | None], narrow: bool | None) -> torch.Tensor:
    if narrow is None:
        return scores.argmax(-1)
    return _sample(scores, [row for row in rows if row is not None], narrow)


def _sample(scores: torch.Tensor, sequences: list[Sequence], narrow: bool) -> torch.Tensor:
    """[rows] samples after temperature, `narrow` ones from the nucleus."""
    temperature = scores.new_tensor([[s.sampling.temperature] for s in sequences])
    scores = scores.nan_to_num()
    # Scores relative to the best one stay finite under any temperature.
    scores = (scores - scores.max(-1, keepdim=True).values) / temperature
    probabilities = scores.softmax(-1)
    if not narrow:
        return _winners(
            probabilities, torch.arange(scores.shape[-1], device=scores.device), sequences
        )
    top_p = scores.new_tensor([[s.sampling.top_p] for s in sequences])
    kept, tokens = _nucleus(probabilities, top_p)
    return tokens.gather(-1, _winners(kept, tokens, sequences)[:, None])[:, 0]


def distribution(scores: torch.Tensor, rows: Rows[Sequence]) -> torch.Tensor:
    """[rows, vocabulary]: the probabilities that `draw` takes a token by, after temperature and
    top_p, of rows that are not greedy."""
    temperature = scores.new_tensor([[row.sampling.temperature] for row in rows])
    top_p = scores.new_tensor([[row.sampling.top_p] for row in rows])
    scores = scores.nan_to_num()
    scores = (scores - scores.max(-1, keepdim=True).values) / temperature
    kept, tokens = _nucleus(scores.softmax(-1), top_p)
    spread = torch.zeros_like(scores).scatter_(-1, tokens, kept)
    return spread / spread.sum(-1, keepdim=True)


def uniforms(key: int, place: int) -> tuple[float, float]:
    """Two random numbers in [0, 1) for a place of an answer, apart from those of `draw`."""
    digest = blake2b(f"{key} {place} accept".encode(), digest_size=16).digest()
    first, second = int.from_bytes(digest[:8]) >> 11, int.from_bytes(digest[8:]) >> 11
    return first * 2.0**-53, second * 2.0**-53


def _nucleus(probabilities: torch.Tensor, top_p: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The smallest set that holds `top_p` of the mass (nucleus sampling, arXiv 1904.09751, section
    3.1): probabilities, 0 outside of it, and their tokens, both [rows, candidates]."""
    if probabilities.device.type == "cpu":
        for count in CANDIDATES:
            if count >= probabilities.shape[-1]:
                break
            ordered, tokens = probabilities.topk(count, dim=-1)
            mass = ordered.cumsum(-1)
            if bool((mass[:, -1:] >= top_p).all()):
                return ordered.masked_fill_(mass - ordered >= top_p, 0.0), tokens
    ordered, tokens = probabilities.sort(-1, descending=True)
    return ordered.masked_fill_(ordered.cumsum(-1) - ordered >= top_p, 0.0), tokens


def _winners(
    probabilities: torch.Tensor, tokens: torch.Tensor, sequences: list[Sequence]
) -> torch.Tensor:
    """[rows] places of the samples in `probabilities` [rows, candidates], which need not sum to 1.

    Of exponential waiting times at rates p the shortest is that of a token with probability p
    (the exponential race). Rounding seldom changes who wins, whereas it moves every bound of a
    cumulated distribution.
    """
    keys = torch.tensor([[_key(s)] for s in sequences], dtype=torch.int32)
    bits = tokens.to(torch.int32) * _signed(GOLDEN) + keys.to(tokens.device)
    for shift, factor in MIX:
        bits ^= (bits >> shift) & ((1 << 32 - shift) - 1)  # the sign is shifted, too
        bits *= _signed(factor)
    uniform = (bits >> 1 & (1 << 31) - 1).float().add_(0.5).mul_(2.0**-31)
    waits = uniform.clamp_(max=1.0 - 2.0**-24).neg_().log1p_().neg_()
    return torch.div(probabilities, waits, out=waits).argmax(-1)


def _key(sequence: Sequence) -> int:
    """Of the row's next token, as 32 bits with a sign."""
    named = f"{sequence.key} {len(sequence.tokens)}".encode()
    return _signed(int.from_bytes(blake2b(named, digest_size=4).digest()))


def _signed(bits: int) -> int:
    """An integer of 32 bits as torch has it."""
    return bits - (1 << 32) if bits >> 31 else bits
