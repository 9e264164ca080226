"""What a cluster with KServe serves."""

from typing import Final

GROUP: Final = "serving.kserve.io"
# Group and version -> kind -> plural, and whether it lives in a namespace.
CORE: Final[dict[str, dict[str, tuple[str, bool]]]] = {
    "v1": {
        "Namespace": ("namespaces", False),
        "Pod": ("pods", True),
        "Service": ("services", True),
        "Secret": ("secrets", True),
        "ConfigMap": ("configmaps", True),
        "ServiceAccount": ("serviceaccounts", True),
        "PersistentVolumeClaim": ("persistentvolumeclaims", True),
        "Event": ("events", True),
    },
    "apps/v1": {"Deployment": ("deployments", True)},
    "autoscaling/v2": {"HorizontalPodAutoscaler": ("horizontalpodautoscalers", True)},
    "batch/v1": {"Job": ("jobs", True), "CronJob": ("cronjobs", True)},
    "policy/v1": {"PodDisruptionBudget": ("poddisruptionbudgets", True)},
    "networking.k8s.io/v1": {
        "Ingress": ("ingresses", True),
        "NetworkPolicy": ("networkpolicies", True),
    },
    "apiextensions.k8s.io/v1": {
        "CustomResourceDefinition": ("customresourcedefinitions", False),
    },
}
KSERVE: Final[dict[str, dict[str, tuple[str, bool]]]] = {
    f"{GROUP}/v1beta1": {"InferenceService": ("inferenceservices", True)},
    f"{GROUP}/v1alpha1": {
        "InferenceGraph": ("inferencegraphs", True),
        "ServingRuntime": ("servingruntimes", True),
        "ClusterServingRuntime": ("clusterservingruntimes", False),
    },
}
