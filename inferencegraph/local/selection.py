"""Which of the objects in manifests run on this machine; what can't run here is refused."""

import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from inferencegraph.check.containers import mapping, sequence
from predictors.errors import ConfigurationError, known

Object = dict[str, Any]

SERVICE: Final = "InferenceService"
GRAPH: Final = "InferenceGraph"
SEDNA: Final = "sedna.io/"
# Kinds of KServe that serve models by what only a cluster has.
LLM_SERVICE: Final = "LLMInferenceService"
ON_A_CLUSTER: Final = frozenset({"ServingRuntime", "ClusterServingRuntime", LLM_SERVICE})
JOBS: Final = frozenset({"Job", "CronJob"})
RETRAIN: Final = "hem retrain"
_SHOWN: Final = 6


def services_of(documents: Sequence[Object], paths: Sequence[Path]) -> list[Object]:
    """The InferenceServices. Raises ConfigurationError, in one line, where there is none, and for
    what the others need but only a cluster has."""
    services = [document for document in documents if document["kind"] == SERVICE]
    for document in documents:
        if document["kind"] == LLM_SERVICE:
            raise ConfigurationError(_llm_service(document, paths))
    if not services:
        where = ", ".join(map(str, paths))
        raise ConfigurationError(f"{where}: nothing to run: {_way_out(documents)}")
    return services


def jobs_left_out(documents: Sequence[Object]) -> Iterator[str]:
    """Notes about jobs, which a cluster's clock starts, with what a person can run in their
    place."""
    for document in documents:
        if document["kind"] not in JOBS:
            continue
        spec = mapping(document.get("spec"))
        job = mapping(mapping(spec.get("jobTemplate")).get("spec")) or spec
        pod = mapping(mapping(job.get("template")).get("spec"))
        container = mapping(next(iter(sequence(pod.get("containers"))), None))
        words = [*sequence(container.get("command")), *sequence(container.get("args"))]
        told = f"; it is: {shlex.join(map(str, words))}" if words else ""
        yield f"{document['kind']} {_name(document)} does not run here{told}"


def jobs_hint(notes: Sequence[str]) -> Iterator[str]:
    """What the commands in these notes need beside what stands in them."""
    if any(f"; it is: {RETRAIN} " in note for note in notes):
        yield (
            f"{RETRAIN} needs --router, the folder of versions, and --store, or HEM_ROUTER and "
            "HEM_FEEDBACK_STORE"
        )


def chosen_graphs(documents: Sequence[Object], name: str | None) -> list[Object]:
    """All InferenceGraphs, or the one called `name`."""
    graphs = [document for document in documents if document["kind"] == GRAPH]
    chosen = [graph for graph in graphs if name in (None, graph["metadata"]["name"])]
    if name is not None and not chosen:
        names = [graph["metadata"]["name"] for graph in graphs]
        raise ConfigurationError(f"unknown graph {name!r}; {known(name, names)}")
    return chosen


def _llm_service(document: Object, paths: Sequence[Path]) -> str:
    where = ", ".join(map(str, paths))
    return (
        f"{where}: {LLM_SERVICE} {_name(document)!r} does not run here; these are for a cluster, "
        "by hem apply; here leave llmInferenceService out of cloudWorker, or give model.url of a "
        "server (vllm serve, an API)"
    )


def _way_out(documents: Sequence[Object]) -> str:
    kinds = {str(document["kind"]) for document in documents}
    if sednas := [item for item in documents if str(item["apiVersion"]).startswith(SEDNA)]:
        named = f"{sednas[0]['kind']} {_name(sednas[0])!r} is Sedna's"
        return f"{named}; of its kinds JointInferenceService is run, with the Models that it names"
    if GRAPH in kinds:
        graph = next(item for item in documents if item["kind"] == GRAPH)
        called = list(dict.fromkeys(_called(graph)))
        if not called:
            way = "`hem router --graph FILE` runs it in front of services that run elsewhere"
            return f"{GRAPH} {_name(graph)!r} has no {SERVICE} beside it; {way}"
        shown = ", ".join(called[:_SHOWN])
        return (
            f"{GRAPH} {_name(graph)!r} calls {shown}, but there is no {SERVICE} here; name the "
            "folder or the files that have them, too (-f is repeatable)"
        )
    found = ", ".join(
        f"{count} {kind}" for kind, count in Counter(str(d["kind"]) for d in documents).items()
    )
    if kinds & ON_A_CLUSTER:
        return (
            f"no {SERVICE} in it (found: {found}); these are for a cluster: kubectl apply, and "
            "`hem validate` checks them"
        )
    return f"no {SERVICE} in it (found: {found}); docs/manifests.md shows what a site has"


def _called(graph: Mapping[str, Any]) -> Iterator[str]:
    for node in mapping(mapping(graph.get("spec")).get("nodes")).values():
        for step in sequence(mapping(node).get("steps")):
            if mapping(step).get("serviceName"):
                yield str(step["serviceName"])


def _name(document: Mapping[str, Any]) -> str:
    return str(mapping(document.get("metadata")).get("name", "?"))
