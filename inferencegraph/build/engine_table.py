"""The inference engines with a server of their own: how each one is started.

A ServingRuntime starts it on KServe's port for the model at /mnt/models; a pod of ours has it on
another port beside the predictor (`engine_pods`). `Serving` is what differs between the two.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from inferencegraph.build.pods import HTTP_PORT, Resources
from inferencegraph.build.sites import MODEL_MOUNT

CONFIG_MAP: Final = "inference-engine-config"
MULTI_NODE: Final = "vllm-multi-node"
_OPENAI: Final = (
    "OpenAI API: /v1/chat/completions, /v1/completions, /v1/models. Our predictor's engine openai_api\n"
    "turns it into V2; see examples/site-of-any-engine.yaml."
)

# By engine. Some vendors have others; see `accelerators`.
IMAGES: Final[Mapping[str, str]] = {
    "huggingface": "kserve/huggingfaceserver:v0.20.0-gpu",
    "llama-cpp": "ghcr.io/ggml-org/llama.cpp:server",
    "lmdeploy": "openmmlab/lmdeploy:latest",
    "ollama": "ollama/ollama:latest",
    "ollama-gpu": "ollama/ollama:latest",  # CUDA and Vulkan are in it: docs.ollama.com/docker
    "predictor": "kserve-hem-predictor:0.1.0",
    "sglang": "lmsysorg/sglang:latest",
    "triton": "nvcr.io/nvidia/tritonserver:25.10-py3",
    "vllm": "vllm/vllm-openai:v0.32.0",
    "vllm-cpu": "vllm/vllm-openai-cpu:v0.32.0",
}


@dataclass(frozen=True, slots=True)
class Serving:
    """What a server serves, and where. `name`: the model's, as callers say it. The model is in
    `folder`, as `file` for an engine that loads a single one; or the engine fetches it itself by
    its name at its own `hub`."""

    name: str = "{{.Name}}"  # the InferenceService's, which KServe puts in
    port: int = HTTP_PORT
    folder: str = MODEL_MOUNT
    file: str = "model.gguf"
    hub: str | None = None

    @property
    def model(self) -> str:
        """For engines that take a folder and a hub's id in the same place."""
        return self.hub or self.folder


IN_A_RUNTIME: Final = Serving()


@dataclass(frozen=True, slots=True)
class Engine:
    """`image`: its key among the images, where that is not its own name. `ready` also says that the
    model is loaded. `user`: whom the common image runs as; 0 is the image's own, which is not root,
    and None may be root. `read_only`: it writes below /tmp only. `environment`: `@x` is the pod's
    field x. `loads_file`: a single file rather than a folder. `takes_arguments`: more of them, after
    its own, reach the server. `threads`: the variable with the number of CPUs that it may use.
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
    ports: Mapping[str, int] = field(default_factory=lambda: {"http": HTTP_PORT})
    image: str | None = None
    user: int | None = None
    read_only: bool = False
    shared_memory: bool = True
    loads_file: bool = False
    takes_arguments: bool = True
    threads: str = "OMP_NUM_THREADS"
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
# Serves, then makes a model of the wanted name from a file, or from another one, which is pulled.
_OLLAMA: Final = """ollama serve &
server=$!
until ollama list > /dev/null 2>&1; do sleep 1; done
echo "FROM {source}" > /tmp/Modelfile
ollama create "$0" -f /tmp/Modelfile || exit 1
wait $server
"""


def _huggingface(serving: Serving) -> Engine:
    return Engine(
        "KServe's own Hugging Face server: OpenAI API for generating models, V1 and V2 for encoders.",
        ("huggingface",),
        _GPU,
        1800,
        f"/v2/models/{serving.name}/ready",
        "/v2/health/live",
        arguments=(f"--model_name={serving.name}", f"--model_dir={serving.folder}"),
        environment={"HF_HOME": "/tmp"},
        protocols=("v2", "v1"),
        user=0,
    )


def _llama_cpp(serving: Serving) -> Engine:
    model = {"LLAMA_ARG_MODEL": f"{serving.folder}/{serving.file}"}
    if serving.hub:
        model = {"LLAMA_ARG_HF_REPO": serving.hub, "LLAMA_CACHE": "/tmp/llama.cpp"}
    return Engine(
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
            "LLAMA_ARG_PORT": str(serving.port),
            **model,
            "LLAMA_ARG_ALIAS": serving.name,
            "LLAMA_ARG_N_PARALLEL": "4",
            "LLAMA_ARG_CTX_SIZE": "16384",
            "LLAMA_ARG_ENDPOINT_METRICS": "1",
        },
        ports={"http": serving.port},
        user=1000,
        shared_memory=False,
        loads_file=True,
        threads="LLAMA_ARG_THREADS",
    )


def _lmdeploy(serving: Serving) -> Engine:
    return Engine(
        _OPENAI,
        ("huggingface",),
        _GPU,
        1800,
        "/health",
        "/health",
        command=("lmdeploy", "serve", "api_server"),
        arguments=(
            serving.model,
            "--server-name=0.0.0.0",
            f"--server-port={serving.port}",
            f"--model-name={serving.name}",
        ),
        environment={"HF_HOME": "/tmp", "HOME": "/tmp"},
        ports={"http": serving.port},
    )


def _ollama(serving: Serving, resources: Resources = _CPU) -> Engine:
    source, place = f"{serving.folder}/$GGUF_FILE", {"GGUF_FILE": serving.file}
    if serving.hub:
        source, place = "$LIBRARY_MODEL", {"LIBRARY_MODEL": serving.hub}
    return Engine(
        f"{_OPENAI}\nGGUF_FILE is the model's name under {serving.folder}.",
        ("gguf",),
        resources,
        1200,
        f"/v1/models/{serving.name}",
        "/api/version",
        command=("/bin/sh", "-c", _OLLAMA.format(source=source), serving.name),
        environment={
            "OLLAMA_HOST": f"0.0.0.0:{serving.port}",
            "OLLAMA_MODELS": "/tmp/ollama",
            "HOME": "/tmp",
            "OLLAMA_KEEP_ALIVE": "-1",
            **place,
        },
        ports={"http": serving.port},
        user=1000,
        shared_memory=False,
        loads_file=True,
        takes_arguments=False,
    )


def _ollama_gpu(serving: Serving) -> Engine:
    return _ollama(serving, _GPU)


def _predictor(serving: Serving) -> Engine:
    return Engine(
        "This project's predictor with its engine huggingface: V2 with telemetry, ready for mining.\n"
        "Other engines by `args: [--engine=...]` in the InferenceService.",
        ("huggingface", "embedded"),
        Resources("2", "4Gi"),
        600,
        f"/v2/models/{serving.name}/ready",
        "/v2/health/live",
        arguments=(f"--model_name={serving.name}",),
        environment={"PREDICTOR_MODEL_DIR": serving.folder},  # read by engines that load a model
        protocols=("v2", "grpc-v2"),
        user=0,
        read_only=True,
        shared_memory=False,
    )


def _sglang(serving: Serving) -> Engine:
    return Engine(
        _OPENAI,
        ("huggingface",),
        _GPU,
        1800,
        "/health",
        "/health",
        command=("python3", "-m", "sglang.launch_server"),
        arguments=(
            "--host=0.0.0.0",
            f"--port={serving.port}",
            f"--model-path={serving.model}",
            f"--served-model-name={serving.name}",
            "--enable-metrics",
        ),
        environment={"HF_HOME": "/tmp", "HOME": "/tmp"},
        ports={"http": serving.port},
    )


def _triton(serving: Serving) -> Engine:
    """PyTorch: `1/model.pt`, platform pytorch_libtorch (the pytorch_backend's README, "TorchScript
    Models"); KServe's own runtime for Triton calls that format pytorch, too."""
    return Engine(
        "V2 over REST and gRPC, for models of any kind in Triton's repository layout. Ready only when\n"
        "every model of the repository is.",
        ("triton", "onnx", "tensorrt", "pytorch", "torchscript", "python", "vllm-backend"),
        Resources("2", "8Gi"),
        1200,
        "/v2/health/ready",
        "/v2/health/live",
        arguments=(
            "tritonserver",
            f"--model-repository={serving.folder}",
            f"--http-port={serving.port}",
            "--grpc-port=9000",
            "--metrics-port=8002",
            "--strict-readiness=true",
        ),
        protocols=("v2", "grpc-v2"),
        ports={"http": serving.port, "metrics": 8002},
        user=1000,
    )


def _vllm(serving: Serving) -> Engine:
    return Engine(
        _OPENAI,
        ("huggingface",),
        _GPU,
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


def _vllm_cpu(serving: Serving) -> Engine:
    return replace(
        _vllm(serving),
        about=f"{_OPENAI}\nVLLM_CPU_KVCACHE_SPACE: GiB of the key-value cache.",
        resources=Resources("4", "16Gi"),
        environment={**_VLLM_ENVIRONMENT, "VLLM_CPU_KVCACHE_SPACE": "4"},
        user=None,
    )


def _vllm_multi_node(serving: Serving) -> Engine:
    return Engine(
        f"{_OPENAI}\n"
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


ENGINES: Final[Mapping[str, Callable[[Serving], Engine]]] = {
    "huggingface": _huggingface,
    "llama-cpp": _llama_cpp,
    "lmdeploy": _lmdeploy,
    "ollama": _ollama,
    "ollama-gpu": _ollama_gpu,
    "predictor": _predictor,
    "sglang": _sglang,
    "triton": _triton,
    "vllm": _vllm,
    "vllm-cpu": _vllm_cpu,
    MULTI_NODE: _vllm_multi_node,
}
