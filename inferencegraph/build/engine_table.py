"""The inference engines that have a ServingRuntime: how each one's own server is started.

`{{.Name}}` is the InferenceService's name, which KServe puts in. A model is at /mnt/models.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from inferencegraph.build.pods import HTTP_PORT, Resources

CONFIG_MAP: Final = "inference-engine-config"
MULTI_NODE: Final = "vllm-multi-node"
_NAME: Final = "{{.Name}}"
_MODELS: Final = "/mnt/models"
_HTTP: Final[Mapping[str, int]] = {"http": HTTP_PORT}
_OPENAI: Final = (
    "OpenAI API: /v1/chat/completions, /v1/completions, /v1/models. Our predictor's engine openai_api\n"
    "turns it into V2; see examples/site-of-any-engine.yaml."
)
_V2_READY: Final = f"/v2/models/{_NAME}/ready"

# By engine. Some vendors have others; see ACCELERATORS of `runtimes`.
IMAGES: Final[Mapping[str, str]] = {
    "huggingface": "kserve/huggingfaceserver:v0.20.0-gpu",
    "llama-cpp": "ghcr.io/ggml-org/llama.cpp:server",
    "lmdeploy": "openmmlab/lmdeploy:latest",
    "ollama": "ollama/ollama:latest",
    "predictor": "kserve-hem-predictor:0.1.0",
    "sglang": "lmsysorg/sglang:latest",
    "triton": "nvcr.io/nvidia/tritonserver:25.10-py3",
    "vllm": "vllm/vllm-openai:v0.32.0",
    "vllm-cpu": "vllm/vllm-openai-cpu:v0.32.0",
}


@dataclass(frozen=True, slots=True)
class Engine:
    """`image`: its key among the images, where that is not its own name. `ready` also says that the
    model is loaded. `user`: whom the container runs as; 0 is the image's own, which is not root, and
    None may be root. `read_only`: it writes below /tmp only. `environment`: `@x` is the pod's field x.
    """

    about: str
    formats: tuple[str, ...]
    resources: Resources
    start_seconds: int
    ready: str
    live: str
    command: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    protocols: tuple[str, ...] = ()
    ports: Mapping[str, int] = field(default_factory=lambda: dict(_HTTP))
    image: str | None = None
    user: int | None = None
    read_only: bool = False
    shared_memory: bool = True
    worker_command: tuple[str, ...] = ()
    worker_environment: Mapping[str, str] = field(default_factory=dict)
    worker_alive: tuple[str, ...] = ()


_GPU: Final = Resources("4", "16Gi", gpus=1)
_CPU: Final = Resources("4", "8Gi")
_VLLM_ENVIRONMENT: Final = {
    "HF_HOME": "/tmp",
    "VLLM_CONFIG_ROOT": "/tmp",
    "VLLM_CACHE_ROOT": "/tmp/vllm",
}
_VLLM: Final = ("python3", "-m", "vllm.entrypoints.openai.api_server")
_VLLM_ARGUMENTS: Final = (
    f"--port={HTTP_PORT}",
    f"--model={_MODELS}",
    f"--served-model-name={_NAME}",
)
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
# Serves, then makes a model of the InferenceService's name from the file of that name.
_OLLAMA: Final = """ollama serve &
server=$!
until ollama list > /dev/null 2>&1; do sleep 1; done
echo "FROM /mnt/models/$GGUF_FILE" > /tmp/Modelfile
ollama create "$0" -f /tmp/Modelfile || exit 1
wait $server
"""

ENGINES: Final[Mapping[str, Engine]] = {
    "huggingface": Engine(
        "KServe's own Hugging Face server: OpenAI API for generating models, V1 and V2 for encoders.",
        ("huggingface",),
        _GPU,
        1800,
        _V2_READY,
        "/v2/health/live",
        arguments=(f"--model_name={_NAME}", f"--model_dir={_MODELS}"),
        environment={"HF_HOME": "/tmp"},
        protocols=("v2", "v1"),
        user=0,
    ),
    "llama-cpp": Engine(
        f"{_OPENAI}\n"
        "The image's own entrypoint is llama-server; its options are environment variables. An\n"
        "InferenceService names its file by LLAMA_ARG_MODEL.",
        ("gguf",),
        _CPU,
        1200,
        "/health",
        "/health",
        environment={
            "LLAMA_ARG_HOST": "0.0.0.0",
            "LLAMA_ARG_PORT": str(HTTP_PORT),
            "LLAMA_ARG_MODEL": f"{_MODELS}/model.gguf",
            "LLAMA_ARG_ALIAS": _NAME,
            "LLAMA_ARG_N_PARALLEL": "4",
            "LLAMA_ARG_CTX_SIZE": "16384",
            "LLAMA_ARG_ENDPOINT_METRICS": "1",
        },
        user=1000,
        shared_memory=False,
    ),
    "lmdeploy": Engine(
        _OPENAI,
        ("huggingface",),
        _GPU,
        1800,
        "/health",
        "/health",
        command=("lmdeploy", "serve", "api_server"),
        arguments=(
            _MODELS,
            "--server-name=0.0.0.0",
            f"--server-port={HTTP_PORT}",
            f"--model-name={_NAME}",
        ),
        environment={"HF_HOME": "/tmp", "HOME": "/tmp"},
    ),
    "ollama": Engine(
        f"{_OPENAI}\nGGUF_FILE is the model's name under {_MODELS}.",
        ("gguf",),
        _CPU,
        1200,
        f"/v1/models/{_NAME}",
        "/api/version",
        command=("/bin/sh", "-c", _OLLAMA, _NAME),
        environment={
            "OLLAMA_HOST": f"0.0.0.0:{HTTP_PORT}",
            "OLLAMA_MODELS": "/tmp/ollama",
            "HOME": "/tmp",
            "OLLAMA_KEEP_ALIVE": "-1",
            "GGUF_FILE": "model.gguf",
        },
        user=1000,
        shared_memory=False,
    ),
    "predictor": Engine(
        "This project's predictor with its engine huggingface: V2 with telemetry, ready for mining.\n"
        "Other engines by `args: [--engine=...]` in the InferenceService.",
        ("huggingface", "embedded"),
        Resources("2", "4Gi"),
        600,
        _V2_READY,
        "/v2/health/live",
        arguments=(f"--model_name={_NAME}",),
        environment={"PREDICTOR_MODEL_DIR": _MODELS},  # read by the engines that load a model
        protocols=("v2", "grpc-v2"),
        user=0,
        read_only=True,
        shared_memory=False,
    ),
    "sglang": Engine(
        _OPENAI,
        ("huggingface",),
        _GPU,
        1800,
        "/health",
        "/health",
        command=("python3", "-m", "sglang.launch_server"),
        arguments=(
            "--host=0.0.0.0",
            f"--port={HTTP_PORT}",
            f"--model-path={_MODELS}",
            f"--served-model-name={_NAME}",
            "--enable-metrics",
        ),
        environment={"HF_HOME": "/tmp", "HOME": "/tmp"},
    ),
    "triton": Engine(
        "V2 over REST and gRPC, for models of any kind in Triton's repository layout. Ready only when\n"
        "every model of the repository is.",
        ("triton", "onnx", "tensorrt", "python", "vllm-backend"),
        Resources("2", "8Gi"),
        1200,
        "/v2/health/ready",
        "/v2/health/live",
        arguments=(
            "tritonserver",
            f"--model-repository={_MODELS}",
            f"--http-port={HTTP_PORT}",
            "--grpc-port=9000",
            "--metrics-port=8002",
            "--strict-readiness=true",
        ),
        protocols=("v2", "grpc-v2"),
        ports={"http": HTTP_PORT, "metrics": 8002},
        user=1000,
    ),
    "vllm": Engine(
        _OPENAI,
        ("huggingface",),
        _GPU,
        1800,
        "/health",
        "/health",
        command=_VLLM,
        arguments=_VLLM_ARGUMENTS,
        environment=_VLLM_ENVIRONMENT,
    ),
    "vllm-cpu": Engine(
        f"{_OPENAI}\nVLLM_CPU_KVCACHE_SPACE: GiB of the key-value cache.",
        ("huggingface",),
        Resources("4", "16Gi"),
        1800,
        "/health",
        "/health",
        command=_VLLM,
        arguments=_VLLM_ARGUMENTS,
        environment={**_VLLM_ENVIRONMENT, "VLLM_CPU_KVCACHE_SPACE": "4"},
    ),
    MULTI_NODE: Engine(
        f"{_OPENAI}\n"
        "One model over several nodes: tensor parallel inside a node, pipeline parallel between nodes.\n"
        "Ray joins them, so the image must have it. KServe sets the sizes (workerSpec of the\n"
        "InferenceService), MODEL_NAME, MODEL_DIR, RAY_NODE_COUNT and HEAD_SVC.",
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
        ports={"http": HTTP_PORT, "ray": 6379},
        image="vllm",
        worker_command=("/bin/bash", "-c", _WORKER),
        worker_environment={
            "POD_NAMESPACE": "@metadata.namespace",
            "POD_IP": "@status.podIP",
            "VLLM_HOST_IP": "$(POD_IP)",
            "HF_HOME": "/tmp",
        },
        worker_alive=("/bin/bash", "-c", _ALIVE),
    ),
}
