"""What is no model of ours is refused at start, and the error says what it is."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from predictors.engines.classifier import ClassifierEngine, ClassifierSettings
from predictors.engines.classifier.find import SOURCES, find
from predictors.engines.classifier.source import Source
from predictors.errors import ConfigurationError
from tests.predictors.engines.classifier import tiny_models as tiny
from tests.predictors.engines.classifier.conftest import Start


def _pickle(path: Path) -> Path:
    torch.save(tiny.Net().state_dict(), path / "model.pt")
    return path


def _two(path: Path) -> Path:
    tiny.onnx_model(path / "a.onnx")
    tiny.onnx_model(path / "b.onnx")
    return path


def _written(name: str, content: str) -> Callable[[Path], Path]:
    def write(path: Path) -> Path:
        (path / name).write_text(content)
        return path

    return write


def _text_generation(path: Path) -> Path:
    return tiny.language_model(path / "llama")


def _encoder(path: Path) -> Path:
    tiny.text_classifier(path / "bert")
    config = json.loads((path / "bert/config.json").read_text())
    (path / "bert/config.json").write_text(json.dumps({**config, "architectures": ["BertModel"]}))
    return path / "bert"


@pytest.mark.parametrize(
    ("make", "fault"),
    [
        (lambda path: path / "absent", "does not exist"),
        (lambda path: path, "has nothing; the classifier engine takes"),
        (_written("notes.txt", "x"), "has notes.txt; the classifier engine takes"),
        (_two, "which of a.onnx, b.onnx"),
        (_text_generation, "found LlamaForCausalLM; --engine huggingface serves it"),
        (_encoder, "found BertModel; the classifier engine takes"),
        (_pickle, "found a pickle of torch.save"),
        (_written("model.pt", "junk"), "an unknown kind of file"),
        (lambda path: "digits:none", "unknown digits model 'digits:none'; known: digits:cloud"),
    ],
)
def test_the_wrong_thing_is_named_before_anything_is_loaded(
    make: Callable[[Path], Path], fault: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match=fault):
        ClassifierEngine(ClassifierSettings(model_dir=str(make(tmp_path))))


def _broken_onnx(path: Path) -> Path:
    (path / "model.onnx").write_bytes(b"junk")
    return path


def _cut_export(path: Path) -> Path:
    whole = tiny.exported(path / "whole.pt2").read_bytes()
    (path / "whole.pt2").write_bytes(whole.replace(b'"nodes"', b'"knots"'))
    return path


def _unclear(path: Path) -> Path:
    return tiny.onnx_model(path / "model.onnx", output="a", extra="b")


def _flat(path: Path) -> Path:
    return tiny.onnx_identity(path / "model.onnx", "scores", ["n"])


def _no_rows(path: Path) -> Path:
    return tiny.onnx_identity(path / "model.onnx", "scores", [])


def _regression(path: Path) -> Path:
    return tiny.text_classifier(path / "bert", num_labels=1)


def _headless(path: Path) -> Path:
    tiny.text_classifier(path / "bert")
    from safetensors.torch import load_file, save_file

    weights = load_file(path / "bert/model.safetensors")
    kept = {name: value for name, value in weights.items() if not name.startswith("classifier")}
    save_file(kept, path / "bert/model.safetensors", {"format": "pt"})
    return path / "bert"


def _without_processor(path: Path) -> Path:
    tiny.image_classifier(path / "vit")
    (path / "vit/preprocessor_config.json").unlink()
    return path / "vit"


class Named(torch.nn.Module):
    def forward(self, x: torch.Tensor, names: list[str]) -> torch.Tensor:
        return x


@pytest.mark.parametrize(
    ("make", "fault"),
    [
        (_broken_onnx, "is not a valid onnx model"),
        (_cut_export, "is not a valid torch.export model"),
        (_unclear, r"name it with --output; the model gives a \[-1, 3\], b \[-1, 3\]"),
        (_flat, r"which output has the classes"),
        (_no_rows, "a single number"),
        (_regression, r"a regression of 1 value\(s\), no classes"),
        (_headless, r"2 weights are missing, classifier.bias the first"),
        (_without_processor, "no image processor"),
        (
            lambda path: tiny.torchscript(path / "named.pt", Named()),
            r"takes 'names', which is List\[str\]",
        ),
    ],
)
async def test_a_model_that_cannot_classify_does_not_start(
    make: Callable[[Path], Path], fault: str, tmp_path: Path, start: Start
) -> None:
    with pytest.raises(ConfigurationError, match=fault) as refused:
        await start(make(tmp_path))
    assert "\n" not in str(refused.value)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
async def test_a_gpu_that_is_not_there_is_an_error(tmp_path: Path, start: Start) -> None:
    for path in (tiny.onnx_model(tmp_path / "m.onnx"), tiny.torchscript(tmp_path / "m.pt")):
        with pytest.raises(ConfigurationError, match="--device cuda"):
            await start(path, device="cuda")


async def test_an_output_that_is_not_there_is_an_error(tmp_path: Path, start: Start) -> None:
    with pytest.raises(
        ConfigurationError, match=r"no output 'x'; the model gives scores \[-1, 3\]"
    ):
        await start(tiny.onnx_model(tmp_path / "m.onnx"), output="x")


def test_every_kind_of_the_table_is_loaded_by_name() -> None:
    for kind in SOURCES.names():
        assert issubclass(SOURCES.load(kind), Source)


def test_an_onnx_file_beside_a_config_is_the_model(tmp_path: Path) -> None:
    tiny.onnx_model(tmp_path / "model.onnx")
    (tmp_path / "config.json").write_text("{}")
    assert find(str(tmp_path), None) == ("onnx", tmp_path / "model.onnx")
