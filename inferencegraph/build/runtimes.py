"""The ServingRuntimes that ship, one for each inference engine, flat for each accelerator.

    python -m inferencegraph.build.runtimes manifests/runtimes    rewrites them after a change here
    python -m inferencegraph.build.runtimes DIR --accelerator vendor.com/device    for another one

The images stand in each folder's images.yaml, a ConfigMap, which is written where there is none yet
and read where there is one. A test holds files and builders together.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from inferencegraph.build.accelerators import ACCELERATORS, Accelerator, accelerator_of
from inferencegraph.build.annotated import annotated
from inferencegraph.build.engine import IN_A_RUNTIME, Engine
from inferencegraph.build.engine_images import IMAGES
from inferencegraph.build.engine_table import ENGINES
from inferencegraph.build.serving_runtime import serving_runtime
from inferencegraph.read.documents import parse
from inferencegraph.read.kustomization import FILE_NAMES
from predictors.errors import ConfigurationError
from predictors.serving.command import run

IMAGES_FILE: Final = "images.yaml"
CONFIG_MAP: Final = "inference-engine-config"
_FROM_CONFIG_MAP: Final = "# From the ConfigMap inference-engine-config in images.yaml.\n"


def engines(accelerator: Accelerator) -> dict[str, Engine]:
    """As a ServingRuntime starts them on that accelerator."""
    return {name: accelerator.adapted(name, of(IN_A_RUNTIME)) for name, of in ENGINES.items()}


def runtimes(accelerator: Accelerator, images: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Name -> ServingRuntime; `images` by engine. Raises ConfigurationError where one is absent."""
    return {
        name: serving_runtime(name, engine, accelerator.resource, _image(name, engine, images))
        for name, engine in engines(accelerator).items()
    }


def _image(name: str, engine: Engine, images: Mapping[str, str]) -> str:
    key = engine.image or name
    if key not in images:
        raise ConfigurationError(f"{IMAGES_FILE} has no image for {key!r}; add it under data")
    return images[key]


def write(folder: Path, accelerator: Accelerator) -> list[Path]:
    """Writes the runtimes, their images where they are not written yet, and a kustomization."""
    folder.mkdir(parents=True, exist_ok=True)
    images_file = folder / IMAGES_FILE
    if not images_file.exists():
        images_file.write_text(_images_text({**IMAGES, **accelerator.images}), encoding="utf-8")
    texts = folder_texts(accelerator, _images(images_file))
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [images_file, *(folder / name for name in texts)]


def folder_texts(accelerator: Accelerator, images: Mapping[str, str]) -> dict[str, str]:
    """File name -> text, but for images.yaml."""
    texts = {}
    named = engines(accelerator)
    for name, runtime in runtimes(accelerator, images).items():
        about = "".join(f"# {line}\n" for line in named[name].about.splitlines())
        texts[f"{name}.yaml"] = about + _FROM_CONFIG_MAP + annotated(runtime)
    fields = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [IMAGES_FILE, *texts],
    }
    about = f"# A ServingRuntime for each engine, for nodes with {accelerator.resource} or none.\n"
    texts[FILE_NAMES[0]] = about + yaml.safe_dump(fields, sort_keys=False)
    return texts


def _images_text(images: Mapping[str, str]) -> str:
    fields = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": CONFIG_MAP},
        "data": dict(sorted(images.items())),
    }
    return (
        "# The images of all inference engines, in one place. In production name the versions "
        "that\n"
        "# you have tested, then: python -m inferencegraph.build.runtimes manifests/runtimes\n"
        + yaml.safe_dump(fields, sort_keys=False)
    )


def _images(file: Path) -> dict[str, str]:
    (content,) = parse(file) or [None]
    data = content.get("data") if isinstance(content, dict) else None
    if not isinstance(data, dict) or content["kind"] != "ConfigMap":
        raise ConfigurationError(f"{file}: is not a ConfigMap with data of engine: image")
    return {str(name): str(image) for name, image in data.items()}


def _main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Writes ServingRuntimes.")
    parser.add_argument("root", type=Path, help="e.g. manifests/runtimes")
    parser.add_argument(
        "--accelerator",
        metavar="RESOURCE",
        help="only for this one, e.g. vendor.com/device, into the folder itself",
    )
    options = parser.parse_args(arguments)
    wanted = {name: (options.root / name, each) for name, each in ACCELERATORS.items()}
    if options.accelerator:
        wanted = {"": (options.root, accelerator_of(options.accelerator))}
    for folder, accelerator in wanted.values():
        for path in write(folder, accelerator):
            print(path)


if __name__ == "__main__":
    run(_main)
