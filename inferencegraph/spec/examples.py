"""The manifests that ship with the project, rendered from the specs that ship beside them.

    python -m inferencegraph.spec.examples manifests    rewrites manifests/ after a change here

A test holds specs and files together. The embedded pair answers in a few tokens and greedily, so
that example gives the same answers everywhere.
"""

import argparse
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeAlias

from inferencegraph.build.annotated import annotated
from inferencegraph.build.pods import COMPONENT_LABEL
from inferencegraph.build.setup import MODELS, Objects, Setup, objects
from inferencegraph.read.documents import MANIFESTS, parse
from inferencegraph.spec.origins import Origins, origins_in, origins_of
from inferencegraph.spec.rendering import rendered, resolved
from inferencegraph.spec.service import LLMJointInferenceService, parsed
from predictors.serving.command import run

Files: TypeAlias = dict[str, dict[str, Any]]  # file name -> object

SPECS: Final = Path("specs")
FOLDER: Final = Path("answer-generation")
DIGITS_FOLDER: Final = Path("digit-recognition")
STORED_FOLDER: Final = FOLDER / "own-models"
_RESOURCES: Final = re.compile(r"^resources:\n(  - .*\n)+", re.MULTILINE)
# Below manifests/, one for each spec below manifests/specs.
FOLDERS: Final = tuple(
    sorted(
        path.relative_to(MANIFESTS / SPECS).with_suffix("")
        for path in (MANIFESTS / SPECS).rglob("*.yaml")
    )
)


@cache
def _spec(folder: Path) -> LLMJointInferenceService:
    """The spec that makes `folder` below manifests/."""
    (content,) = parse(MANIFESTS / SPECS / folder.with_suffix(".yaml"))
    values, _ = parsed(content)
    assert values is not None
    return values


def setup(folder: Path) -> Setup:
    """The values of a folder's spec, but for its pod templates."""
    return resolved(_spec(folder))


def shipped(folder: Path) -> Files:
    """The files of a folder, without its kustomization."""
    spec = _spec(folder)
    return _named(rendered(spec, setup(folder)), spec.metadata.name)


def texts(folder: Path) -> dict[str, str]:
    """The same as text, with the fields of the spec that lines come from."""
    return _texts(shipped(folder), origins_of(_spec(folder).spec, setup(folder)))


def _texts(made: Files, origins: Mapping[str, Origins]) -> dict[str, str]:
    return {
        name: annotated(content, origins_in(content, origins)) for name, content in made.items()
    }


def files(setup: Setup) -> Files:
    """By names without the site's: edge.yaml, uplink.yaml, ..., and graph.yaml."""
    return _named(objects(setup), setup.name)


def example(mode: str) -> Files:
    """Answer generation, by one mode."""
    return shipped(FOLDER / mode)


def _named(made: Objects, name: str) -> Files:
    return {f"{_part(content, name)}.yaml": content for content in made}


def _part(content: dict[str, Any], name: str) -> str:
    is_model = content["metadata"]["labels"][COMPONENT_LABEL] == MODELS
    if content["kind"] == "PersistentVolumeClaim" and is_model:
        return "claim"
    if content["kind"] == "Job":  # whose name tells its pod, too
        return str(content["metadata"]["labels"][COMPONENT_LABEL])
    part = str(content["metadata"]["name"]).removeprefix(name).removeprefix("-") or "graph"
    return f"{part}-budget" if content["kind"] == "PodDisruptionBudget" else part


def write(root: Path, folder: Path, made: Files) -> list[Path]:
    """Writes the objects into `folder` below `root`."""
    return _write(root, folder, _texts(made, {}))


def _write(root: Path, folder: Path, made: Mapping[str, str]) -> list[Path]:
    """Writes the texts into `folder` below `root`. Of its kustomization, which is kept by hand,
    the list of resources."""
    written = []
    kustomization = root / folder / "kustomization.yaml"
    if kustomization.is_file():
        listed = "".join(f"  - {name}\n" for name in made)
        text = _RESOURCES.sub(f"resources:\n{listed}", kustomization.read_text(encoding="utf-8"))
        kustomization.write_text(text, encoding="utf-8")
    for name, text in made.items():
        path = root / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        written.append(path)
    return written


def _main() -> None:
    parser = argparse.ArgumentParser(description="Writes the shipped manifests.")
    parser.add_argument("root", type=Path, help="the manifests folder, e.g. manifests")
    root = parser.parse_args().root
    for folder in FOLDERS:
        for path in _write(root, folder, texts(folder)):
            print(path)


if __name__ == "__main__":
    run(_main)
