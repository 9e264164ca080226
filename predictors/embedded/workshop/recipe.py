"""What the models are made of: their shapes, how long each is trained, and their tokenizers.

A pair's tokenizer is a byte-level BPE that merges the wording and never the operands. Digits and
capital letters stay single tokens, so that sums and words are seen piece by piece; the lower-case
words around them are one token each, which keeps prompts short. Any UTF-8 is representable through
the 256 bytes.
"""

from dataclasses import dataclass

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from predictors.embedded.workshop.questions import LONG, SHORT, QuestionSet, train_questions

VOCABULARY = 512
CONTEXT = 1024  # the default of 512 new tokens must fit beside a prompt
SPECIAL = ("<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>")
# The last question alone, with what there is of its answer where that goes on.
CHAT_TEMPLATE = (
    "{% for message in messages[(-1 if add_generation_prompt else -2):] %}"
    "{{ '<|' + message['role'] + '|>' + message['content'] }}"
    "{% if message['role'] == 'assistant' %}<|end|>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
# A digit; a sign between blanks; a word, with the blank before it and that before an operand; a
# capital; anything else, by characters.
_PIECES = r"\d| [-+=] | ?\p{Lu}?\p{Ll}+(?: (?=\d|\p{Lu}))?|\p{Lu}|."


def build_tokenizer(
    of: QuestionSet = SHORT, questions: int = 20_000, seed: int = 0
) -> PreTrainedTokenizerFast:
    """Learns the merges from training questions and their answers alone."""
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
    drawn = train_questions(questions, seed, of=of)
    texts = (text for question in drawn for text in (question.query, question.answer))
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


@dataclass(frozen=True, slots=True)
class Recipe:
    """A Llama shape; `steps` of `batch` questions each."""

    hidden: int
    layers: int
    intermediate: int
    heads: int
    steps: int
    batch: int = 256
    questions: QuestionSet = SHORT

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
    "long-edge": Recipe(96, 2, 256, 3, steps=2500, batch=16, questions=LONG),
    "long-cloud": Recipe(192, 4, 512, 6, steps=2200, batch=16, questions=LONG),
}
