"""The inference engines with a server of their own: how each one is started."""

from collections.abc import Callable, Mapping
from typing import Final

from inferencegraph.build.engine import CPU, GPU, OPENAI, Engine, Serving
from inferencegraph.build.engine_vllm import vllm, vllm_cpu, vllm_multi_node
from inferencegraph.build.pods import Resources

MULTI_NODE: Final = "vllm-multi-node"
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
        GPU,
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
        f"{OPENAI}\n"
        "The image's own entrypoint is llama-server; its options are environment variables. An\n"
        "InferenceService names its file by LLAMA_ARG_MODEL.",
        ("gguf",),
        CPU,
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
        OPENAI,
        ("huggingface",),
        GPU,
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


def _ollama(serving: Serving, resources: Resources = CPU) -> Engine:
    source, place = f"{serving.folder}/$GGUF_FILE", {"GGUF_FILE": serving.file}
    if serving.hub:
        source, place = "$LIBRARY_MODEL", {"LIBRARY_MODEL": serving.hub}
    return Engine(
        f"{OPENAI}\nGGUF_FILE is the model's name under {serving.folder}.",
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
    return _ollama(serving, GPU)


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
        OPENAI,
        ("huggingface",),
        GPU,
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


ENGINES: Final[Mapping[str, Callable[[Serving], Engine]]] = {
    "huggingface": _huggingface,
    "llama-cpp": _llama_cpp,
    "lmdeploy": _lmdeploy,
    "ollama": _ollama,
    "ollama-gpu": _ollama_gpu,
    "predictor": _predictor,
    "sglang": _sglang,
    "triton": _triton,
    "vllm": vllm,
    "vllm-cpu": vllm_cpu,
    MULTI_NODE: vllm_multi_node,
}
