"""The manifests that ship with the project, rendered from the specs that ship beside them.

    python -m inferencegraph.spec.examples manifests    rewrites manifests/ after a change here

A test holds specs and files together. The embedded pair answers in a few tokens and greedily, so
that example gives the same answers everywhere.
"""

import argparse
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeAlias

from inferencegraph.build.annotated import annotated
from inferencegraph.build.setup import Setup, objects
from inferencegraph.build.sites import ANSWER_STAGE, QUERY_STAGE
from inferencegraph.read.documents import MANIFESTS, parse
from inferencegraph.spec.origins import Origins, origins_in, origins_of
from inferencegraph.spec.rendering import resolved
from inferencegraph.spec.service import LLMJointInferenceService, parsed
from predictors.serving.command import run

Files: TypeAlias = dict[str, dict[str, Any]]  # file name -> object

SPECS: Final = Path("specs")
FOLDER: Final = Path("answer-generation")
DIGITS_FOLDER: Final = Path("digit-recognition")
LONG_FOLDER: Final = Path("long-answers")
STORED_FOLDER: Final = FOLDER / "own-models"
SMOLLM2_FOLDER: Final = Path("smollm2-and-api")
FOLDERS: Final = (
    FOLDER / QUERY_STAGE,
    FOLDER / ANSWER_STAGE,
    LONG_FOLDER,
    STORED_FOLDER,
    DIGITS_FOLDER,
    SMOLLM2_FOLDER,
)


@cache
def setup(folder: Path) -> Setup:
    """The values of the spec that makes `folder` below manifests/."""
    return resolved(_document(folder))


def _document(folder: Path) -> LLMJointInferenceService:
    (content,) = parse(MANIFESTS / SPECS / folder.with_suffix(".yaml"))
    values, _ = parsed(content)
    assert values is not None
    return values


def texts(folder: Path) -> dict[str, str]:
    """File name -> text of the folder's objects, with the fields that they come from."""
    made = setup(folder)
    return _texts(made, origins_of(_document(folder).spec, made))


def _texts(made: Setup, origins: Mapping[str, Origins]) -> dict[str, str]:
    return {
        name: annotated(content, origins_in(content, origins))
        for name, content in files(made).items()
    }


def files(setup: Setup) -> Files:
    """By names without the site's: edge.yaml, uplink.yaml, ..., and graph.yaml."""
    return {f"{_part(content, setup.name)}.yaml": content for content in objects(setup)}


def example(mode: str) -> Files:
    """Answer generation, by one mode."""
    return files(setup(FOLDER / mode))


def _part(content: dict[str, Any], name: str) -> str:
    if content["kind"] == "PersistentVolumeClaim":
        return "claim"
    return str(content["metadata"]["name"]).removeprefix(name).removeprefix("-") or "graph"


def write(root: Path, folder: Path, made: Setup | None = None) -> list[Path]:
    """Writes the objects into `folder` below `root`; its kustomization is kept by hand. `made`: in
    place of the folder's own values."""
    written = []
    for name, text in (texts(folder) if made is None else _texts(made, {})).items():
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
        for path in write(root, folder):
            print(path)


if __name__ == "__main__":
    run(_main)
