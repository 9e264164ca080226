"""Which model checks drafts: a draft side has to hear of it where another one takes its place.

Weights are told apart by their files, as to read all of a large model takes longer than to load it.
"""

import hashlib
from pathlib import Path
from typing import Final

import orjson

from predictors.contents import contents
from predictors.engines.huggingface.loading import Loaded
from predictors.errors import ConfigurationError, first_line

# Beside these a folder may have what differs from replica to replica.
KINDS: Final = (".safetensors", ".gguf", ".bin", ".pt", ".json", ".py")
PLACES: Final = 64  # of a file that are looked at, beside both ends


def identity(path: Path, model: Loaded, quantization: str, tokenizer: str, room: int) -> str:
    """Equal ones give the same verdicts, but for how sums are rounded. `tokenizer` is its
    fingerprint, `room` the most tokens of a sequence. Raises ConfigurationError."""
    try:
        files = list(contents(path, between=PLACES, kinds=KINDS))
    except OSError as error:
        raise ConfigurationError(f"model_dir {path}: {first_line(error)}") from None
    loaded = [str(model.model.dtype), quantization]
    about = [*loaded, model.vocabulary, sorted(model.end_tokens), tokenizer, room]
    return hashlib.sha256(orjson.dumps([files, about])).hexdigest()
