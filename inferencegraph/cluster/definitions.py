"""The CRDs that a cluster has of the kinds of some objects."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from inferencegraph.check.definitions.definition import Definition
from inferencegraph.check.definitions.reading import KIND, VERSION, definitions_of
from inferencegraph.cluster.api import Cluster
from inferencegraph.cluster.failures import ClusterError
from inferencegraph.read.documents import Document


def definitions_in(cluster: Cluster, documents: Sequence[Document]) -> list[Definition]:
    """None where the account may not read CRDs, or the library for them is not installed: the API
    server judges the objects anyway; these tell lines, and what an older or newer KServe has.

    Raises ClusterError where the API server can't be asked at all.
    """
    if find_spec("jsonschema_rs") is None:
        return []
    kinds = {(each.content["apiVersion"], each.content["kind"]) for each in documents}
    wanted = [cluster.find(*each) for each in sorted(kinds, key=str) if "." in str(each[0])]
    definition = cluster.resource(VERSION, KIND)
    found: list[Definition] = []
    for name in dict.fromkeys(resource.name for resource in wanted if resource):
        try:
            content = cluster.find_object(definition, None, name)
        except ClusterError as error:
            if error.code != 403:
                raise
            return found
        if content is not None:
            found += list(definitions_of(content, Path(f"{cluster.server} {name}")))
    return found
