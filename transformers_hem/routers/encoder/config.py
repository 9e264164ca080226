"""Routers with an encoder on disk: config.json and the folder `encoder/` in Hugging Face format.

A KNNRouter's has neighbours.safetensors beside them, a KernelRouter's kernel.safetensors.
"""

from pathlib import Path
from typing import Literal

import orjson
from pydantic import Field

from predictors.errors import ConfigurationError
from transformers_hem.calibration.config import CalibratedConfig
from transformers_hem.routers.directory import (
    CONFIG_FILE,
    Config,
    read_config,
    read_file,
    sha256,
)

ENCODER = "encoder"
NEIGHBOURS_FILE = "neighbours.safetensors"
KERNEL_FILE = "kernel.safetensors"


class EncoderConfig(CalibratedConfig):
    """`max_tokens`: queries are cut to that many. `encoder` names what was trained, and
    `held_out_rows` counts the rows that thresholds and metrics are from. `files` is the sha256 of
    every other file of the directory, by its path there."""

    version: Literal[1] = 1
    max_tokens: int = Field(ge=1)
    encoder: str
    seed: int
    rows: int
    held_out_rows: int
    data_sha256: str
    epsilon: float = Field(default=0.0, ge=0)
    metrics: dict[str, float | int | str]
    files: dict[str, str]


class ClassifierConfig(EncoderConfig):
    """`hard_label` as the parameter of BERTRouter."""

    algorithm: Literal["BERTRouter", "LLMRouter"]
    hard_label: str


class NeighbourConfig(EncoderConfig):
    """`k` neighbours, weighted by softmax of cosine / `temperature`."""

    algorithm: Literal["KNNRouter"] = "KNNRouter"
    k: int = Field(ge=1)
    temperature: float = Field(gt=0)


class KernelConfig(EncoderConfig):
    algorithm: Literal["KernelRouter"] = "KernelRouter"


def fingerprints(directory: Path) -> dict[str, str]:
    """What `files` says of a directory that has no config.json yet."""
    paths = sorted(path for path in directory.rglob("*") if path.is_file())
    return {path.relative_to(directory).as_posix(): sha256(path.read_bytes()) for path in paths}


def read_encoder_config(directory: Path, kind: type[Config], algorithm: str) -> Config:
    """Raises ConfigurationError where a file is missing, damaged, or of another router."""
    _require(directory, algorithm)
    config = read_config(directory, kind)
    assert isinstance(config, EncoderConfig)
    for name, expected in config.files.items():
        if sha256(read_file(directory / name)) != expected:
            raise ConfigurationError(
                f"{directory / name} is damaged, or belongs to another {CONFIG_FILE}: "
                "its sha256 differs"
            )
    return config


def _require(directory: Path, algorithm: str) -> None:
    try:
        named = orjson.loads(read_file(directory / CONFIG_FILE)).get("algorithm")
    except (orjson.JSONDecodeError, AttributeError):
        return  # what is wrong with it is told by read_config
    if named not in (None, algorithm):
        raise ConfigurationError(f"{directory} is a {named}'s, not {algorithm}'s")
