"""The InferenceServices of a site and of the cloud that sites share.

    <x>-edge     the small model; in the answer stage with HEM as its transformer
    <x>-hem      query stage only: a predictor that mines (KServe requires a predictor)
    <x>-uplink   on the edge node, forwards to the cloud and turns its failures into error bodies
    <x>-cloud    the large model

A model name always equals its InferenceService's name, which is what KServe resolves to.
"""

import copy
from collections.abc import Mapping
from typing import Any, Final

from inferencegraph.build.engine_file import EngineFile, unless_filed, with_file
from inferencegraph.build.engine_pods import model_pod
from inferencegraph.build.graph import (
    inference_then_mining,
    joint_at_edge,
    mining_then_inference,
    self_design,
)
from inferencegraph.build.hem_pods import hem_container, hem_pod, pod_of, with_sidecar
from inferencegraph.build.mining import ANSWER_STAGE, QUERY_STAGE, SELF_DESIGN, Mining
from inferencegraph.build.pods import (
    GRPC_PORT,
    HTTP_PORT,
    NO_SURGE,
    SHARED_MEMORY_MOUNT,
    SLEEP_FIRST,
    STANDARD_MODE,
    EdgeNode,
    Images,
    container,
    labels,
    pod_fields,
    shared_memory,
    temporary,
    v2_container,
)
from inferencegraph.build.sites import (
    LIGHT_START_SECONDS,
    UPLINK_RESOURCES,
    CloudAddress,
    CloudAPI,
    Model,
    Running,
    Scale,
    Site,
    sampling_environment,
)

API_VERSION: Final = "serving.kserve.io/v1beta1"
AUTOSCALER: Final = "serving.kserve.io/autoscalerClass"
_TRITON_METRICS_PORT: Final = 8002  # its default
_SHAPES: Final = {
    QUERY_STAGE: mining_then_inference,
    ANSWER_STAGE: inference_then_mining,
    SELF_DESIGN: self_design,
}


def site_manifests(
    site: Site, edge: Model, mining: Mining, cloud: CloudAddress | CloudAPI
) -> list[dict[str, Any]]:
    """Everything on the edge node: the InferenceServices of the mode, then the InferenceGraph."""
    shape = joint_at_edge if mining.joint else _SHAPES[mining.mode]
    graph = shape(site.name, node=site.node, timeouts=site.timeouts, owner=site.owner)
    if mining.joint:
        return [edge_service(site, edge, mining, cloud), graph]
    uplink = uplink_service(site, cloud)
    if mining.mode == QUERY_STAGE:
        return [edge_service(site, edge), hem_service(site, mining), uplink, graph]
    return [edge_service(site, edge, mining), uplink, graph]


def edge_service(
    site: Site,
    model: Model,
    mining: Mining | None = None,
    far: CloudAddress | CloudAPI | None = None,
) -> dict[str, Any]:
    """`<x>-edge`; with `mining` (answer stage, self-design) HEM stands before it, as its
    transformer. far: the cloud, where its engine asks that itself."""
    name = f"{site.name}-edge"
    pod, running = model_pod(name, model, site.images), model.running
    if far is not None:
        _asks_itself(pod["containers"][0], site, far)
    extra: dict[str, Any] = {"deploymentStrategy": NO_SURGE}
    limit = f"--predictor_request_timeout_seconds={site.timeouts.edge}"
    if mining is not None and mining.sidecar:
        pod = with_sidecar(name, pod, mining, site, limit)
    components = {"predictor": _component(pod, site.node, running, model.config, **extra)}
    if mining is not None and not mining.sidecar:
        hem = hem_container(name, mining, site, limit)
        components["transformer"] = _component(hem_pod(hem, mining, site), site.node)
    named = labels(site.name, "edge", site.owner)
    return _service(name, named, components, running.scale)


def _asks_itself(model: dict[str, Any], site: Site, far: CloudAddress | CloudAPI) -> None:
    """The container of an edge model whose engine calls the cloud, as an uplink would: its place,
    its time limits, and its key. The model's name there is for servers that have several."""
    model["args"] += [f"--url={far.url}"]
    if isinstance(far, CloudAPI) and far.engine == "openai_api":
        model["args"] += [f"--upstream_model={far.model}"]
    model["env"] += [{"name": n, "value": value} for n, value in _limits(site).items()]
    model["env"] += _key(far)


def _limits(site: Site) -> dict[str, str]:
    """Of calls of the cloud."""
    return {
        "PREDICTOR_CONNECT_TIMEOUT": f"{site.timeouts.cloud_connect:g}",
        "PREDICTOR_TIMEOUT": f"{site.timeouts.cloud:g}",
        **site.places.environment(),
    }


def _key(cloud: CloudAddress | CloudAPI) -> list[dict[str, Any]]:
    """Of its API, which may come later."""
    if not isinstance(cloud, CloudAPI) or not cloud.secret:
        return []
    key = {"name": cloud.secret, "key": cloud.key, "optional": True}
    return [{"name": "PREDICTOR_API_KEY", "valueFrom": {"secretKeyRef": key}}]


def hem_service(site: Site, mining: Mining) -> dict[str, Any]:
    """`<x>-hem`, the query stage's mining step."""
    name = f"{site.name}-hem"
    hem = hem_container(name, mining, site)
    components = {"predictor": _component(hem_pod(hem, mining, site), site.node)}
    return _service(name, labels(site.name, "hem", site.owner), components)


def uplink_service(site: Site, cloud: CloudAddress | CloudAPI) -> dict[str, Any]:
    """`<x>-uplink`, which forwards to a V2 server, or to an API, within the site's timeouts."""
    name = f"{site.name}-uplink"
    pod, file = _forwarding(name, site, cloud)
    component = _component(pod, site.node, file=file)
    return _service(name, labels(site.name, "uplink", site.owner), {"predictor": component})


def api_service(name: str, cloud: CloudAPI, shared: Site) -> dict[str, Any]:
    """An API as the only side: `<x>-cloud` forwards to it, on any node."""
    pod, file = _forwarding(name, shared, cloud)
    component = _component(pod, file=file)
    return _service(name, _cloud_labels(name, shared.name), {"predictor": component})


def _forwarding(
    name: str, site: Site, cloud: CloudAddress | CloudAPI
) -> tuple[dict[str, Any], EngineFile | None]:
    """The forwarder's pod, and the file that it mounts."""
    file = cloud.config if isinstance(cloud, CloudAPI) else None
    return with_file(pod_of(_forwarder(name, site, cloud)), file), file


def _forwarder(name: str, site: Site, cloud: CloudAddress | CloudAPI) -> dict[str, Any]:
    engine = "kserve" if isinstance(cloud, CloudAddress) else cloud.engine
    target = [f"--engine={engine}", f"--url={cloud.url}", f"--upstream_model={cloud.model}"]
    environment = {
        **sampling_environment(cloud.sampling),
        **_limits(site),
    }
    if isinstance(cloud, CloudAPI):
        # Nobody mines the cloud's answers.
        unmined = ["--top_logprobs=0"] if engine == "openai_api" else []
        target += unless_filed(unmined, cloud.config)
        target += cloud.arguments
    forwarder = container(
        site.images.predictor, name, target, environment, UPLINK_RESOURCES, LIGHT_START_SECONDS
    )
    forwarder["env"] += _key(cloud)
    return forwarder


def cloud_service(
    name: str, model: Model, images: Images, owner: str | None = None
) -> dict[str, Any]:
    """The large model; the scheduler chooses its node."""
    pod = model_pod(name, model, images)
    component = _component(pod, running=model.running, file=model.config)
    named = _cloud_labels(name, owner)
    return _service(name, named, {"predictor": component}, model.running.scale)


def triton_service(name: str, model: Model, owner: str | None = None) -> dict[str, Any]:
    """A large model that Triton serves from the repository in the model's image."""
    assert model.image is not None
    arguments = [
        "tritonserver",
        "--model-repository=/mnt/models",
        f"--http-port={HTTP_PORT}",
        f"--grpc-port={GRPC_PORT}",
    ]
    served = model.directory or name
    start = LIGHT_START_SECONDS
    triton = v2_container(model.image, served, arguments, {}, model.resources, start)
    triton["lifecycle"] = copy.deepcopy(SLEEP_FIRST)
    triton["volumeMounts"].append(dict(SHARED_MEMORY_MOUNT))
    pod = {"containers": [triton], "volumes": [temporary(), shared_memory("256Mi")]}
    fields = pod_fields(_TRITON_METRICS_PORT)
    component = {**_component(pod, running=model.running), **fields}
    named = _cloud_labels(name, owner)
    return _service(name, named, {"predictor": component}, model.running.scale)


def _component(
    pod: Mapping[str, Any],
    node: EdgeNode | None = None,
    running: Running | None = None,
    file: EngineFile | None = None,
    **fields: Any,
) -> dict[str, Any]:
    """A component's fields around its pod."""
    running = running or Running()
    scale = running.scale
    common = pod_fields()
    common["annotations"] |= file.annotations() if file else {}
    return {
        "minReplicas": scale.minimum,
        "maxReplicas": scale.maximum,
        **_scaling(scale),
        **copy.deepcopy(fields),
        **common,
        **running.manifest(),
        **(node.manifest() if node else {}),
        **pod,
    }


def _scaling(scale: Scale) -> dict[str, Any]:
    """KEDA takes a list of metrics, hpa one of its own."""
    if scale.autoscaler is None:
        return {}
    if scale.autoscaler != "keda":
        return {"scaleMetric": scale.metric, "scaleTarget": scale.target}
    target = {"type": "Utilization", "averageUtilization": scale.target}
    resource = {"name": scale.metric, "target": target}
    return {"autoScaling": {"metrics": [{"type": "Resource", "resource": resource}]}}


def _cloud_labels(name: str, owner: str | None) -> dict[str, str]:
    return labels(name.removesuffix("-cloud"), "cloud", owner)


def _service(
    name: str,
    named: dict[str, str],
    components: dict[str, Any],
    scale: Scale | None = None,
) -> dict[str, Any]:
    annotations = dict(STANDARD_MODE)
    if scale is not None and scale.autoscaler:
        annotations[AUTOSCALER] = scale.autoscaler
    return {
        "apiVersion": API_VERSION,
        "kind": "InferenceService",
        "metadata": {
            "name": name,
            "labels": named,
            "annotations": annotations,
        },
        "spec": components,
    }
