"""What the two models are made of and how long each is trained."""

from __future__ import annotations

from dataclasses import dataclass

from transformers import LlamaConfig, PreTrainedTokenizerBase

from predictors.embedded.workshop.tokenizer import CONTEXT


@dataclass(frozen=True, slots=True)
class Recipe:
    """A Llama shape; `steps` of `batch` questions each."""

    hidden: int
    layers: int
    intermediate: int
    heads: int
    steps: int
    batch: int = 256

    def config(self, tokenizer: PreTrainedTokenizerBase) -> LlamaConfig:
        return LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=self.hidden,
            intermediate_size=self.intermediate,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            num_key_value_heads=self.heads,
            head_dim=self.hidden // self.heads,
            tie_word_embeddings=True,
            max_position_embeddings=CONTEXT,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )


RECIPES = {
    "edge": Recipe(hidden=128, layers=4, intermediate=352, heads=4, steps=1060),
    "cloud": Recipe(hidden=256, layers=4, intermediate=688, heads=8, steps=3500),
}
