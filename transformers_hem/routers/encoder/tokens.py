"""Queries to token rows, truncated by tokens: the same rows for every backend and in training."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from predictors.errors import ConfigurationError, first_line
from transformers_hem.routers.encoder.directory import TOKENIZER_FILE, EncoderDirectory
from transformers_hem.routers.encoder.network import Padded

Row = list[int]


class QueryTokens:
    """A directory's tokenizer; safe to share between threads."""

    def __init__(self, directory: EncoderDirectory) -> None:
        """Raises ConfigurationError where the directory's tokenizer can't be read."""
        self._pad_id = directory.pad_id
        self._tokenizer = _load(directory)
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(directory.max_tokens)
        # No text is longer than this in tokens of its end; it keeps a megabyte off the tokenizer.
        self._characters = directory.max_tokens * 64

    def save(self, path: Path) -> None:
        """As a tokenizer.json, whatever form it came in."""
        self._tokenizer.save(str(path))

    def rows(self, texts: Sequence[str]) -> list[Row]:
        """Token ids with the model's special tokens, at most `max_tokens` each, at least one."""
        cut = [text[: self._characters] for text in texts]
        return [encoded.ids or [self._pad_id] for encoded in self._tokenizer.encode_batch(cut)]

    def pad(self, rows: Sequence[Row]) -> Padded:
        """On the right, to the longest row."""
        ids = np.full((len(rows), max(map(len, rows))), self._pad_id, dtype=np.int64)
        mask = np.zeros_like(ids)
        for index, row in enumerate(rows):
            ids[index, : len(row)] = row
            mask[index, : len(row)] = 1
        return Padded(ids, mask)


def _load(directory: EncoderDirectory) -> Any:
    path = directory.path / TOKENIZER_FILE
    try:
        if path.is_file():
            from tokenizers import Tokenizer

            return Tokenizer.from_file(str(path))
        from transformers import AutoTokenizer  # an older directory, with a vocabulary only

        return AutoTokenizer.from_pretrained(directory.path).backend_tokenizer
    except Exception as error:  # tokenizers raises nothing narrower
        raise ConfigurationError(
            f"model {directory.path}: its tokenizer can't be loaded: {first_line(error)}"
        ) from error
