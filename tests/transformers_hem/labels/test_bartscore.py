"""BARTScore on a tiny random BART, beside the paper's formula written out token by token."""

from pathlib import Path
from typing import Any

import pytest

from predictors.errors import ConfigurationError
from tests.transformers_hem.labels.questions import question
from transformers_hem.labels.scorers.bartscore import BARTScore, BARTScoreOptions

WORDS = ["<s>", "<pad>", "</s>", "<unk>", *(f"w{i}" for i in range(30))]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BartConfig, BartForConditionalGeneration, PreTrainedTokenizerFast

    words = Tokenizer(
        models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<unk>")
    )
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    special = {"bos_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    torch.manual_seed(0)
    sizes = {"d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "init_std": 0.5}
    wide = {f"{part}_ffn_dim": 16 for part in ("encoder", "decoder")}
    heads = {f"{part}_attention_heads": 2 for part in ("encoder", "decoder")}
    config = BartConfig(vocab_size=34, max_position_embeddings=32, **sizes, **wide, **heads)
    directory = tmp_path_factory.mktemp("bart")
    PreTrainedTokenizerFast(tokenizer_object=words, **special).save_pretrained(directory)
    BartForConditionalGeneration(config).save_pretrained(directory)
    return str(directory)


async def started(model: str, **options: Any) -> BARTScore:
    scorer = BARTScore(BARTScoreOptions(model=model, **options))
    await scorer.start()
    return scorer


def by_hand(model: str, source: str, target: str) -> float:
    """The mean of log p(y_t | y_<t, x): equation 2 of the paper, all weights equal."""
    import torch
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    bart = AutoModelForSeq2SeqLM.from_pretrained(model).eval()
    x, y = (torch.tensor([tokenizer(text)["input_ids"]]) for text in (source, target))
    begin, total = torch.tensor([[bart.config.decoder_start_token_id]]), 0.0
    for t in range(y.shape[1]):
        so_far = torch.cat([begin, y[:, :t]], dim=1)
        with torch.no_grad():
            logits = bart(input_ids=x, decoder_input_ids=so_far).logits[0, -1]
        total += float(logits.log_softmax(-1)[y[0, t]])
    return total / y.shape[1]


@pytest.mark.parametrize("direction", ["recall", "precision", "f", "faithfulness"])
async def test_a_score_is_the_mean_log_likelihood_in_its_direction(
    model: str, direction: str
) -> None:
    scorer = await started(model, direction=direction)
    pair = await scorer.score(question("w1 w2", "w5 w6 w7"), "w5 w6", "w9")
    recall, precision = by_hand(model, "w5 w6", "w5 w6 w7"), by_hand(model, "w5 w6 w7", "w5 w6")
    expected = {
        "recall": recall,
        "precision": precision,
        "f": (recall + precision) / 2,
        "faithfulness": by_hand(model, "w1 w2", "w5 w6"),
    }
    assert pair.edge == pytest.approx(expected[direction], abs=1e-5)
    assert pair.cloud < 0
    assert scorer.needs_reference == (direction != "faithfulness")
    await scorer.close()


async def test_padding_beside_a_longer_reference_changes_nothing(model: str) -> None:
    scorer = await started(model)
    together = scorer.likelihoods(["w5", "w5 w6 w7 w8"], ["w1", "w1 w2 w3"])
    apart = [by_hand(model, "w5", "w1"), by_hand(model, "w5 w6 w7 w8", "w1 w2 w3")]
    assert together == pytest.approx(apart, abs=1e-5)
    best = await scorer.score(question("q", "w1", "w1 w2 w3"), "w5", "")
    assert best.edge == pytest.approx(max(scorer.likelihoods(["w5"] * 2, ["w1", "w1 w2 w3"])))
    await scorer.close()


async def test_a_text_beyond_the_models_positions_is_cut(model: str) -> None:
    scorer = await started(model)
    pair = await scorer.score(question("q", "w1 " * 500), "w2 " * 500, "w2 " * 31)
    assert pair.edge == pytest.approx(pair.cloud)
    await scorer.close()


@pytest.mark.parametrize(
    ("missing", "told"),
    [("config.json", "no config.json"), ("tokenizer.json", "no tokenizer"), ("", "does not exist")],
)
async def test_a_directory_that_is_not_whole_is_told_in_one_line(
    model: str, tmp_path: Path, missing: str, told: str
) -> None:
    copy = tmp_path / "no-such-model"
    if missing:
        copy.mkdir()
        for file in Path(model).iterdir():
            if file.name != missing:
                (copy / file.name).write_bytes(file.read_bytes())
    with pytest.raises(ConfigurationError, match=f"bartscore: .*{told}") as raised:
        await started(str(copy))
    assert "\n" not in str(raised.value)
