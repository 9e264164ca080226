"""Refuses InferenceGraphs that could never work, though KServe would accept and run them."""

from collections.abc import Mapping
from itertools import chain
from typing import Any

from inferencegraph.check.fields import check_fields
from inferencegraph.check.graphs import check_spec
from inferencegraph.router.spec import spec_of
from predictors.errors import ConfigurationError


def check(graph: Mapping[str, Any]) -> None:
    """Raises ConfigurationError naming node, step and reason. Takes the object or its spec.

    Stricter than the router itself, which answers as KServe's does even for graphs like these.
    """
    spec = spec_of(graph)
    for finding in chain(check_fields(spec, "InferenceGraphSpec", "spec"), check_spec(spec)):
        if finding.severity == "error":
            raise ConfigurationError(f"{finding.field}: {finding.message}")
