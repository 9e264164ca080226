"""Finds specs among documents, and puts the objects that they stand for in their place."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from inferencegraph.check.containers import mapping
from inferencegraph.check.problem import Problem, of_rule
from inferencegraph.check.validate import problem
from inferencegraph.read.documents import Document, objects
from inferencegraph.read.kustomize import load_documents
from predictors.errors import ConfigurationError

KIND: Final = "LLMJointInferenceService"


@dataclass(frozen=True, slots=True)
class Expanded:
    """`documents`: the objects, each with the file of its spec. `specs`: the specs among what was
    read. `problems`: what is wrong in specs, which gave no objects then."""

    documents: list[Document]
    specs: list[Document]
    problems: list[Problem]


def is_spec(content: Mapping[str, Any]) -> bool:
    return content.get("kind") == KIND


def load_objects(paths: Sequence[Path]) -> list[Document]:
    """Every object in manifests, with those that specs stand for in their place.

    Raises ConfigurationError with every fault of the specs, one on a line.
    """
    read = expanded([document for path in paths for document in load_documents(path)])
    if read.problems:
        raise ConfigurationError("\n".join(map(str, read.problems)))
    return read.documents


def check_text(text: str, path: Path) -> None:
    """Raises ConfigurationError with every fault of the specs in a text of YAML for `path`."""
    if problems := expanded(objects(text, path)).problems:
        raise ConfigurationError("\n".join(map(str, problems)))


def expanded(documents: Sequence[Document]) -> Expanded:
    specs = [document for document in documents if is_spec(document.content)]
    if not specs:
        return Expanded(list(documents), [], [])
    # Imported where there is a spec: it brings pydantic's models and the algorithms.
    from inferencegraph.spec.faults import SpecFaults
    from inferencegraph.spec.rendering import rendered
    from inferencegraph.spec.service import parsed

    found: list[Document] = []
    problems: list[Problem] = []
    for document in documents:
        if not is_spec(document.content):
            found.append(document)
            continue
        values, findings = parsed(document.content)
        try:
            made = rendered(values) if values else []
        except SpecFaults as faults:
            findings += faults.findings
        if findings:
            name = f"{KIND}/{mapping(document.content.get('metadata')).get('name', '?')}"
            found_here = of_rule("spec", findings)
            problems += [problem(each, name, document) for each in found_here]
            continue
        found += [Document(document.path, content) for content in made]
    return Expanded(found, specs, problems)
