"""The model of KServe comes to an end whatever stands in models, runtimes and workers."""

import copy
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given, settings, strategies as st

from inferencegraph.check.reconciled.site import reconciled
from inferencegraph.check.validate import validate
from inferencegraph.read.kustomize import load

RUNTIMES: Final = Path(__file__).resolve().parents[4] / "manifests/runtimes/examples"
KINDS: Final = ("InferenceService", "ServingRuntime")
NAMES: Final = ("predictor", "small", "vllm-multi-node", "qwen-large")

_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=4,
)


def _places(node: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) in a manifest."""
    keys: Any = node if isinstance(node, dict) else range(len(node))
    found = [(node, key) for key in keys]
    inner = [node[key] for key in keys if isinstance(node[key], dict | list)]
    return found + [place for part in inner for place in _places(part)]


@pytest.fixture(scope="module")
def documents() -> list[dict[str, Any]]:
    found = [
        content
        for content in load(RUNTIMES)
        if content["kind"] in KINDS and content["metadata"]["name"] in NAMES
    ]
    assert len(found) == len(NAMES)
    return found


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_whatever_stands_there(documents: list[dict[str, Any]], data: st.DataObject) -> None:
    changed = copy.deepcopy(documents)
    holder, key = data.draw(st.sampled_from(_places(changed)))
    holder[key] = data.draw(_json)
    for problem in validate(changed):
        assert problem.message
        assert problem.field
    for made in reconciled(changed):
        assert made["kind"]
