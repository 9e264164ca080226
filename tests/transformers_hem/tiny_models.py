"""Models of a few kilobytes in Hugging Face format, random but for what a test sets."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    AutoModel,
    AutoModelForSequenceClassification,
    BertConfig,
    LlamaConfig,
)

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "easy", "hard", "what", "is", "+", "?"]
WORDS += [str(number) for number in range(100)]
POSITIONS = 64
_SIZE = {
    "vocab_size": len(WORDS),
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": POSITIONS,
    "pad_token_id": 0,
    "initializer_range": 0.3,  # with so few dimensions the usual 0.02 passes nothing on
}


def write_bert(
    directory: Path, labels: Sequence[str] = (), biases: Sequence[float] = (), seed: int = 0
) -> Path:
    """Without labels an encoder that has no head. With `biases` the head's weights are 0, so that
    these are its logits whatever the query."""
    return _write(directory, BertConfig(**_SIZE, **_named(labels)), labels, biases, seed)


def write_llama(directory: Path, labels: Sequence[str] = ()) -> Path:
    """A causal model with a head; it has no padding token, as TinyLlama has none."""
    config = LlamaConfig(**{**_SIZE, "pad_token_id": None}, eos_token_id=3, **_named(labels))
    return _write(directory, config, labels, (), 0)


def _named(labels: Sequence[str]) -> dict[str, Any]:
    return {"id2label": dict(enumerate(labels))} if labels else {}


def _write(
    directory: Path, config: Any, labels: Sequence[str], biases: Sequence[float], seed: int
) -> Path:
    torch.manual_seed(seed)
    kind = AutoModelForSequenceClassification if labels else AutoModel
    model = kind.from_config(config)
    if biases:
        with torch.no_grad():
            model.classifier.weight.zero_()
            model.classifier.bias.copy_(torch.tensor(biases))
    model.save_pretrained(directory)
    tokenizer().save(str(directory / "tokenizer.json"))
    return directory


def tokenizer() -> Tokenizer:
    """A word is a token; [CLS] and [SEP] around them."""
    made = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return made
