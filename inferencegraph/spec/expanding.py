"""From specs, and other systems' files, to objects, with the Model objects beside them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from inferencegraph.check.containers import mapping
from inferencegraph.check.problem import Finding, Problem, error, of_rule
from inferencegraph.check.validate import problem
from inferencegraph.read.documents import IANVS, Document
from inferencegraph.spec import ianvs, sedna
from inferencegraph.spec.faults import SpecFaults
from inferencegraph.spec.kinds import SEDNA_GROUP, is_converted, is_model
from inferencegraph.spec.models import own_model, read_model
from inferencegraph.spec.origins import origins_in, origins_of
from inferencegraph.spec.rendering import (
    CLOUD_FIELD,
    EDGE_FIELD,
    design_warnings,
    image_warnings,
    rendered,
    resolved,
    warnings,
)
from inferencegraph.spec.report import Report, Source
from inferencegraph.spec.resolve import located_source
from inferencegraph.spec.service import LLMJointInferenceService, parsed
from inferencegraph.spec.sources import ModelSource
from predictors.errors import ConfigurationError, known

_UNUSED: Final = Finding("warning", "metadata.name", "no spec uses it", "spec")

Object = dict[str, Any]


def convert(documents: Sequence[Mapping[str, Any]]) -> tuple[Object, Report]:
    """The first file of Sedna's or Ianvs's among documents as a spec, with what became of each of
    its fields; where the report has errors the spec is incomplete. Raises ConfigurationError where
    there is no such file."""
    for content in documents:
        if is_converted(content):
            models = _beside(content, [each for each in documents if is_model(each)])
            document, report, _ = _converted(content, models)
            return document, report
    raise ConfigurationError("there is no JointInferenceService of Sedna's and no test of Ianvs's")


class Expansion:
    """Turns one document after the other into objects; `models` and `config_maps` are the Model
    objects and ConfigMaps beside them.

    `specs` and `problems` are those so far.
    """

    def __init__(self, models: Sequence[Document], config_maps: Sequence[Document] = ()) -> None:
        self.models, self.config_maps = list(models), list(config_maps)
        self.specs: list[Document] = []
        self.problems: list[Problem] = []
        self._used: set[int] = set()

    def of_spec(self, document: Document) -> list[Document]:
        content = document.content
        beside = _beside(content, [each.content for each in self.models])
        spec, faults = parsed(content)
        self._tell(document, faults)
        if spec is None:
            return []
        sides = {EDGE_FIELD: spec.spec.edge_worker, CLOUD_FIELD: spec.spec.cloud_worker}
        named = {
            f"{field}.model.name": worker.model.name or ""
            for field, worker in sides.items()
            if worker and worker.model and not worker.model.sources
        }
        names = set(named.values())
        self._use(beside, names)
        if beside and (missing := {at: name for at, name in named.items() if name not in beside}):
            self._tell(
                document,
                [
                    error(at, f"no Model {name!r} beside the spec; {known(name, beside)}")
                    for at, name in missing.items()
                ],
            )
            return []
        sources = {name: self._source(beside[name]) for name in names if name in beside}
        found = {name: source for name, source in sources.items() if source is not None}
        made = self._rendered(document, spec, found) if len(found) == len(sources) else []
        return [] if faults else made

    def of_converted(self, document: Document) -> list[Document]:
        beside = _beside(document.content, [each.content for each in self.models])
        content, report, names = _converted(document.content, beside)
        self._use(beside, names)
        files = {f"Model/{name}": self._document(beside[name]) for name in names}
        for entry in report:
            ruled = replace(entry.finding, rule="sedna")
            source = files.get(entry.object, document)
            self.problems.append(problem(ruled, entry.object, source))
        if any(entry.severity == "error" for entry in report):
            return []
        document = Document(document.path, content)
        spec, faults = parsed(content)
        self._tell(document, faults)
        made = [] if spec is None or faults else self._rendered(document, spec, {})
        # The fields are those of a spec that nobody has written.
        return [replace(each, origins={}) for each in made]

    def unused(self) -> list[Problem]:
        """Warnings about Models that no spec names."""
        return [
            problem(_UNUSED, _name(each.content), each)
            for each in self.models
            if id(each.content) not in self._used
        ]

    def _rendered(
        self,
        document: Document,
        spec: LLMJointInferenceService,
        models: Mapping[str, ModelSource],
    ) -> list[Document]:
        try:
            beside = _beside(document.content, [each.content for each in self.config_maps])
            setup = resolved(spec, models, document.path.parent, beside)
            made = rendered(spec, setup)
        except SpecFaults as faults:
            self._tell(document, faults.findings)
            return []
        self._tell(
            document, [*warnings(spec, models), *image_warnings(setup), *design_warnings(setup)]
        )
        self.specs.append(document)
        origins = origins_of(spec.spec, setup)
        return [
            Document(document.path, content, origins=origins_in(content, origins))
            for content in made
        ]

    def _source(self, content: Mapping[str, Any]) -> ModelSource | None:
        """The source of a Model beside a spec; what is wrong in it is told as the Model's own."""
        source: ModelSource | None = None
        if str(content.get("apiVersion")).startswith(SEDNA_GROUP):
            model = Source(_name(content), content)
            found = read_model(model, None, "spec.model")
            findings = [each.finding for each in model.report() if each.severity != "note"]
            if found and not any(each.severity == "error" for each in findings):
                source = ModelSource.model_validate(found)
        else:
            try:
                source, findings = own_model(content), []
            except SpecFaults as faults:
                findings = faults.findings
        document = self._document(content)
        self._tell(document, findings)
        return located_source(source, document.path.parent) if source else None

    def _use(self, beside: Mapping[str, Mapping[str, Any]], names: set[str]) -> None:
        self._used |= {id(beside[name]) for name in names if name in beside}

    def _document(self, content: Mapping[str, Any]) -> Document:
        return next(each for each in self.models if each.content is content)

    def _tell(self, document: Document, findings: Sequence[Finding]) -> None:
        name = _name(document.content)
        self.problems += [problem(each, name, document) for each in of_rule("spec", findings)]


def _converted(
    content: Mapping[str, Any], models: Mapping[str, Mapping[str, Any]]
) -> tuple[Object, Report, set[str]]:
    if content.get("apiVersion") == IANVS:
        return *ianvs.converted(content), set()
    return sedna.converted(content, models)


def _beside(
    content: Mapping[str, Any], others: Sequence[Mapping[str, Any]]
) -> dict[str, Mapping[str, Any]]:
    """Those that a document can name, by their names: of its namespace, or of none."""
    namespace = mapping(content.get("metadata")).get("namespace")
    found = {}
    for each in others:
        metadata = mapping(each.get("metadata"))
        if None in (namespace, metadata.get("namespace")) or metadata["namespace"] == namespace:
            found[str(metadata.get("name"))] = each
    return found


def _name(content: Mapping[str, Any]) -> str:
    return f"{content.get('kind')}/{mapping(content.get('metadata')).get('name', '?')}"
