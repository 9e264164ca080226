"""The same directory by torch and by onnxruntime: cut by tokens, equal, refused where broken."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from predictors.errors import ConfigurationError
from tests.conftest import ROOT
from tests.transformers_hem.tiny_models import POSITIONS, write_bert, write_llama
from transformers_hem.algorithms.base import Batch, Scores
from transformers_hem.routers.classifier.score import BERTParameters, BERTRouter
from transformers_hem.routers.encoder.directory import EncoderDirectory
from transformers_hem.routers.encoder.runner import QueryTokens

QUERIES = ("easy", "hard what is 7 + 81 ?", "what " * 500, "\u00fc")


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier as torch's weights, as model.onnx, and in `int8/` as a quantised one."""
    from transformers_hem.routers.encoder.export import export_onnx
    from transformers_hem.routers.encoder.torch_network import load_model

    path = write_bert(tmp_path_factory.mktemp("models") / "bert", ("easy", "hard"))
    opened = EncoderDirectory.open(str(path))
    export_onnx(load_model(opened, output="logits"), path, output="logits", int8=False)
    (path / "int8").mkdir()
    for name in ("config.json", "tokenizer.json"):
        (path / "int8" / name).write_bytes((path / name).read_bytes())
    export_onnx(load_model(opened, output="logits"), path / "int8", output="logits", int8=True)
    return path


def scores(model: Path, *queries: str, **parameters: object) -> Scores:
    router = BERTRouter(BERTParameters.model_validate({"model": str(model), **parameters}))
    return router.score(Batch(len(queries), texts=queries))


def test_both_backends_score_alike(exported: Path) -> None:
    by_torch = scores(exported, *QUERIES, backend="torch")
    by_onnx = scores(exported, *QUERIES, backend="onnxruntime")
    assert by_torch == pytest.approx(by_onnx, abs=1e-6)
    assert scores(exported / "int8", *QUERIES) == pytest.approx(by_onnx, abs=0.01)
    assert len(set(by_onnx.round(6))) > 2


def test_an_exported_file_says_nothing_of_the_machine_that_wrote_it(exported: Path) -> None:
    for path in (exported / "model.onnx", exported / "int8" / "model.onnx"):
        written = path.read_bytes()
        assert b"site-packages" not in written and str(ROOT).encode() not in written


def test_a_query_scores_the_same_whoever_asks_beside_it(exported: Path) -> None:
    for model, backend in ((exported, "torch"), (exported, "onnxruntime"), (exported / "int8", "")):
        chosen = {"backend": backend} if backend else {}
        together = scores(model, *QUERIES, **chosen)
        alone = [scores(model, query, **chosen)[0] for query in QUERIES]
        assert together == pytest.approx(alone, abs=1e-6)


def test_a_causal_model_reads_the_last_token_before_the_padding(tmp_path: Path) -> None:
    model = write_llama(tmp_path / "llama", ("easy", "hard"))
    together = scores(model, *QUERIES)
    alone = [scores(model, query)[0] for query in QUERIES]
    assert together == pytest.approx(alone, abs=1e-6)


def test_fault_corrected_queries_are_cut_by_characters(exported: Path) -> None:
    """Sedna and Ianvs cut at 512 characters, where the model reads that many tokens."""
    tokens = QueryTokens(EncoderDirectory.open(str(exported), 5))
    assert tokens.rows(["what is 10 + 11 ?", "what"]) == [[2, 6, 7, 20, 3], [2, 6, 3]]
    long = " ".join(["what"] * 200 + ["hard"])
    assert len(QueryTokens(EncoderDirectory.open(str(exported))).rows([long])[0]) == POSITIONS
    same_start = scores(exported, "what is 10 + 11 ?", "what is 10 + 12 ?", max_tokens=6)
    assert same_start[0] == same_start[1]


def test_a_megabyte_is_cut_before_it_is_read(exported: Path) -> None:
    assert np.isfinite(scores(exported, "many words 123 " * 70_000)).all()


def test_onnxruntime_needs_no_torch(exported: Path) -> None:
    code = (
        "import sys\n"
        "from transformers_hem.routers.classifier.score import BERTParameters, BERTRouter\n"
        "from transformers_hem.algorithms.base import Batch\n"
        f"router = BERTRouter(BERTParameters(model={str(exported / 'int8')!r}))\n"
        "router.score(Batch(1, texts=('easy',)))\n"
        "print({'torch', 'transformers'} & sys.modules.keys())\n"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert found.stdout == "set()\n", found.stderr


def without(name: str) -> Callable[[Path], None]:
    return lambda path: (path / name).unlink()


def with_config(**changes: object) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        config = json.loads((path / "config.json").read_text())
        (path / "config.json").write_text(json.dumps(config | changes))

    return change


@pytest.mark.parametrize(
    ("damage", "parameters", "fault"),
    [
        (without("config.json"), {}, "config.json: No such file"),
        (without("model.safetensors"), {}, "model.safetensors"),
        (without("tokenizer.json"), {}, "tokenizer"),
        (lambda path: (path / "tokenizer.json").write_text("{}"), {}, "tokenizer"),
        (lambda path: (path / "config.json").write_text("{"), {}, "is not JSON of a model"),
        (with_config(id2label={"1": "hard", "7": "easy"}), {}, "id2label must name 0, 1"),
        (with_config(hidden_size=24), {}, "can't be loaded"),
        (with_config(num_hidden_layers=2), {}, "has no weights for"),
        (None, {"backend": "onnxruntime"}, "no model.onnx, which onnxruntime runs"),
        (lambda path: (path / "model.onnx").write_text("x"), {}, "model.onnx can't be loaded"),
        (None, {"max_tokens": "65"}, "max_tokens is 65, but .* has 64 positions"),
        (None, {"hard_label": "2"}, "hard_label '2' is not one of them"),
    ],
)
def test_a_directory_that_is_not_whole_is_refused_in_one_line(
    tmp_path: Path, damage: Callable[[Path], None] | None, parameters: dict[str, str], fault: str
) -> None:
    model = write_bert(tmp_path / "bert", ("easy", "hard"))
    if damage:
        damage(model)
    with pytest.raises(ConfigurationError, match=fault) as raised:
        scores(model, "easy", **parameters)
    assert "\n" not in str(raised.value)


def test_an_encoder_without_a_head_is_no_classifier(tmp_path: Path) -> None:
    model = write_bert(tmp_path / "bert")
    with pytest.raises(ConfigurationError, match="has labels none"):
        scores(model, "easy")
    with_config(id2label={"0": "easy", "1": "hard"})(model)
    with pytest.raises(ConfigurationError, match="no weights for classifier"):
        scores(model, "easy")
