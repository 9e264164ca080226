"""The servers that a predictor of ours asks in its own pod, by the predictor's engine.

An engine that loads the model in the predictor's own process needs no line here, or one in
OWN_IMAGES where the predictor's image can't hold it. A server is an image of ours (Server), or an
engine's own, started as `engine_table` says (EngineServer).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from inferencegraph.build.pods import Images, Listening


@dataclass(frozen=True, slots=True)
class Server:
    """A model server as a container beside ours, which asks it at `url`, with `asking` as its own
    arguments.

    Its image takes `--model_name`, `--model_dir` and `arguments`. `shared_memory` is the most that
    its processes pass to each other. `gpus`: whether it computes on them.
    """

    name: str
    image: Callable[[Images], str]
    url: str
    arguments: tuple[str, ...]
    listening: Listening
    shared_memory: str
    gpus: bool
    asking: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EngineServer:
    """An engine's own image as a container beside ours, which asks it by OpenAI's API.

    `on_cpus`, `on_gpus`: its name among ENGINES, where its image computes on them. `penalty`: its
    API's field for a repetition penalty. `takes_file`: it reads options from `--config FILE`.
    """

    on_cpus: str | None
    on_gpus: str | None
    penalty: str = "repetition_penalty"
    takes_file: bool = False


# The engines whose packages pin versions apart from ours: the predictor with such an engine.
OWN_IMAGES: Final[Mapping[str, Callable[[Images], str]]] = {
    "vllm": lambda images: images.predictor_vllm,
}

# The engines that ask a server; None: one elsewhere, at `Model.url`, and never in their own pod.
SERVERS: Final[Mapping[str, Server | EngineServer | None]] = {
    "kserve": None,
    "sedna_worker": None,
    "llama-cpp": EngineServer("llama-cpp", None, penalty="repeat_penalty"),
    "lmdeploy": EngineServer(None, "lmdeploy"),
    "ollama": EngineServer("ollama", "ollama-gpu", penalty="none"),
    "openai_api": Server(
        name="openai-server",
        image=lambda images: images.openai_server,
        url="http://localhost:8000/v1",
        arguments=("--port=8000",),
        listening=Listening({"openai": 8000}, "/health", "/health"),
        shared_memory="8Gi",
        gpus=True,
        asking=("--repetition_penalty_field=repetition_penalty",),  # vLLM has it
    ),
    "sglang": EngineServer(None, "sglang", takes_file=True),
    "triton": Server(
        name="triton",
        image=lambda images: images.triton,
        url="localhost:8001",
        arguments=("--http-port=8000", "--grpc-port=8001"),
        listening=Listening(
            {"triton-http": 8000, "triton-grpc": 8001}, "/v2/health/live", "/v2/health/ready"
        ),
        shared_memory="256Mi",
        gpus=False,
    ),
    "vllm-server": EngineServer("vllm-cpu", "vllm", takes_file=True),
}


def takes_file(engine: str) -> bool:
    """Whether the engine reads a file of options: all of ours do, and some with a server of their
    own."""
    server = SERVERS.get(engine)
    return server.takes_file if isinstance(server, EngineServer) else True
