"""Logits -> next tokens, each row by its own sequence's parameters.

Both batching paths choose tokens here, so a query gets the same distribution, the same seed
behaviour and the same telemetry whichever way it goes. The order is that of transformers and
vLLM: repetition penalty, temperature, top_p.
"""

import math
from collections.abc import Sequence as Rows

import torch

from predictors.engines.huggingface.sequence import NAN, Sequence, Top
from predictors.errors import first_line

SEED_BITS = (1 << 63) - 1


def choose(
    logits: torch.Tensor, rows: Rows[Sequence | None], *, spreads: bool = False
) -> torch.Tensor:
    """Chooses one token per row and adds it to the row's sequence. A row that fails ends its own
    sequence alone.

    logits: [rows, vocabulary]; a row of None (cancelled, ended) gets a token that nobody reads.
    Returns [rows] token ids. Log-probabilities and margins are those of the model itself: before
    penalty, temperature and top_p, so that they mean the same for every query.

    `spreads`: the rows were computed in one pass of attention, whose masked products are 0 * NaN:
    the NaN of one row becomes that of all. Raises FloatingPointError where it may have.
    """
    logits = logits.float()
    logprobs = logits.log_softmax(-1)
    likeliest = logprobs.topk(max(2, _alternatives(rows)), dim=-1)
    best = likeliest.values[:, :2].exp()
    margins = (best[:, 0] - best[:, 1]).tolist()
    if spreads and _all_nan(margins, rows):  # before a seeded row draws, as it will draw again
        raise FloatingPointError(NAN)
    tokens = _tokens(_penalised(logits, rows), rows)
    chosen = logprobs.gather(-1, tokens.unsqueeze(-1)).squeeze(-1)
    values = zip(tokens.tolist(), chosen.tolist(), margins, _tops(likeliest, rows), strict=True)
    for sequence, (token, logprob, margin, top) in zip(rows, values, strict=True):
        if sequence is not None:
            _add(sequence, token, logprob, margin, top)
    return tokens


def _alternatives(rows: Rows[Sequence | None]) -> int:
    """How many of the likeliest tokens are read, of every row."""
    return max((row.query.top_logprobs or 0 for row in rows if row is not None), default=0)


def _tops(likeliest: "torch.return_types.topk", rows: Rows[Sequence | None]) -> list[Top]:
    if not _alternatives(rows):
        return [()] * len(rows)
    tokens, logprobs = likeliest.indices.tolist(), likeliest.values.tolist()
    return [
        tuple(zip(tokens[i], logprobs[i], strict=True))[: row.query.top_logprobs or 0]
        if row is not None
        else ()
        for i, row in enumerate(rows)
    ]


def _add(sequence: Sequence, token: int, logprob: float, margin: float, top: Top) -> None:
    try:
        if "seen" in sequence.memory:
            sequence.memory["seen"][token] = True
        if "counts" in sequence.memory:
            sequence.memory["counts"][token] += 1
        sequence.add(token, logprob, margin, top)
    except Exception as error:  # a tokenizer that can't decode the token, say
        sequence.end(failure=first_line(error))


def _all_nan(margins: list[float], rows: Rows[Sequence | None]) -> bool:
    read = [v for v, sequence in zip(margins, rows, strict=True) if sequence is not None]
    return bool(read) and all(map(math.isnan, read))


def _penalised(logits: torch.Tensor, rows: Rows[Sequence | None]) -> torch.Tensor:
    """Applies each row's repetition penalty (CTRL, arXiv 1909.05858, section 4.1) to the tokens
    of its prompt (not for an encoder-decoder) and of its answer so far, then OpenAI's two penalties
    to those of its answer."""
    scores = logits
    for row, sequence in enumerate(rows):
        if sequence is None or not (_repeats(sequence) or _adds(sequence)):
            continue
        if scores is logits:
            scores = logits.clone()
        if _repeats(sequence):
            penalty = sequence.sampling.repetition_penalty
            penalised = torch.where(scores[row] < 0, scores[row] * penalty, scores[row] / penalty)
            scores[row] = torch.where(_seen(sequence, logits), penalised, scores[row])
        if _adds(sequence):
            counts, sampling = _counts(sequence, logits), sequence.sampling
            scores[row] -= sampling.frequency_penalty * counts
            scores[row] -= sampling.presence_penalty * (counts > 0)
    return scores


def _repeats(sequence: Sequence) -> bool:
    return sequence.sampling.repetition_penalty != 1.0


def _adds(sequence: Sequence) -> bool:
    return bool(sequence.sampling.presence_penalty or sequence.sampling.frequency_penalty)


def _counts(sequence: Sequence, logits: torch.Tensor) -> torch.Tensor:
    """[vocabulary]: how often each token is in the answer so far."""
    counts: torch.Tensor | None = sequence.memory.get("counts")
    if counts is None:
        counts = torch.zeros(logits.shape[-1], device=logits.device)
        for token in sequence.tokens:
            counts[token] += 1
        sequence.memory["counts"] = counts
    return counts


def _seen(sequence: Sequence, logits: torch.Tensor) -> torch.Tensor:
    """[vocabulary] booleans: the tokens that this sequence contains."""
    seen: torch.Tensor | None = sequence.memory.get("seen")
    if seen is None:
        seen = torch.zeros(logits.shape[-1], dtype=torch.bool, device=logits.device)
        seen[torch.tensor(sequence.continued, dtype=torch.long, device=logits.device)] = True
        sequence.memory["seen"] = seen
    return seen


def _tokens(scores: torch.Tensor, rows: Rows[Sequence | None]) -> torch.Tensor:
    """[rows] token ids: the most probable one, or a sample where the row's temperature is not 0."""
    tokens = scores.argmax(-1)
    sampled = [(i, s) for i, s in enumerate(rows) if s is not None and not s.sampling.greedy]
    if not sampled:
        return tokens
    index = torch.tensor([i for i, _ in sampled], device=scores.device)
    sequences = [sequence for _, sequence in sampled]
    probabilities = _nucleus(scores[index].nan_to_num(), sequences)
    tokens[index] = _draw(probabilities, sequences)
    return tokens


def _nucleus(scores: torch.Tensor, sequences: list[Sequence]) -> torch.Tensor:
    """Probabilities after temperature, 0 outside the smallest set that holds `top_p` of the mass
    (nucleus sampling, arXiv 1904.09751, section 3.1). [rows, vocabulary], rows not normalised."""
    temperature = scores.new_tensor([[s.sampling.temperature] for s in sequences])
    top_p = scores.new_tensor([[s.sampling.top_p] for s in sequences])
    # Scores relative to the best one stay finite under any temperature.
    scores = (scores - scores.max(-1, keepdim=True).values) / temperature
    probabilities = scores.softmax(-1)
    if all(s.sampling.top_p >= 1.0 for s in sequences):
        return probabilities
    ordered, order = probabilities.sort(-1, descending=True)
    outside = ordered.cumsum(-1) - ordered >= top_p
    return probabilities.masked_fill(outside.scatter(-1, order, outside), 0.0)


def _draw(probabilities: torch.Tensor, sequences: list[Sequence]) -> torch.Tensor:
    """[rows] samples. A seeded row draws from a generator of its own, so that its answer doesn't
    depend on what else is in the batch."""
    tokens = torch.multinomial(probabilities, num_samples=1).squeeze(-1)
    for row, sequence in enumerate(sequences):
        if sequence.sampling.seed is not None:
            generator = _generator(sequence, probabilities.device)
            tokens[row] = torch.multinomial(probabilities[row], 1, generator=generator)[0]
    return tokens


def _generator(sequence: Sequence, device: torch.device) -> torch.Generator:
    generator: torch.Generator | None = sequence.memory.get("generator")
    if generator is None:
        generator = torch.Generator(device)
        generator.manual_seed((sequence.sampling.seed or 0) & SEED_BITS)
        sequence.memory["generator"] = generator
    return generator
