"""All checks of manifests, for `hem validate`, `hem up` and `hem router`; nothing asks a cluster.

They find what kubectl's strict validation and KServe's webhook refuse, and what neither does:
dangling nodeNames, bad gjson, a wrong PROTOCOL, containerConcurrency.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from inferencegraph.check.batch import check_cron_job, check_job
from inferencegraph.check.besides import (
    check_disruption_budget,
    check_ingress,
    check_network_policy,
    check_object_name,
)
from inferencegraph.check.containers import mapping
from inferencegraph.check.definitions.checking import Definitions
from inferencegraph.check.feedback import check_feedback
from inferencegraph.check.fields import check_fields, check_type
from inferencegraph.check.graphs import check_calls, check_graph, check_spec
from inferencegraph.check.kserve_types import CORE_KINDS, GROUP, NAMED_KINDS, UNCHECKED, VERSIONS
from inferencegraph.check.metadata import check_metadata
from inferencegraph.check.names import check_deployment_mode, check_name
from inferencegraph.check.places import check_places
from inferencegraph.check.problem import (
    Finding,
    Objects,
    Others,
    Problem,
    error,
    note,
    of_rule,
    unknown,
)
from inferencegraph.check.refused import (
    check_graph_pods,
    check_runtime_pods,
    check_selection,
    check_service_pods,
)
from inferencegraph.check.services import (
    check_components,
    check_model,
    check_multi_node,
    check_runtime,
)
from inferencegraph.check.storage import check_storage
from inferencegraph.check.webhook import check_webhook
from inferencegraph.read.documents import Document, identity
from inferencegraph.read.lines import line_of
from inferencegraph.router.spec import spec_of
from predictors.errors import ConfigurationError

KIND: Final = "kind"  # rules that every object is asked
METADATA: Final = "metadata"
SCHEMA: Final = "schema"
Check = Callable[[Mapping[str, Any], Others], Iterator[Finding]]

# Kind -> its checks, in the order in which they report. A new check is a function in a file of
# this folder and its name here.
CHECKS: Final[dict[str, tuple[Check, ...]]] = {
    "InferenceGraph": (
        check_fields,
        check_name,
        check_deployment_mode,
        check_graph,
        check_calls,
        check_graph_pods,
    ),
    "InferenceService": (
        check_fields,
        check_name,
        check_deployment_mode,
        check_components,
        check_model,
        check_multi_node,
        check_webhook,
        check_places,
        check_storage,
        check_feedback,
        check_selection,
        check_service_pods,
    ),
    "ServingRuntime": (check_fields, check_name, check_runtime, check_runtime_pods),
    "ClusterServingRuntime": (check_fields, check_name, check_runtime, check_runtime_pods),
    **dict.fromkeys(
        itertools.chain.from_iterable(CORE_KINDS.values()), (check_fields, check_object_name)
    ),
    **dict.fromkeys(itertools.chain.from_iterable(NAMED_KINDS.values()), (check_object_name,)),
    "CronJob": (check_fields, check_object_name, check_cron_job),
    "Ingress": (check_fields, check_object_name, check_ingress),
    "Job": (check_fields, check_object_name, check_job),
    "NetworkPolicy": (check_fields, check_object_name, check_network_policy),
    "PodDisruptionBudget": (check_fields, check_object_name, check_disruption_budget),
    "LLMInferenceService": (check_fields, check_name),
}


def validate(
    documents: Sequence[Mapping[str, Any]],
    sources: Sequence[Document] | None = None,
    *,
    complete: bool = False,
    definitions: Definitions | None = None,
) -> list[Problem]:
    """Every problem, in the order of the documents.

    sources: where each document came from, for the messages. complete: nothing but these documents
    exists (`hem up`), so whatever names an object that is not here is an error, not a warning.
    definitions: CRDs, whose whole schema takes the place of the fields that are known here.
    """
    problems: list[Problem] = []
    definitions = definitions or Definitions(())
    contents = [mapping(document) for document in documents]
    for index, content in enumerate(contents):
        source = sources[index] if sources else None
        name = f"{content.get('kind', '?')}/{mapping(content.get('metadata')).get('name', '?')}"
        problems += [
            problem(finding, name, source)
            for finding in _findings(content, contents, complete, definitions)
        ]
    return _once(problems)


def _once(problems: Sequence[Problem]) -> list[Problem]:
    """What a note says of a kind's schema is said once, and not of each object."""
    said: set[str] = set()
    kept = []
    for each in problems:
        if each.rule == SCHEMA and each.severity == "note":
            if each.message in said:
                continue
            said.add(each.message)
        kept.append(each)
    return kept


def problem(finding: Finding, name: str, source: Document | None) -> Problem:
    """A finding in the object called `name` (Kind/name), with its place."""
    return Problem(
        finding.severity,
        name,
        finding.field,
        finding.message,
        source.path if source else None,
        line_of(source, finding.field) if source else None,
        finding.rule,
    )


def refuse(
    documents: Sequence[Mapping[str, Any]], sources: Sequence[Document] | None = None
) -> None:
    """Raises ConfigurationError with every error, one on a line, where there is one."""
    problems = validate(documents, sources, complete=True)
    errors = [str(problem) for problem in problems if problem.severity == "error"]
    if errors:
        raise ConfigurationError("\n".join(errors))


def refuse_graph(graph: Mapping[str, Any]) -> None:
    """Raises ConfigurationError with the first error of an InferenceGraph, or of its spec alone.

    Stricter than the router itself, which runs also what can never work, as KServe's does.
    """
    spec = spec_of(graph)
    for finding in itertools.chain(
        check_type(spec, "InferenceGraphSpec", "spec"), check_spec(spec)
    ):
        if finding.severity == "error":
            raise ConfigurationError(f"{finding.field}: {finding.message}")


def rule_name(check: Callable[..., Any]) -> str:
    return check.__name__.removeprefix("check_").replace("_", "-")


def _findings(
    content: Mapping[str, Any],
    documents: Sequence[Mapping[str, Any]],
    complete: bool,
    definitions: Definitions,
) -> Iterator[Finding]:
    found = list(_by_rules(content, documents, complete, definitions.of(content) is not None))
    yield from found
    # The same fault is told once, by the rule that knows more of it than the schema.
    told = {finding.field for finding in found if finding.severity == "error"}
    for finding in of_rule(SCHEMA, definitions.check(content)):
        if finding.field not in told:
            yield finding


def _by_rules(
    content: Mapping[str, Any],
    documents: Sequence[Mapping[str, Any]],
    complete: bool,
    defined: bool,
) -> Iterator[Finding]:
    """defined: its fields are another's to check, by a CRD."""
    yield from of_rule(KIND, _of_kind(content, documents, defined))
    yield from of_rule(METADATA, check_metadata(content))
    kind, version = str(content.get("kind", "")), str(content.get("apiVersion", ""))
    if kind in VERSIONS or kind in _kinds(version):
        services = _visible(content, documents, ("InferenceService",))
        runtimes = _visible(content, documents, ("ServingRuntime", "ClusterServingRuntime"))
        storages = _visible(content, documents, ("ClusterStorageContainer",))
        others = Others(services, runtimes, complete, storages)
        for check in CHECKS[kind]:
            if defined and check is check_fields:
                continue
            yield from of_rule(rule_name(check), check(content, others))


def _of_kind(
    content: Mapping[str, Any], documents: Sequence[Mapping[str, Any]], defined: bool
) -> Iterator[Finding]:
    """Which kind of object it is, and whether it is there only once."""
    kind, version = str(content.get("kind", "")), str(content.get("apiVersion", ""))
    if kind in VERSIONS:
        expected = f"{GROUP}/{VERSIONS[kind]}"
        if version != expected:
            yield error("apiVersion", f"is {version!r}; for {kind} it is {expected!r}")
    elif defined:
        pass
    elif version.startswith(f"{GROUP}/") and kind not in UNCHECKED:
        yield unknown("kind", "kind", kind, (*VERSIONS, *UNCHECKED))
    elif not kind or not version:
        yield error("kind", "an object needs both apiVersion and kind")
    elif kind in UNCHECKED and kind in CORE_KINDS.get(version, ()):
        yield note("kind", f"of a {kind} the fields are checked here, not what KServe makes of it")
    elif kind not in _kinds(version):
        yield note("kind", f"{version} {kind} is not one that is checked here")
    before = itertools.takewhile(lambda other: other is not content, documents)
    if identity(content) in map(identity, before):
        yield error("metadata.name", "another document is the same object; keep one")


def _kinds(version: str) -> tuple[str, ...]:
    """Kinds of others than KServe that are checked, by their apiVersion."""
    return CORE_KINDS.get(version, NAMED_KINDS.get(version, ()))


def _visible(
    content: Mapping[str, Any], documents: Sequence[Mapping[str, Any]], kinds: Sequence[str]
) -> Objects:
    """By name, the documents of these kinds that `content` can name: those of its namespace, and
    those of the whole cluster."""
    namespace = mapping(content.get("metadata")).get("namespace")
    return {
        str(mapping(document.get("metadata")).get("name")): document
        for document in documents
        if document.get("kind") in kinds
        and (
            str(document.get("kind")).startswith("Cluster")
            or mapping(document.get("metadata")).get("namespace") == namespace
        )
    }
