"""The fields of KServe's kinds, in the notation of the kubernetes package's `openapi_types`.

Names that are not keys of TYPES are that package's own (V1PodSpec ...). `EXTENDS` adds another
type's fields. A test holds this against KServe's CRDs.
"""

from typing import Final

from inferencegraph.check import llm_service_types

TYPES: Final[dict[str, dict[str, str]]] = {
    "InferenceGraph": {
        "apiVersion": "str",
        "kind": "str",
        "metadata": "V1ObjectMeta",
        "spec": "InferenceGraphSpec",
        "status": "object",
    },
    "InferenceGraphSpec": {
        "affinity": "V1Affinity",
        "maxReplicas": "int",
        "minReplicas": "int",
        "nodeName": "str",
        "nodeSelector": "dict[str, str]",
        "nodes": "dict[str, InferenceRouter]",
        "resources": "V1ResourceRequirements",
        "routerTimeouts": "RouterTimeouts",
        "scaleMetric": "str",
        "scaleTarget": "int",
        "serviceAccountName": "str",
        "timeout": "int",
        "tolerations": "list[V1Toleration]",
    },
    "InferenceRouter": {"routerType": "str", "steps": "list[InferenceStep]"},
    "InferenceStep": {
        "condition": "str",
        "data": "str",
        "dependency": "str",
        "mapPredictionsToInstances": "bool",
        "name": "str",
        "nodeName": "str",
        "serviceName": "str",
        "serviceUrl": "str",
        "weight": "int",
    },
    "RouterTimeouts": {
        "serverIdle": "int",
        "serverRead": "int",
        "serverWrite": "int",
        "serviceClient": "int",
    },
    "InferenceService": {
        "apiVersion": "str",
        "kind": "str",
        "metadata": "V1ObjectMeta",
        "spec": "InferenceServiceSpec",
        "status": "object",
    },
    "InferenceServiceSpec": {
        "canary": "object",
        "explainer": "object",
        "predictor": "PredictorSpec",
        "transformer": "ComponentSpec",
    },
    "ComponentSpec": {
        "annotations": "dict[str, str]",
        "autoScaling": "object",
        "batcher": "object",
        "canaryTrafficPercent": "int",
        "containerConcurrency": "int",
        "deploymentStrategy": "V1DeploymentStrategy",
        "labels": "dict[str, str]",
        "logger": "object",
        "maxReplicas": "int",
        "minReplicas": "int",
        "scaleMetric": "str",
        "scaleMetricType": "str",
        "scaleTarget": "int",
        "storageUris": "object",
        "timeout": "int",
    },
    "PredictorSpec": {
        "model": "ModelSpec",
        "name": "str",
        "storageContainerName": "str",
        "workerSpec": "WorkerSpec",
        **dict.fromkeys(
            (
                "huggingface",
                "lightgbm",
                "onnx",
                "paddle",
                "pmml",
                "pytorch",
                "sklearn",
                "tensorflow",
                "triton",
                "xgboost",
            ),
            "object",
        ),
    },
    "ModelSpec": {
        "confidential": "object",
        "modelFormat": "ModelFormat",
        "protocolVersion": "str",
        "runtime": "str",
        "runtimeVersion": "str",
        "storage": "object",
        "storageUri": "str",
    },
    "ModelFormat": {"name": "str", "version": "str"},
    "WorkerSpec": {"pipelineParallelSize": "int", "tensorParallelSize": "int"},
    **{
        kind: {
            "apiVersion": "str",
            "kind": "str",
            "metadata": "V1ObjectMeta",
            "spec": "ServingRuntimeSpec",
            "status": "object",
        }
        for kind in ("ServingRuntime", "ClusterServingRuntime")
    },
    "RuntimePodSpec": {
        "affinity": "V1Affinity",
        "annotations": "dict[str, str]",
        "containers": "list[V1Container]",
        "hostIPC": "bool",
        "imagePullSecrets": "list[V1LocalObjectReference]",
        "labels": "dict[str, str]",
        "nodeSelector": "dict[str, str]",
        "resourceClaims": "list[V1PodResourceClaim]",
        "schedulerName": "str",
        "tolerations": "list[V1Toleration]",
        "volumes": "list[V1Volume]",
    },
    "ServingRuntimeSpec": {
        "builtInAdapter": "object",
        "disabled": "bool",
        "grpcDataEndpoint": "str",
        "grpcEndpoint": "str",
        "httpDataEndpoint": "str",
        "multiModel": "bool",
        "protocolVersions": "list[str]",
        "replicas": "int",
        "storageHelper": "object",
        "supportedModelFormats": "list[SupportedModelFormat]",
        "workerSpec": "RuntimeWorkerSpec",
    },
    "RuntimeWorkerSpec": {"pipelineParallelSize": "int", "tensorParallelSize": "int"},
    "SupportedModelFormat": {
        "autoSelect": "bool",
        "name": "str",
        "priority": "int",
        "version": "str",
    },
    **llm_service_types.TYPES,
}
EXTENDS: Final = {
    "ComponentSpec": "V1PodSpec",
    "PredictorSpec": "ComponentSpec",
    "ModelSpec": "V1Container",
    "WorkerSpec": "V1PodSpec",
    "ServingRuntimeSpec": "RuntimePodSpec",
    "RuntimeWorkerSpec": "RuntimePodSpec",
}
REQUIRED: Final = {
    "InferenceGraph": ("metadata", "spec"),
    "InferenceGraphSpec": ("nodes",),
    "InferenceRouter": ("routerType",),
    "InferenceService": ("metadata", "spec"),
    "InferenceServiceSpec": ("predictor",),
    "ModelFormat": ("name",),
    "ModelSpec": ("modelFormat",),
    **dict.fromkeys(("ServingRuntime", "ClusterServingRuntime"), ("metadata", "spec")),
    "ServingRuntimeSpec": ("containers",),
    "RuntimeWorkerSpec": ("containers",),
    "SupportedModelFormat": ("name",),
    # Kubernetes' own.
    **dict.fromkeys(("V1Ingress", "V1NetworkPolicy", "V1PodDisruptionBudget"), ("spec",)),
    "V1HTTPIngressPath": ("backend", "pathType"),
    "V1HTTPIngressRuleValue": ("paths",),
    "V1IngressServiceBackend": ("name",),
    "V1IPBlock": ("cidr",),
    "V1PersistentVolumeClaim": ("spec",),
    "V1PersistentVolumeClaimSpec": ("accessModes", "resources"),
    **llm_service_types.REQUIRED,
}

# The API group of KServe, and the version of each kind of it that this project knows.
GROUP: Final = "serving.kserve.io"
VERSIONS: Final = {
    "InferenceGraph": "v1alpha1",
    "InferenceService": "v1beta1",
    "ServingRuntime": "v1alpha1",
    "ClusterServingRuntime": "v1alpha1",
}
# Its other kinds, whose fields are not known here, or of some versions only.
UNCHECKED: Final = (
    "ClusterStorageContainer",
    "LLMInferenceService",
    "LLMInferenceServiceConfig",
    "LocalModelCache",
    "LocalModelNamespaceCache",
    "LocalModelNode",
    "LocalModelNodeGroup",
    "Predictor",  # ModelMesh's
    "TrainedModel",
)
# More kinds whose fields are checked, by their apiVersion: Kubernetes' own, and one of KServe's.
CORE_KINDS: Final[dict[str, tuple[str, ...]]] = {
    f"{GROUP}/v1alpha2": ("LLMInferenceService",),
    "v1": (
        "ConfigMap",
        "Namespace",
        "PersistentVolume",
        "PersistentVolumeClaim",
        "Secret",
        "Service",
        "ServiceAccount",
    ),
    "apps/v1": ("DaemonSet", "Deployment", "StatefulSet"),
    "batch/v1": ("CronJob", "Job"),
    "networking.k8s.io/v1": ("Ingress", "NetworkPolicy"),
    "policy/v1": ("PodDisruptionBudget",),
}
# Kinds of others that are rendered, whose names are checked, and not their fields.
NAMED_KINDS: Final[dict[str, tuple[str, ...]]] = {
    "gateway.networking.k8s.io/v1": ("HTTPRoute",),
    "monitoring.coreos.com/v1": ("PodMonitor", "ServiceMonitor"),
}
