"""Asks a model directly, many questions at a time, greedily: no server, no sampling."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

LONGEST_ANSWER = 24  # tokens; the generator's longest has 13 with its end


@dataclass(frozen=True, slots=True)
class Reply:
    """Log-probabilities in nats, of the generated tokens, the end token included."""

    text: str
    mean_logprob: float
    min_logprob: float


class DirectModel:
    """A model directory loaded for batched greedy answers, on a GPU where there is one."""

    def __init__(self, directory: Path) -> None:
        self.tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(directory)
        model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(directory)
        self.model = model.eval().to("cuda" if torch.cuda.is_available() else "cpu")

    def ask(self, queries: Sequence[str], batch: int = 256) -> list[Reply]:
        """Replies in the order of the queries; queries of like length are asked together."""
        order = sorted(range(len(queries)), key=lambda index: len(queries[index]))
        replies: dict[int, Reply] = {}
        for start in range(0, len(order), batch):
            chosen = order[start : start + batch]
            answered = self._ask_batch([queries[index] for index in chosen])
            replies.update(zip(chosen, answered, strict=True))
        return [replies[index] for index in range(len(queries))]

    @torch.inference_mode()
    def _ask_batch(self, queries: list[str]) -> Iterator[Reply]:
        chats = [[{"role": "user", "content": query}] for query in queries]
        prompt = self.tokenizer.apply_chat_template(
            chats, add_generation_prompt=True, padding=True, return_tensors="pt", return_dict=True
        ).to(self.model.device)
        made = self.model.generate(
            **prompt,
            do_sample=False,
            max_new_tokens=LONGEST_ANSWER,
            output_logits=True,
            return_dict_in_generate=True,
        )
        tokens = made.sequences[:, prompt["input_ids"].shape[1] :]
        logprobs = torch.stack(made.logits, dim=1).log_softmax(-1)
        chosen = logprobs.gather(-1, tokens[..., None]).squeeze(-1)
        written = tokens != self.tokenizer.pad_token_id
        texts = self.tokenizer.batch_decode(tokens, skip_special_tokens=True)
        means = (chosen * written).sum(1) / written.sum(1)
        lowest = chosen.masked_fill(~written, 0.0).amin(1)
        return map(Reply, texts, means.tolist(), lowest.tolist())
