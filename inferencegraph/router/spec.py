"""An InferenceGraph as KServe's router reads it: unknown fields ignored, types checked."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from inferencegraph.read import documents
from predictors.errors import ConfigurationError, first_fault


class _Part(BaseModel):
    model_config = ConfigDict(
        frozen=True, strict=True, alias_generator=to_camel, hide_input_in_errors=True
    )

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, fields: Any) -> Any:
        if not isinstance(fields, Mapping):
            return fields
        return {name: value for name, value in fields.items() if value is not None}


class Step(_Part):
    """One of node_name, service_name and service_url says who answers it."""

    name: str = ""
    node_name: str = ""
    service_name: str = ""
    service_url: str = ""
    data: str = ""
    map_predictions_to_instances: bool = False
    weight: int | None = None
    condition: str = ""
    dependency: str = ""


class Node(_Part):
    router_type: str = ""
    steps: list[Step] = []


class RouterTimeouts(_Part):
    """Seconds, with the defaults of KServe's router; 0, or no service_client, means no limit."""

    server_read: int = 60
    server_write: int = 60
    server_idle: int = 180
    service_client: int | None = None


class GraphSpec(_Part):
    """`timeout` is not here: KServe gives it to Knative, the router never sees it."""

    nodes: dict[str, Node] = {}
    router_timeouts: RouterTimeouts = RouterTimeouts()


def spec_of(graph: Mapping[str, Any]) -> Mapping[str, Any]:
    """The spec of a whole InferenceGraph object, or `graph` itself where it is the spec."""
    if "spec" not in graph:
        return graph
    if not isinstance(graph["spec"], Mapping):
        raise ConfigurationError("spec: must be a mapping with the graph's nodes")
    return graph["spec"]


def parse(graph: Mapping[str, Any]) -> GraphSpec:
    """Reads an InferenceGraph or its spec. Raises ConfigurationError for fields of a wrong type."""
    try:
        return GraphSpec.model_validate(spec_of(graph))
    except ValidationError as error:
        place, message, _ = first_fault(error)
        raise ConfigurationError(f"{place or 'the graph'}: {message}") from None


def read_graph(text: str) -> dict[str, Any]:
    """The InferenceGraph, or its spec, that `text` is as JSON. Raises ConfigurationError."""
    try:
        graph = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ConfigurationError(f"--graph-json is not JSON: {error}") from None
    if not isinstance(graph, dict):
        raise ConfigurationError("--graph-json is JSON, but not an object")
    return graph


def load_graph(path: Path, name: str | None = None) -> dict[str, Any]:
    """The InferenceGraph in `path` (YAML or JSON, among other objects or alone), or a bare spec.

    `name` chooses where the file has several. Raises ConfigurationError.
    """
    items = [item for item in documents.parse(path) if isinstance(item, dict)]
    if len(items) == 1 and "kind" not in items[0] and "nodes" in items[0]:
        return items[0]
    graphs = {
        documents.identity(document.content)[-1]: document.content
        for document in documents.read(path)
        if document.content["kind"] == "InferenceGraph"
    }
    if name is None and len(graphs) == 1:
        return next(iter(graphs.values()))
    if name in graphs:
        return graphs[name]
    if not graphs:
        raise ConfigurationError(f"{path}: has no InferenceGraph")
    wanted = "choose one by name" if name is None else f"none is called {name!r}"
    raise ConfigurationError(f"{path}: {wanted}; InferenceGraphs in it: {', '.join(graphs)}")
