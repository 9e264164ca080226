"""Options of the engine."""

from typing import Literal, TypeAlias

from pydantic import Field

from predictors.settings import EngineSettings

Activation: TypeAlias = Literal["auto", "softmax", "sigmoid", "none"]


class ClassifierSettings(EngineSettings):
    model_dir: str = Field(
        description="Hugging Face directory or hub id of a classifier or detector; an .onnx, "
        "TorchScript or torch.export file, or the directory it is in; digits:edge"
    )
    revision: str | None = Field(None, description="branch, tag or commit of a hub id")
    output: str = Field(
        "", description="name of the model's output that has the scores of the classes"
    )
    activation: Activation = Field(
        "auto",
        description="what makes probabilities of that output; auto: none where its rows are "
        "probabilities, softmax where they are not",
    )
    min_box_score: float = Field(
        0.5, ge=0, le=1, description="detectors of Hugging Face: boxes below it are left out"
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="auto: the GPU where there is one"
    )
    threads: int | None = Field(
        None, ge=1, description="CPU threads (OMP_NUM_THREADS, else the library's own)"
    )
    missing_values: bool = Field(
        False, description="take NaN in inputs, as models of trees do; else it is a 400"
    )
    max_batch_size: int = Field(64, ge=1, description="rows computed at once; more are cut up")
    max_queue: int = Field(1024, ge=1, description="waiting requests; above it: 503")
