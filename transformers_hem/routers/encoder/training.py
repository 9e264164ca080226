"""What learners of routers with an encoder share: where it comes from, how it is written to the
folder `encoder/`, and how it then runs."""

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, Generic, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from predictors.errors import ConfigurationError
from transformers_hem.algorithms.base import AlgorithmParameters
from transformers_hem.labels.labels import Labels
from transformers_hem.routers.base import Learner
from transformers_hem.routers.directory import sha256
from transformers_hem.routers.encoder.directory import TOKENIZER_FILE, EncoderDirectory
from transformers_hem.routers.encoder.network import OutputKind
from transformers_hem.routers.encoder.runner import FairRunner, QueryTokens, open_network

Format = Literal["safetensors", "onnx", "int8"]

_ROWS = 256  # at a time: outputs of a model without a head are large


class EncoderTraining(AlgorithmParameters):
    """`encoder`: directory or hub id. `format`: what the router holds: safetensors for torch, onnx
    (float32) or int8 for onnxruntime. `max_tokens`: a longer query is cut."""

    encoder: str
    format: Format = "safetensors"
    max_tokens: int = Field(default=256, ge=8)

    @property
    def source(self) -> str:
        """Of the encoder, without the place that it has on this machine."""
        path = Path(self.encoder).expanduser()
        return path.absolute().name if path.is_dir() else self.encoder

    def open(self) -> EncoderDirectory:
        """Raises ConfigurationError where it can't be trained from."""
        directory = EncoderDirectory.open(self.encoder, self.max_tokens)
        directory.backend("torch")
        return directory


Training = TypeVar("Training", bound=EncoderTraining)


class EncoderLearner(Learner, Generic[Training]):
    Parameters: ClassVar[type[AlgorithmParameters]] = EncoderTraining

    def __init__(self, parameters: Training) -> None:
        """Raises ConfigurationError that says what to install."""
        self.chosen = parameters
        needed = {"huggingface": ["torch", "transformers"]}
        if parameters.format != "safetensors":
            needed["onnx-export"] = ["onnx", "onnxscript", "onnxruntime"]
        for extra, names in needed.items():
            missing = [name for name in names if find_spec(name) is None]
            if missing:
                raise ConfigurationError(
                    f"training this needs {', '.join(missing)}: install kserve-hem[{extra}]"
                )

    def encoder_fields(self, directory: Path, tested: Labels) -> dict[str, Any]:
        """Fields of an `EncoderConfig`, beside those of `assess`, when all other files are in
        `directory` and the router was tested on these rows."""
        paths = sorted(path for path in directory.rglob("*") if path.is_file())
        return {
            "max_tokens": self.chosen.max_tokens,
            "encoder": self.chosen.source,
            "held_out_rows": len(tested.queries),
            "files": {p.relative_to(directory).as_posix(): sha256(p.read_bytes()) for p in paths},
        }


def write_encoder(
    model: Any, tokens: QueryTokens, directory: Path, wanted: Format, *, output: OutputKind
) -> None:
    """Makes `directory`, with weights in one form only."""
    directory.mkdir()
    tokens.save(directory / TOKENIZER_FILE)
    if wanted == "safetensors":
        model.save_pretrained(directory)
        return
    from transformers_hem.routers.encoder.export import export_onnx

    model.config.architectures = [type(model).__name__]  # as save_pretrained does
    model.config.save_pretrained(directory)
    export_onnx(model, directory, output=output, int8=wanted == "int8")


def run_all(
    directory: Path,
    max_tokens: int,
    texts: Sequence[str],
    *,
    output: OutputKind,
    of: Callable[..., Any],
) -> NDArray[Any]:
    """`of` the outputs of all texts, in their order; the model runs as it will be served."""
    opened = EncoderDirectory.open(str(directory), max_tokens)
    network = open_network(opened, "auto", output=output, threads=0)
    runner = FairRunner(QueryTokens(opened), network)
    order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
    starts = range(0, len(texts), _ROWS)
    parts = [of(runner.run([texts[i] for i in order[at : at + _ROWS]])) for at in starts]
    ordered = np.concatenate(parts)
    ordered[order] = ordered.copy()
    return ordered


def run_as_it_is(
    chosen: EncoderTraining,
    labels: Labels,
    directory: Path,
    written: Format,
    *,
    output: OutputKind,
    of: Callable[..., Any],
) -> NDArray[Any]:
    """Writes the encoder, which isn't trained, to the new `directory`; `of` its outputs of all
    queries, as it will serve them."""
    from transformers_hem.routers.encoder.torch_network import load_model

    source = chosen.open()
    model = load_model(source, output="states")
    write_encoder(model, QueryTokens(source), directory, written, output=output)
    return run_all(directory, chosen.max_tokens, labels.queries, output=output, of=of)
