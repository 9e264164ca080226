"""A cloud that is KServe's LLMInferenceService (v1alpha2): one that is there, or one that is made.

Names, ports and paths are its controller's (github.com/kserve/kserve, pkg/controller/v1alpha2/
llmisvc, 21 August 2026): workload.go makes the Service `<name>-kserve-workload-svc`, port 8000, in
front of vLLM; config/llmisvcconfig/config-llm-router-route.yaml routes `/<namespace>/<name>/v1/...`
of the gateway through the scheduler; config-llm-template.yaml starts `vllm serve` in the container
`main` with its `args` behind its own.
"""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from inferencegraph.build.accelerators import accelerator_of
from inferencegraph.build.engine_file import ENGINE_FILE, EngineFile, with_file
from inferencegraph.build.engine_images import IMAGES
from inferencegraph.build.pods import NVIDIA, Resources, labels
from inferencegraph.build.sites import DEFAULT_START_SECONDS, CloudAPI, Running
from predictors.contract import Sampling
from predictors.contract.query import CONTRACT_SAMPLING

API_VERSION: Final = "serving.kserve.io/v1alpha2"
KIND: Final = "LLMInferenceService"
# Storage that its controller takes (workload_storage.go).
SCHEMES: Final = ("hf://", "pvc://", "s3://", "oci://")
_PORT: Final = 8000
_SERVICE: Final = "-kserve-workload-svc"
_LONGEST: Final = 63  # of a Service's name
_HASH: Final = 32  # of MD5, in hexadecimal digits
_PROBED_EVERY: Final = 10  # seconds


@dataclass(frozen=True, slots=True)
class Reached:
    """How it is asked. gateway: the base URL of KServe's gateway, in front of its scheduler; None:
    its own Service, which spreads calls evenly, and speaks TLS, by a certificate of its own, where
    KServe was installed with enableLLMInferenceServiceTLS: then only the gateway will do."""

    gateway: str | None = None

    def url(self, name: str, namespace: str | None) -> str:
        """OpenAI's API of the service `name`; without a namespace it is that of who asks."""
        if self.gateway is not None:
            return f"{self.gateway.rstrip('/')}/{namespace or 'default'}/{name}/v1"
        host = child_name(name, _SERVICE)
        host += f".{namespace}.svc.cluster.local" if namespace else ""
        return f"http://{host}:{_PORT}/v1"


@dataclass(frozen=True, slots=True)
class LLMService:
    """One that is made. uri: the model. served: its name for callers. autoscaled: KEDA stays within
    `running.scale`. arguments: further options of vLLM. router: KServe's gateway, route and
    scheduler in front of it."""

    uri: str
    served: str
    resources: Resources
    tensor: int = 1
    running: Running = field(default_factory=Running)
    start_seconds: int = DEFAULT_START_SECONDS
    arguments: tuple[str, ...] = ()
    config: EngineFile | None = None
    sampling: Sampling = CONTRACT_SAMPLING
    router: bool = True
    reached: Reached = Reached()
    namespace: str | None = None
    image: str | None = None

    def address(self, name: str) -> CloudAPI:
        """Where uplinks find it: nobody needs a key inside the cluster."""
        url = self.reached.url(name, self.namespace)
        return CloudAPI(url, self.served, None, self.sampling)


def llm_service(name: str, service: LLMService, owner: str) -> dict[str, Any]:
    spec: dict[str, Any] = {"model": {"uri": service.uri, "name": service.served}}
    if service.config is not None:
        spec["annotations"] = service.config.annotations()
    spec |= _scaled(service.running)
    if service.tensor > 1:
        spec["parallelism"] = {"tensor": service.tensor}
    if service.router:
        spec["router"] = {"gateway": {}, "route": {}, "scheduler": {}}
    spec["template"] = _template(service)
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": name, "labels": labels(owner, "cloud", owner)},
        "spec": spec,
    }


def child_name(parent: str, suffix: str) -> str:
    """As kmeta.ChildName of knative.dev/pkg: a hash stands for the end of too long a name."""
    if len(parent) <= _LONGEST - len(suffix):
        return parent + suffix
    told = hashlib.md5(parent.encode(), usedforsecurity=False).hexdigest()
    return parent[: _LONGEST - _HASH - len(suffix)] + told + suffix


def _scaled(running: Running) -> dict[str, Any]:
    scale = running.scale
    if scale.autoscaler is None:
        return {"replicas": scale.minimum}
    trigger = {
        "type": scale.metric,
        "metricType": "Utilization",
        "metadata": {"value": str(scale.target)},
    }
    amounts = {"minReplicas": scale.minimum, "maxReplicas": scale.maximum}
    return {"scaling": {**amounts, "keda": {"triggers": [trigger]}}}


def _template(service: LLMService) -> dict[str, Any]:
    """What KServe's own template is merged with."""
    resources = service.resources
    main: dict[str, Any] = {"name": "main"}
    if image := service.image or _image(resources):
        main["image"] = image
    if not resources.gpus:
        # As in KServe's sample for CPUs: nothing is known of a user of that image.
        main["securityContext"] = {"runAsNonRoot": False}
        main["env"] = [{"name": "VLLM_CPU_KVCACHE_SPACE", "value": "4"}]
    if service.arguments:
        main["args"] = list(service.arguments)
    if service.start_seconds != DEFAULT_START_SECONDS:
        failures = math.ceil(service.start_seconds / _PROBED_EVERY)
        main["startupProbe"] = {"failureThreshold": failures, "periodSeconds": _PROBED_EVERY}
    main["resources"] = resources.manifest()
    pod: Mapping[str, Any] = {"containers": [main]}
    if service.config is not None:
        main["volumeMounts"] = []
        words = ("--config", str(ENGINE_FILE))
        pod = with_file({**pod, "volumes": []}, service.config, words)
    return {**service.running.manifest(), **pod}


def _image(resources: Resources) -> str | None:
    """vLLM's for what isn't NVIDIA's; for that KServe has one of its own."""
    if not resources.gpus:
        return IMAGES["vllm-cpu"]
    if resources.accelerator == NVIDIA:
        return None
    return accelerator_of(resources.accelerator).images.get("vllm")
