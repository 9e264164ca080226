"""What a LinearRouter sees of a query, as bytes: for stores that may keep no text.

The n-grams are there as hashes alone, from which a reader of the store could guess words, and
numbers, but not their order.
"""

from typing import Final

import numpy as np

from transformers_hem.routers.linear.features import LENGTHS, Extract, extract

BUCKETS: Final = 2**18  # a router with fewer, of a power of two, finds its own by the remainder
_LENGTHS: Final = np.dtype("<f4")
_BUCKETS: Final = np.dtype("<u4")
_HEAD: Final = 1 + len(LENGTHS) * _LENGTHS.itemsize


def packed(query: str) -> bytes:
    found = extract(query, BUCKETS)
    head = bytes([found.open]) + found.lengths.astype(_LENGTHS).tobytes()
    return head + found.buckets.astype(_BUCKETS).tobytes()


def unpacked(content: bytes, buckets: int = BUCKETS) -> Extract:
    """Raises ValueError where `buckets` can't be told from BUCKETS, or it is no such content."""
    if BUCKETS % buckets:
        raise ValueError(f"a router of {buckets} buckets can't read features of {BUCKETS}")
    lengths = np.frombuffer(content[1:_HEAD], _LENGTHS).astype(np.float32)
    if len(lengths) != len(LENGTHS):
        raise ValueError("these are no features of a query")
    kept = np.frombuffer(content[_HEAD:], _BUCKETS).astype(np.int64)
    return Extract(np.unique(kept % buckets), lengths, bool(content[0]))
