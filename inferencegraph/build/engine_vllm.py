"""vLLM's own server: on GPUs, on CPUs, and over several nodes that Ray joins."""

from dataclasses import replace
from typing import Final

from inferencegraph.build.engine import GPU, OPENAI, Engine, Serving
from inferencegraph.build.pods import Resources

_VLLM_ENVIRONMENT: Final = {
    "HF_HOME": "/tmp",
    "VLLM_CONFIG_ROOT": "/tmp",
    "VLLM_CACHE_ROOT": "/tmp/vllm",
}
_VLLM_USER: Final = 2000  # in its CUDA image, with a home: docs.vllm.ai/en/stable/deployment/docker
# KServe sets MODEL_NAME, MODEL_DIR, RAY_NODE_COUNT, HEAD_SVC and the sizes.
_HEAD: Final = """set -e
ray start --head --port=6379 --node-ip-address="$POD_IP" --include-dashboard=false --disable-usage-stats
until [ "$(ray list nodes --filter state=ALIVE --format json | python3 -c 'import json, sys; \
print(len(json.load(sys.stdin)))')" -ge "$RAY_NODE_COUNT" ]; do
  sleep 5
done
exec python3 -m vllm.entrypoints.openai.api_server \\
  --port=8080 --model="$MODEL_DIR" --served-model-name="$MODEL_NAME" \\
  --tensor-parallel-size="$TENSOR_PARALLEL_SIZE" \\
  --pipeline-parallel-size="$PIPELINE_PARALLEL_SIZE" \\
  --distributed-executor-backend=ray "$@"
"""
_WORKER: Final = """head="$HEAD_SVC.$POD_NAMESPACE.svc.cluster.local:6379"
until ray health-check --address "$head" > /dev/null 2>&1; do sleep 5; done
exec ray start --address="$head" --node-ip-address="$POD_IP" --block --disable-usage-stats
"""
_ALIVE: Final = 'ray health-check --address "$HEAD_SVC.$POD_NAMESPACE.svc.cluster.local:6379"'


def vllm(serving: Serving) -> Engine:
    return Engine(
        OPENAI,
        ("huggingface",),
        GPU,
        1800,
        "/health",
        "/health",
        command=("python3", "-m", "vllm.entrypoints.openai.api_server"),
        arguments=(
            f"--port={serving.port}",
            f"--model={serving.model}",
            f"--served-model-name={serving.name}",
        ),
        environment=_VLLM_ENVIRONMENT,
        ports={"http": serving.port},
        user=_VLLM_USER,
    )


def vllm_cpu(serving: Serving) -> Engine:
    return replace(
        vllm(serving),
        about=f"{OPENAI}\nVLLM_CPU_KVCACHE_SPACE: GiB of the key-value cache.",
        resources=Resources("4", "16Gi"),
        environment={**_VLLM_ENVIRONMENT, "VLLM_CPU_KVCACHE_SPACE": "4"},
        user=None,
    )


def vllm_multi_node(serving: Serving) -> Engine:
    return Engine(
        f"{OPENAI}\n"
        "One model over several nodes: tensor parallel inside a node, pipeline parallel between nodes.\n"
        "Ray joins them, so the image must have it. KServe sets the sizes (workerSpec of the\n"
        "InferenceService), MODEL_NAME, MODEL_DIR, RAY_NODE_COUNT and HEAD_SVC. In Standard mode not\n"
        "with KServe 0.20.0, which deletes the workers (kserve #6113).",
        ("huggingface",),
        Resources("8", "32Gi", gpus=1),
        3600,
        "/health",
        "/health",
        command=("/bin/bash", "-c", _HEAD, "vllm"),
        environment={
            **_VLLM_ENVIRONMENT,
            "POD_IP": "@status.podIP",
            "VLLM_HOST_IP": "$(POD_IP)",
        },
        ports={"http": serving.port, "ray": 6379},
        image="vllm",
        user=_VLLM_USER,
        worker_command=("/bin/bash", "-c", _WORKER),
        worker_environment={
            "POD_NAMESPACE": "@metadata.namespace",
            "POD_IP": "@status.podIP",
            "VLLM_HOST_IP": "$(POD_IP)",
            "HF_HOME": "/tmp",
        },
        worker_alive=("/bin/bash", "-c", _ALIVE),
    )
