"""Any spec that is valid renders to valid objects, and to the same bytes each time."""

import copy
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings, strategies as st

from inferencegraph.check.validate import validate
from inferencegraph.read.documents import Document
from inferencegraph.spec.output import to_text
from inferencegraph.spec.reading import expanded
from tests.inferencegraph.build.crds import FILES, violations

EXAMPLES = 500

_name = st.from_regex(r"[a-z][a-z0-9-]{0,12}[a-z0-9]", fullmatch=True)
_cpu = st.sampled_from([1, 2, "500m", "1.5", "4"])
_memory = st.sampled_from(["512Mi", "2Gi", "4G", "16Gi"])
_amounts = st.fixed_dictionaries({"cpu": _cpu, "memory": _memory})
_resource = st.fixed_dictionaries({"limits": _amounts})
_source = st.one_of(
    st.builds(lambda a, b: {"hub": f"{a}/{b}"}, _name, _name),
    st.builds(lambda claim, path: {"storageUri": f"pvc://{claim}/{path}"}, _name, _name),
    st.builds(lambda a, b: {"storageUri": f"hf://{a}/{b}"}, _name, _name),
    st.sampled_from([{"file": "embedded:edge"}, {"file": "embedded:cloud"}]),
)
_api = st.builds(
    lambda model, secret: {
        "name": model,
        "url": "https://api.example.com/v1",
        **({"secret": {"name": secret}} if secret else {}),
    },
    _name,
    st.none() | _name,
)
_sampling = st.fixed_dictionaries(
    {},
    optional={
        "maxTokens": st.integers(1, 4096),
        "temperature": st.floats(0, 2),
        "topP": st.floats(0.01, 1),
        "stop": st.lists(st.text(max_size=4), max_size=3),
        "seed": st.integers(0, 2**31),
    },
)
_mining = st.one_of(
    st.just({"name": "LinearRouter", "router": "embedded:linear"}),
    st.builds(lambda t: {"name": "ConfidenceRouter", "threshold": t}, st.floats(0, 1)),
    st.builds(
        lambda t: {
            "name": "ConfidenceRouter",
            "parameters": [{"key": "threshold", "value": str(t)}],
            "placement": "sidecar",
        },
        st.floats(0, 1),
    ),
    st.builds(
        lambda name, mode: {"name": name, "miningMode": mode},
        st.just("EdgeOnly"),
        st.just("mining-then-inference"),
    ),
)
_autoscaling = st.builds(
    lambda low, more, kind, metric: {
        "minReplicas": low,
        "maxReplicas": low + more,
        "class": kind,
        "metric": metric,
    },
    st.integers(1, 3),
    st.integers(0, 3),
    st.sampled_from(["hpa", "keda"]),
    st.sampled_from(["cpu", "memory"]),
)


@st.composite
def _worker(draw: st.DrawFn, source: st.SearchStrategy[dict[str, Any]]) -> dict[str, Any]:
    worker: dict[str, Any] = {"model": draw(source)}
    if draw(st.booleans()):
        worker["resource"] = draw(_resource)
    if draw(st.booleans()):
        worker["sampling"] = draw(_sampling)
    scaled = draw(st.sampled_from(["", "replicas", "autoscaling"]))
    if scaled and "url" not in worker["model"]:
        worker[scaled] = draw(st.integers(1, 4) if scaled == "replicas" else _autoscaling)
    uri = worker["model"].get("storageUri", "")
    if uri.startswith("pvc://") and draw(st.booleans()):
        worker["claim"] = {"size": "10Gi"}
    return worker


@st.composite
def _specs(draw: st.DrawFn) -> dict[str, Any]:
    sides = draw(st.sampled_from(["both", "both", "both", "edge", "cloud"]))
    spec: dict[str, Any] = {}
    if sides != "cloud":
        spec["edgeWorker"] = draw(_worker(_source))
        spec["edgeWorker"]["nodes"] = draw(st.lists(_name, max_size=3, unique=True))
    if sides != "edge":
        spec["cloudWorker"] = draw(_worker(_source | _api))
    if sides == "both" and draw(st.booleans()):
        spec["edgeWorker"]["hardExampleMining"] = draw(_mining)
    if draw(st.booleans()):
        spec["gateway"] = {"enabled": draw(st.booleans()), "sticky": draw(st.just("session"))}
    if draw(st.booleans()):
        spec["images"] = {"registry": "registry.example.com/team", "tag": "1.2.3"}
    if draw(st.booleans()):
        spec["timeouts"] = {"cloud": draw(st.floats(3, 120))}
    return {
        "apiVersion": draw(st.sampled_from(["kserve-hem.io/v1alpha1", "sedna.io/v1alpha2"])),
        "kind": "LLMJointInferenceService",
        "metadata": {"name": draw(_name)},
        "spec": spec,
    }


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(_specs())
def test_what_a_valid_spec_renders_is_valid_and_always_the_same(
    shared: Path, content: dict[str, Any]
) -> None:
    document = Document(Path("spec.yaml"), content)
    found = expanded([document])
    assert [problem for problem in found.problems if problem.severity == "error"] == []
    objects = [each.content for each in found.documents]
    errors = [each for each in validate(objects, complete=True) if each.severity == "error"]
    assert errors == []
    for each in objects:
        if each["kind"] in FILES:
            assert violations(shared / "crds", each) == []
    again = expanded([Document(document.path, copy.deepcopy(content))])
    assert to_text(again.documents) == to_text(found.documents)
