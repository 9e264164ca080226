"""Which tokens of a draft the model takes, and its own one behind them.

Two rules, for what is drawn at random; for greedy answers they are the same.

`coupled`: the model draws its token at each place as it would without a draft, by the same random
numbers (see `drawing`), and a drafted token is taken where it is the same. So the answer is token
for token the one that the model gives alone, with the same seed, whoever drafts; a drafter that
draws by the same numbers is right the more often the nearer its distribution is (Daliri, Musco and
Suresh, "Coupling without communication and drafter-invariant speculative decoding", arXiv
2408.07978). No probabilities have to be sent.

`rejection`: a drafted token x with the drafter's probability q(x) is taken with probability
min(1, p(x) / q(x)); the first one that is not is replaced by a draw from max(p - q, 0), scaled to
sum to 1 (Leviathan, Kalman and Matias, arXiv 2211.17192, algorithm 1; Chen et al., arXiv
2302.01318, algorithm 2). The answer has the model's distribution, and is another one than without a
draft. More of a drafter's tokens are taken than by any other rule.
"""

import itertools
from collections.abc import Sequence as Rows
from dataclasses import dataclass, field
from typing import NamedTuple

import torch

from predictors.contract import Sampling
from predictors.engines.huggingface.drawing import distribution, draw, uniforms
from predictors.engines.huggingface.penalties import Penalties
from predictors.engines.huggingface.sequence import NAN
from predictors.errors import EngineError


@dataclass(slots=True, eq=False)
class Place:
    """In an answer that has `tokens` by then, behind the prompt's `continued`: what `drawing` and
    `penalties` look at of a sequence. `key` is that of its random numbers."""

    sampling: Sampling
    key: int
    continued: Rows[int]
    tokens: Rows[int] = field(default_factory=list)


class Accepted(NamedTuple):
    """The first `drafted` tokens of the draft, and the model's own one behind them, all together in
    `tokens`. `logprobs` (nats) and `margins` of each are those of the model itself."""

    drafted: int
    tokens: list[int]
    logprobs: list[float]
    margins: list[float]


class Drafted(NamedTuple):
    """`probabilities` [tokens, vocabulary]: what each of the tokens was drawn from, for the rule
    `rejection`; None where each was the only one that could be."""

    tokens: list[int]
    probabilities: torch.Tensor | None = None


class Checked(NamedTuple):
    """A draft, and the `logits` [drafted + 1, vocabulary] behind each beginning of it."""

    place: Place
    draft: Drafted
    coupled: bool
    logits: torch.Tensor


def places(place: Place, draft: Rows[int]) -> list[Place]:
    """Behind each beginning of the draft, none and all of it included."""
    begun = [[*place.tokens, *draft[:count]] for count in range(len(draft) + 1)]
    return [Place(place.sampling, place.key, place.continued, tokens) for tokens in begun]


def accept(logits: torch.Tensor, place: Place, draft: Drafted, *, coupled: bool) -> Accepted:
    """`logits` [drafted + 1, vocabulary]: behind each beginning of the draft."""
    return accept_all([Checked(place, draft, coupled, logits)])[0]


def accept_all(checked: Rows[Checked]) -> list[Accepted]:
    """Of each its own, computed together. Raises EngineError for logits that are NaN."""
    if not checked:
        return []
    logits = torch.cat([each.logits for each in checked]).float()
    chosen = _chosen(logits, checked)
    counts = [len(each.draft.tokens) + 1 for each in checked]
    begins = [0, *itertools.accumulate(counts)]
    kept = [
        begin + row for begin, own in zip(begins, chosen, strict=False) for row in range(len(own))
    ]
    tokens = [token for own in chosen for token in own]
    logprobs, margins = _said(logits[torch.tensor(kept, device=logits.device)], tokens)
    ends = [0, *itertools.accumulate(map(len, chosen))]
    return [
        Accepted(len(own) - 1, own, logprobs[begin:end], margins[begin:end])
        for own, (begin, end) in zip(chosen, itertools.pairwise(ends), strict=True)
    ]


def _said(logits: torch.Tensor, tokens: list[int]) -> tuple[list[float], list[float]]:
    """Log-probability (nats) and margin of each of the tokens at its place."""
    total = logits.logsumexp(-1)
    own = logits.gather(-1, torch.tensor(tokens, device=logits.device)[:, None])[:, 0] - total
    best = (logits.topk(2, dim=-1).values - total[:, None]).exp_()
    said = torch.stack([own.clamp_(max=0), best[:, 0] - best[:, 1]])
    if bool(said.isnan().any()):
        raise EngineError(NAN)
    logprobs, margins = said.tolist()
    return logprobs, margins


def _chosen(logits: torch.Tensor, checked: Rows[Checked]) -> list[list[int]]:
    """Of each the tokens of its draft that are taken, and the model's own one."""
    rows = [row for each in checked for row in places(each.place, each.draft.tokens)]
    scores = Penalties().applied(logits.clone(), rows)  # type: ignore[arg-type]
    drawn = draw(scores, rows).tolist()  # type: ignore[arg-type]
    chosen, begin = [], 0
    for each in checked:
        here = slice(begin, begin + len(each.draft.tokens) + 1)
        begin = here.stop
        if each.coupled or each.place.sampling.greedy:
            chosen.append(_same(drawn[here], each.draft.tokens))
        else:
            spread = distribution(scores[here], rows[here])  # type: ignore[arg-type]
            chosen.append(_kept(spread, rows[here], each.draft))
    return chosen


def _same(own: list[int], draft: Rows[int]) -> list[int]:
    count = 0
    while count < len(draft) and own[count] == draft[count]:
        count += 1
    return own[: count + 1]


def _kept(model: torch.Tensor, rows: list[Place], draft: Drafted) -> list[int]:
    """`model` [drafted + 1, vocabulary]: its probabilities after penalties, temperature and
    top_p."""
    kept: list[int] = []
    for number, token in enumerate(draft.tokens):
        drafter = torch.zeros_like(model[number])
        if draft.probabilities is None:
            drafter[token] = 1.0
        else:
            drafter += draft.probabilities[number].to(drafter.device)
        taken, drawn = uniforms(rows[number].key, len(rows[number].tokens))
        if taken * float(drafter[token]) < float(model[number, token]):
            kept.append(token)
            continue
        left = (model[number] - drafter).clamp_(min=0)
        # None is left where both are the same but for rounding.
        return [*kept, _at(left if bool(left.any()) else model[number], drawn)]
    _, drawn = uniforms(rows[-1].key, len(rows[-1].tokens))
    return [*kept, _at(model[-1], drawn)]


def _at(weights: torch.Tensor, drawn: float) -> int:
    """The token whose part of all weights holds the share `drawn`."""
    summed = weights.double().cumsum(-1)
    place = int(torch.searchsorted(summed, drawn * summed[-1], right=True))
    return min(place, int(weights.nonzero()[-1]))
