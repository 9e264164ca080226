"""What a model's pod holds: our predictor alone, or beside it the server that its engine asks.

An engine that loads the model in the predictor's own process needs no line here, or one in
OWN_IMAGES where the predictor's image can't hold it. KServe sends the traffic to the first
container, which is always ours.
"""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from inferencegraph.build.pods import (
    SHARED_MEMORY_MOUNT,
    SLEEP_FIRST,
    Images,
    Listening,
    container,
    server_container,
    shared_memory,
    temporary,
    temporary_mount,
)
from inferencegraph.build.sites import (
    LIGHT_START_SECONDS,
    MODEL_MOUNT,
    UPLINK_RESOURCES,
    Model,
    sampling_environment,
)
from predictors.errors import ConfigurationError

_PVC: Final = "pvc://"
_BESIDE: Final = "tmp-server"  # one each, as both servers name their files as they like


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


# The engines whose packages pin versions apart from ours: the predictor with such an engine.
OWN_IMAGES: Final[Mapping[str, Callable[[Images], str]]] = {
    "vllm": lambda images: images.predictor_vllm,
}

# The engines that ask a server; None: one elsewhere, at `Model.url`, and never in their own pod.
SERVERS: Final[Mapping[str, Server | None]] = {
    "kserve": None,
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
}


def model_pod(name: str, model: Model, images: Images) -> dict[str, Any]:
    """The containers and volumes of a predictor that answers as `name`.

    Raises ConfigurationError where the model's values don't fit its engine.
    """
    if model.engine not in SERVERS:
        return {"containers": [_loading(name, model, images)], "volumes": [temporary()]}
    if model.url is not None:
        asking = _asking(name, model, images, model.url, model.directory)
        return {"containers": [asking], "volumes": [temporary()]}
    server = SERVERS[model.engine]
    if server is None:
        raise ConfigurationError(f"engine {model.engine!r} asks a server elsewhere: give its url")
    asked = replace(model, arguments=(*server.asking, *model.arguments))
    mounts, volumes = _storage(model, server)
    beside = _beside(name, model, images, server)
    beside["lifecycle"] = copy.deepcopy(SLEEP_FIRST)
    beside["volumeMounts"] = [temporary_mount(_BESIDE), dict(SHARED_MEMORY_MOUNT), *mounts]
    own = [temporary(), temporary(_BESIDE), shared_memory(server.shared_memory)]
    return {
        "containers": [_asking(name, asked, images, server.url, name), beside],
        "volumes": [*own, *volumes],
    }


def _loading(name: str, model: Model, images: Images) -> dict[str, Any]:
    """Our container, which loads the model itself."""
    for option, value in (("url", model.url), ("server_arguments", model.server_arguments)):
        if value:
            raise ConfigurationError(
                f"{option} {value!r}: engine {model.engine!r} loads the model itself; engines that "
                f"ask a server: {', '.join(SERVERS)}"
            )
    arguments = [f"--engine={model.engine}", f"--model_dir={model.directory or MODEL_MOUNT}"]
    image = OWN_IMAGES.get(model.engine, lambda images: images.predictor)
    return container(
        model.image or image(images),
        name,
        [*arguments, *model.arguments],
        model.environment(),
        model.resources,
        model.start_seconds,
    )


def _asking(
    name: str, model: Model, images: Images, url: str, upstream_model: str | None
) -> dict[str, Any]:
    """Our container where the model is elsewhere: it is as light as an uplink."""
    arguments = [f"--engine={model.engine}", f"--url={url}"]
    arguments += [f"--upstream_model={upstream_model}"] if upstream_model else []
    return container(
        images.predictor,
        name,
        [*arguments, *model.arguments],
        sampling_environment(model.sampling),
        UPLINK_RESOURCES,
        LIGHT_START_SECONDS,
    )


def _beside(name: str, model: Model, images: Images, server: Server) -> dict[str, Any]:
    if model.resources.gpus and not server.gpus:
        raise ConfigurationError(
            f"engine {model.engine!r}: the {server.name} container of its pod computes on CPUs; "
            f"with {model.resources.gpus} GPUs give the url of a server that uses them"
        )
    words = [f"--model_name={name}", f"--model_dir={model.directory or MODEL_MOUNT}"]
    return server_container(
        server.name,
        model.image or server.image(images),
        [*words, *server.arguments, *model.server_arguments],
        {"OMP_NUM_THREADS": str(model.resources.threads)},
        server.listening,
        model.resources,
        model.start_seconds,
    )


def _storage(model: Model, server: Server) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Mounts and volumes that put a claim's folder where KServe would have put it: what KServe
    itself mounts for a STORAGE_URI reaches kserve-container and transformer-container only."""
    uri = model.storage_uri
    if uri is None:
        return [], []
    claim, _, path = uri.removeprefix(_PVC).partition("/")
    if not uri.startswith(_PVC) or not claim:
        raise ConfigurationError(
            f"storage_uri {uri!r}: KServe mounts it into kserve-container only, where the "
            f"{server.name} container of engine {model.engine!r} can't read it; give "
            "pvc://CLAIM/PATH, or as directory a hub id or a path in the server's image"
        )
    mount = {"name": "model", "mountPath": MODEL_MOUNT, "readOnly": True}
    mount |= {"subPath": path} if path else {}
    source = {"claimName": claim, "readOnly": True}
    return [mount], [{"name": "model", "persistentVolumeClaim": source}]
