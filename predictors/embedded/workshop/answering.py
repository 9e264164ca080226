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

from predictors.embedded.workshop.questions import SHORT


@dataclass(frozen=True, slots=True)
class Reply:
    """The generated tokens, the end token included, and their log-probabilities in nats."""

    text: str
    tokens: tuple[int, ...]
    logprobs: tuple[float, ...]

    @property
    def mean_logprob(self) -> float:
        return sum(self.logprobs) / len(self.logprobs)

    @property
    def min_logprob(self) -> float:
        return min(self.logprobs)


class DirectModel:
    """A model directory loaded for batched greedy answers, on a GPU where there is one."""

    def __init__(self, directory: Path, longest_answer: int = SHORT.longest_answer) -> None:
        self.longest_answer = longest_answer
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
    def next_tokens(self, query: str, answer: Sequence[int]) -> list[int]:
        """What the model would write at each place of an answer, given the tokens before it."""
        chat = [{"role": "user", "content": query}]
        prompt = self.tokenizer.apply_chat_template(chat, add_generation_prompt=True)["input_ids"]
        given = torch.tensor([[*prompt, *answer[:-1]]], device=self.model.device)
        logits = self.model(given).logits[0, len(prompt) - 1 :]
        return [int(token) for token in logits.argmax(-1)]

    @torch.inference_mode()
    def _ask_batch(self, queries: list[str]) -> Iterator[Reply]:
        chats = [[{"role": "user", "content": query}] for query in queries]
        prompt = self.tokenizer.apply_chat_template(
            chats, add_generation_prompt=True, padding=True, return_tensors="pt", return_dict=True
        ).to(self.model.device)
        made = self.model.generate(
            **prompt,
            do_sample=False,
            max_new_tokens=self.longest_answer,
            output_logits=True,
            return_dict_in_generate=True,
        )
        tokens = made.sequences[:, prompt["input_ids"].shape[1] :]
        logprobs = torch.stack(made.logits, dim=1).log_softmax(-1)
        chosen = logprobs.gather(-1, tokens[..., None]).squeeze(-1)
        written = (tokens != self.tokenizer.pad_token_id).sum(1).tolist()
        texts = self.tokenizer.batch_decode(tokens, skip_special_tokens=True)
        for text, row, row_logprobs, length in zip(texts, tokens, chosen, written, strict=True):
            yield Reply(text, tuple(row[:length].tolist()), tuple(row_logprobs[:length].tolist()))
