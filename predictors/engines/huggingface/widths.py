"""Which of the sequences that go through the model next share a pass.

In a pass all rows are as long as the longest one. So one short prompt among drafts of a few tokens
makes each of them as long as itself, and on a processor that is at its limit that costs more than a
pass for the prompt alone. Where tokens cost little beside a pass, as on a GPU, all go together.
"""

from collections.abc import Sequence as Rows


def long_ones(lengths: Rows[int], pass_tokens: float) -> int:
    """Of `lengths` in order, from which on the rows are better off in a pass of their own; 0: all
    belong together. `pass_tokens`: how many tokens cost what a pass costs beside its own."""
    count = len(lengths)
    best, place = float(count * lengths[-1]) if lengths else 0.0, 0
    for here in range(1, count):
        padded = here * lengths[here - 1] + (count - here) * lengths[-1] + pass_tokens
        if padded < best:
            best, place = padded, here
    return place
