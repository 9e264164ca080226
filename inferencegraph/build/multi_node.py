"""A cloud whose one model is spread over several nodes: a ServingRuntime and its InferenceService.

KServe makes a head and workers of it, `pipeline` nodes of `tensor` accelerators each. vLLM's own
server answers on the head, by OpenAI's API. In Standard mode not with KServe 0.20.0 (kserve #6113).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from inferencegraph.build.accelerators import accelerator_of
from inferencegraph.build.engine import IN_A_RUNTIME
from inferencegraph.build.engine_file import ENGINE_FILE, EngineFile, with_file
from inferencegraph.build.engine_table import ENGINES, MULTI_NODE
from inferencegraph.build.pods import STANDARD_MODE, Resources, labels, pod_fields
from inferencegraph.build.serving_runtime import serving_runtime
from inferencegraph.build.sites import CloudAPI, Running, predictor_url
from inferencegraph.check.reconciled.multi_node import WORKER_CONTAINER
from predictors.contract import Sampling
from predictors.contract.query import CONTRACT_SAMPLING

# What KServe mounts on every node (docs of its multi-node feature; the webhook holds to it).
SCHEMES: Final = ("pvc://", "oci://")
_AUTOSCALER: Final = {"serving.kserve.io/autoscalerClass": "none"}


@dataclass(frozen=True, slots=True)
class MultiNode:
    """resources: of each node. start_seconds: for loading; None: as the runtime says. image: in
    place of vLLM's. arguments, config: further options of vLLM's server; the former win."""

    storage_uri: str
    resources: Resources
    tensor: int
    pipeline: int
    running: Running = field(default_factory=Running)
    start_seconds: int | None = None
    arguments: tuple[str, ...] = ()
    config: EngineFile | None = None
    sampling: Sampling = CONTRACT_SAMPLING
    image: str | None = None

    def address(self, name: str) -> CloudAPI:
        """Where uplinks find it: the head has the InferenceService's name for the model."""
        return CloudAPI(f"{predictor_url(name)}/v1", name, None, self.sampling)


def multi_node(name: str, model: MultiNode, owner: str) -> list[dict[str, Any]]:
    """The runtime and the service, both called `name`."""
    named = labels(owner, "cloud", owner)
    accelerator = accelerator_of(model.resources.accelerator)
    engine = accelerator.adapted(MULTI_NODE, ENGINES[MULTI_NODE](IN_A_RUNTIME))
    start_seconds = model.start_seconds or engine.start_seconds
    engine = replace(engine, resources=model.resources, start_seconds=start_seconds)
    image = model.image or accelerator.image(MULTI_NODE, engine)
    runtime = serving_runtime(MULTI_NODE, engine, accelerator.resource, image)
    service = {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {
            "name": name,
            "labels": named,
            "annotations": {**STANDARD_MODE, **_AUTOSCALER},
        },
        "spec": {"predictor": _predictor(name, model)},
    }
    return [{**runtime, "metadata": {"name": name, "labels": named}}, service]


def _predictor(runtime: str, model: MultiNode) -> dict[str, Any]:
    common = pod_fields()
    resources = model.resources.manifest()
    served: dict[str, Any] = {
        "runtime": runtime,
        "modelFormat": {"name": "huggingface"},
        "storageUri": model.storage_uri,
        **({"args": list(model.arguments)} if model.arguments else {}),
        "resources": resources,
    }
    head: Mapping[str, Any] = {}
    if model.config is not None:
        common["annotations"] |= model.config.annotations()
        pod = {"containers": [{**served, "volumeMounts": []}], "volumes": []}
        filed = with_file(pod, model.config, ("--config", str(ENGINE_FILE)))
        (served,) = filed["containers"]
        head = {"volumes": filed["volumes"]}
    return {
        "minReplicas": 1,
        "maxReplicas": 1,
        **common,
        **model.running.manifest(),
        "model": served,
        **head,
        "workerSpec": {
            "pipelineParallelSize": model.pipeline,
            "tensorParallelSize": model.tensor,
            "containers": [{"name": WORKER_CONTAINER, "resources": resources}],
            "imagePullSecrets": list(common["imagePullSecrets"]),
            **model.running.manifest(),
        },
    }
