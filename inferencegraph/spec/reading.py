"""Finds specs among documents, and puts the objects that they stand for in their place."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from inferencegraph.check.problem import Problem
from inferencegraph.read.documents import Document, objects
from inferencegraph.read.kustomize import load_documents
from inferencegraph.spec.kinds import is_config_map, is_converted, is_model, is_spec
from predictors.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Expanded:
    """`documents`: the objects, each with the file of its spec. `specs`: the specs among what was
    read, those of converted files too. `problems`: what is wrong in specs, whose errors give no
    objects, and what became of each field of a converted file."""

    documents: list[Document]
    specs: list[Document]
    problems: list[Problem]

    @property
    def errors(self) -> list[Problem]:
        return [problem for problem in self.problems if problem.severity == "error"]


def read_objects(paths: Sequence[Path]) -> Expanded:
    """Every object in manifests, with those that specs stand for in their place.

    Raises ConfigurationError with every error of the specs, one on a line.
    """
    read = expanded([document for path in paths for document in load_documents(path)])
    if read.errors:
        raise ConfigurationError("\n".join(map(str, read.errors)))
    return read


def load_objects(paths: Sequence[Path]) -> list[Document]:
    """The objects of `read_objects`."""
    return read_objects(paths).documents


def check_text(text: str, path: Path) -> None:
    """Raises ConfigurationError with every error of the specs in a text of YAML for `path`."""
    if errors := expanded(objects(text, path)).errors:
        raise ConfigurationError("\n".join(map(str, errors)))


def expanded(documents: Sequence[Document]) -> Expanded:
    """Model objects beside specs are read with them, and are no objects of their own then."""
    if not any(is_spec(each.content) or is_converted(each.content) for each in documents):
        return Expanded(list(documents), [], [])
    # Imported where there is a spec: it brings pydantic's models and the algorithms.
    from inferencegraph.spec.expanding import Expansion

    expansion = Expansion(
        [each for each in documents if is_model(each.content)],
        [each for each in documents if is_config_map(each.content)],
    )
    found: list[Document] = []
    for document in documents:
        if is_spec(document.content):
            found += expansion.of_spec(document)
        elif is_converted(document.content):
            found += expansion.of_converted(document)
        elif not is_model(document.content):
            found.append(document)
    return Expanded(found, expansion.specs, [*expansion.problems, *expansion.unused()])
