"""The pair's tokenizer: byte-level BPE that merges the wording and never the operands.

Digits and capital letters stay single tokens, so that sums and words are seen piece by piece; the
lower-case words around them are one token each, which keeps prompts short. Any UTF-8 is
representable through the 256 bytes.
"""

from __future__ import annotations

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from predictors.embedded.workshop.questions import train_questions

VOCABULARY = 512
CONTEXT = 1024  # the default of 512 new tokens must fit beside a prompt
SPECIAL = ("<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>")
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] }}"
    "{% if message['role'] == 'assistant' %}<|end|>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
# A digit; a sign between blanks; a word, with the blank before it and that before an operand; a
# capital; anything else, by characters.
_PIECES = r"\d| [-+=] | ?\p{Lu}?\p{Ll}+(?: (?=\d|\p{Lu}))?|\p{Lu}|."


def build(questions: int = 20_000, seed: int = 0) -> PreTrainedTokenizerFast:
    """Learns the merges from training questions alone."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PIECES), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    texts = (question.query for question in train_questions(questions, seed))
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<|pad|>",
        eos_token="<|end|>",
        bos_token="<|end|>",
        model_max_length=CONTEXT,
        padding_side="left",
        chat_template=CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
    )
