"""Models of random weights: what they say is noise, what they cost is not."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig

from predictors.embedded import directory

TOKENIZER: Final = "embedded:long-cloud"  # the long pair's, so that its small model may draft


@dataclass(frozen=True)
class Shape:
    layers: int
    width: int
    between: int  # width of the feed-forward part
    heads: int
    vocabulary: int = 396


SHAPES: Final = {
    "tiny": Shape(2, 64, 128, 2),
    "16M": Shape(9, 384, 1024, 6),
    "125M": Shape(12, 768, 2048, 12, 50304),
    "1B": Shape(16, 2048, 7168, 16, 32000),
}


def written(name: str, into: Path, dtype: str = "float32") -> Path:
    """The model's directory. No token ends its answers."""
    shape = SHAPES[name]
    config = LlamaConfig(
        num_hidden_layers=shape.layers,
        hidden_size=shape.width,
        intermediate_size=shape.between,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.heads,
        vocab_size=shape.vocabulary,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        dtype=dtype,
    )
    config.eos_token_id = config.bos_token_id = None
    torch.manual_seed(0)
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        model = AutoModelForCausalLM.from_config(config, dtype=getattr(torch, dtype))
    model.generation_config.eos_token_id = []
    model.save_pretrained(into)
    AutoTokenizer.from_pretrained(directory(TOKENIZER)).save_pretrained(into)
    return into
