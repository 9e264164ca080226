"""What training writes into a router's folder `encoder/`, and how it then runs it."""

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from predictors.errors import ConfigurationError
from transformers_hem.algorithms.base import AlgorithmParameters
from transformers_hem.labels.labels import Labels
from transformers_hem.routers.encoder.directory import TOKENIZER_FILE, EncoderDirectory
from transformers_hem.routers.encoder.network import (
    Output,
    OutputKind,
    open_network,
)
from transformers_hem.routers.encoder.runner import FairRunner
from transformers_hem.routers.encoder.tokens import QueryTokens
from transformers_hem.routers.judgement import Judgement

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


def require_libraries(wanted: Format) -> None:
    """Raises ConfigurationError that says what to install."""
    needed = {"huggingface": ["torch", "transformers"]}
    if wanted != "safetensors":
        needed["onnx-export"] = ["onnx", "onnxscript", "onnxruntime"]
    for extra, names in needed.items():
        missing = [name for name in names if find_spec(name) is None]
        if missing:
            raise ConfigurationError(
                f"training this needs {', '.join(missing)}: install kserve-hem[{extra}]"
            )


def open_source(parameters: EncoderTraining) -> EncoderDirectory:
    """Raises ConfigurationError where it can't be trained from."""
    directory = EncoderDirectory.open(parameters.encoder, parameters.max_tokens)
    directory.backend("torch")
    return directory


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


def described(
    chosen: EncoderTraining,
    labels: Labels,
    judged: Labels,
    judgement: Judgement,
    learner: str,
    seed: int,
) -> dict[str, Any]:
    """The fields that every `EncoderConfig` has, but for its `files`: of a router that `learner`
    made from `labels`, and whose `judgement` is of the rows `judged`."""
    return {
        "max_tokens": chosen.max_tokens,
        "encoder": chosen.source,
        "threshold": judgement.threshold,
        "probability": judgement.probability,
        "scores": judgement.scores,
        "seed": seed,
        "rows": len(labels.queries),
        "held_out_rows": len(judged.queries),
        "data_sha256": labels.sha256,
        "epsilon": labels.epsilon,
        "metrics": {"learner": learner, **judgement.metrics},
    }


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
    parts = []
    for start in range(0, len(texts), _ROWS):
        chunk: list[Output] = runner.run([texts[i] for i in order[start : start + _ROWS]])
        parts.append(of(chunk))
    found = np.concatenate(parts)
    ordered = np.empty_like(found)
    ordered[order] = found
    return ordered
