"""The fields of KServe's LLMInferenceService (v1alpha2), as `kserve_types` has those of others.

`object` is what is not looked into: routes, pools, autoscalers, and tables of other projects.
"""

from typing import Final

_WORKLOAD: Final = {
    "annotations": "dict[str, str]",
    "kvCacheOffloading": "object",
    "labels": "dict[str, str]",
    "parallelism": "LLMParallelism",
    "replicas": "int",
    "rolloutStrategy": "object",
    "scaling": "LLMScaling",
    "template": "V1PodSpec",
    "worker": "V1PodSpec",
}
TYPES: Final[dict[str, dict[str, str]]] = {
    "LLMInferenceService": {
        "apiVersion": "str",
        "kind": "str",
        "metadata": "V1ObjectMeta",
        "spec": "LLMInferenceServiceSpec",
        "status": "object",
    },
    "LLMInferenceServiceSpec": {
        **_WORKLOAD,
        "baseRefs": "list[object]",
        "model": "LLMModel",
        "prefill": "LLMWorkload",
        "router": "LLMRouter",
        "storageInitializer": "object",
        "tracing": "object",
    },
    "LLMWorkload": _WORKLOAD,
    "LLMModel": {"confidential": "object", "lora": "object", "name": "str", "uri": "str"},
    "LLMParallelism": {
        "data": "int",
        "dataLocal": "int",
        "dataRPCPort": "int",
        "expert": "bool",
        "pipeline": "int",
        "tensor": "int",
    },
    "LLMScaling": {"keda": "object", "maxReplicas": "int", "minReplicas": "int", "wva": "object"},
    "LLMRouter": {
        "gateway": "LLMGateway",
        "ingress": "object",
        "route": "LLMRoute",
        "scheduler": "LLMScheduler",
    },
    "LLMGateway": {"refs": "list[object]"},
    "LLMRoute": {"group": "str", "http": "object", "weight": "int"},
    "LLMScheduler": {
        "annotations": "dict[str, str]",
        "config": "object",
        "labels": "dict[str, str]",
        "pool": "object",
        "replicas": "int",
        "template": "V1PodSpec",
        "tokenizer": "object",
    },
}
REQUIRED: Final = {
    "LLMInferenceService": ("metadata", "spec"),
    "LLMModel": ("uri",),
    "LLMScaling": ("maxReplicas",),
}
