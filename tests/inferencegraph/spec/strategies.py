"""Specs as people may write them, for hypothesis."""

from typing import Any

from hypothesis import strategies as st

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
_designs = st.one_of(
    st.builds(
        lambda prompt, placement: {
            "miningMode": "self-design",
            "strategy": {
                "name": "refine",
                "parameters": [{"name": "prompt", "value": f"{prompt}{{query}}{{draft}}"}],
            },
            "placement": placement,
        },
        st.text(max_size=20),
        st.sampled_from(["component", "sidecar"]),
    ),
    st.builds(
        lambda algorithm, placement: {
            "miningMode": "self-design",
            "strategy": "speculative",
            "placement": placement,
            **algorithm,
        },
        st.sampled_from([{}, {"name": "LinearRouter", "router": "embedded:linear"}]),
        st.sampled_from(["component", "sidecar"]),
    ),
)
_policies = st.fixed_dictionaries(
    {},
    optional={
        "callers": st.just([{"kubernetes.io/metadata.name": "gateways"}]),
        "prometheus": st.just([{"kubernetes.io/metadata.name": "monitoring"}]),
        "downloadPorts": st.lists(st.integers(1, 65535), max_size=2),
    },
)
_feedback = st.fixed_dictionaries(
    {"store": st.just({"secret": {"name": "feedback"}}), "text": st.booleans()},
    optional={
        "days": st.floats(1, 1000),
        "perMinute": st.integers(0, 1000),
        "sync": st.sampled_from(["normal", "full"]),
    },
)
_retrain = st.fixed_dictionaries(
    {
        "data": st.just(["/mnt/labels/labels.jsonl"]),
        "volumes": st.just([{"mountPath": "/mnt/labels", "claim": "labels"}]),
    },
    optional={
        "schedule": st.sampled_from(["@daily", "0 3 * * 1-5"]),
        "check": st.sampled_from(["off", "*/15 * * * *"]),
        "promise": st.builds(lambda loss: {"maxQualityLoss": loss}, st.floats(0, 1)),
        "own": st.booleans(),
        "keep": st.integers(1, 20),
        "resource": _resource,
    },
)
_expose = st.sampled_from(
    [{"kind": "ingress"}, {"kind": "httpRoute", "parentRefs": [{"name": "public"}]}]
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
def specs(draw: st.DrawFn) -> dict[str, Any]:
    sides = draw(st.sampled_from(["both", "both", "both", "edge", "cloud"]))
    spec: dict[str, Any] = {}
    if sides != "cloud":
        spec["edgeWorker"] = draw(_worker(_source))
        spec["edgeWorker"]["nodes"] = draw(st.lists(_name, max_size=3, unique=True))
    if sides != "edge":
        spec["cloudWorker"] = draw(_worker(_source | _api))
    if sides == "both" and draw(st.booleans()):
        spec["edgeWorker"]["hardExampleMining"] = draw(_mining | _designs)
        if spec["edgeWorker"]["hardExampleMining"].get("strategy") == "speculative":
            # One predictor answers for both sides.
            spec["cloudWorker"].pop("sampling", None)
    if draw(st.booleans()):
        spec["gateway"] = {"enabled": draw(st.booleans()), "sticky": draw(st.just("session"))}
    if draw(st.booleans()):
        spec["images"] = {"registry": "registry.example.com/team", "tag": "1.2.3"}
    if draw(st.booleans()):
        spec["timeouts"] = {"cloud": draw(st.floats(3, 120))}
    if draw(st.booleans()):
        spec["networkPolicies"] = draw(_policies)
    if draw(st.booleans()):
        spec["monitoring"] = draw(st.sampled_from([{}, {"interval": "30s"}]))
    if sides == "both" and draw(st.booleans()):
        spec["expose"] = {**draw(_expose), "graph": True, "host": "{site}.example.com"}
        spec["uplink"] = {"maxQueue": draw(st.integers(0, 9))}
    if sides == "both" and draw(st.booleans()):
        spec["feedback"] = draw(_feedback)
        mining = spec["edgeWorker"].get("hardExampleMining", {"name": "LinearRouter"})
        if mining.get("name") == "LinearRouter" and "strategy" not in mining:
            spec["retrain"] = draw(_retrain)
    return {
        "apiVersion": draw(st.sampled_from(["kserve-hem.io/v1alpha1", "sedna.io/v1alpha2"])),
        "kind": "LLMJointInferenceService",
        "metadata": {"name": draw(_name)},
        "spec": spec,
    }


@st.composite
def loose_specs(draw: st.DrawFn) -> dict[str, Any]:
    """With names in snake_case here and there, nodes as mappings, quantities as numbers."""
    content: dict[str, Any] = draw(specs())
    edge = content["spec"].get("edgeWorker", {})
    edge["nodes"] = [
        {"name": each, "labels": {"zone": each}} if draw(st.booleans()) else each
        for each in edge.get("nodes", ())
    ]
    if not edge:
        content["spec"].pop("edgeWorker", None)
    for worker in ("edgeWorker", "cloudWorker"):
        limits = content["spec"].get(worker, {}).get("resource", {}).get("limits", {})
        if limits and draw(st.booleans()):
            limits["cpu"] = draw(st.sampled_from([0.5, 1.5, 3]))
    return {**content, "spec": _respelt(draw, content["spec"])}


def _respelt(draw: st.DrawFn, value: Any) -> Any:
    if isinstance(value, list):
        return [_respelt(draw, each) for each in value]
    if not isinstance(value, dict):
        return value
    made = {}
    for name, part in value.items():
        own = "autoscaler_class" if name == "class" else _snake(name)
        spelt = own if draw(st.booleans()) else name
        made[spelt] = part if name in ("labels", "settings") else _respelt(draw, part)
    return made


def _snake(name: str) -> str:
    return "".join(f"_{each.lower()}" if each.isupper() else each for each in name)
