"""What a model's pod holds: our predictor alone, or beside it the server that its engine asks.

An engine that loads the model in the predictor's own process needs no line here, or one in
OWN_IMAGES where the predictor's image can't hold it. A server is an image of ours (Server), or an
engine's own, started as `engine_table` says (EngineServer). KServe sends the traffic to the first
container, which is always ours.
"""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any, Final

from inferencegraph.build.accelerators import accelerator_of
from inferencegraph.build.engine_containers import engine_container, volumes
from inferencegraph.build.engine_table import ENGINES, IMAGES, IN_A_RUNTIME, Serving
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
    with_command,
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
_WEIGHTS: Final = ".gguf"
_OURS: Final = ("embedded:", "package:")
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


@dataclass(frozen=True, slots=True)
class EngineServer:
    """An engine's own image as a container beside ours, which asks it by OpenAI's API.

    `on_cpus`, `on_gpus`: its name among ENGINES, where its image computes on them. `penalty`: its
    API's field for a repetition penalty.
    """

    on_cpus: str | None
    on_gpus: str | None
    penalty: str = "repetition_penalty"


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
    "sglang": EngineServer(None, "sglang"),
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
    "vllm-server": EngineServer("vllm-cpu", "vllm"),
}
_ENGINE_PORT: Final = 8000


def model_pod(name: str, model: Model, images: Images) -> dict[str, Any]:
    """The containers and volumes of a predictor that answers as `name`.

    Raises ConfigurationError where the model's values don't fit its engine.
    """
    if model.command:
        return {"containers": [_own(name, model)], "volumes": [temporary()]}
    if model.engine not in SERVERS:
        return {"containers": [_loading(name, model, images)], "volumes": [temporary()]}
    server = SERVERS[model.engine]
    if isinstance(server, EngineServer):
        penalty = f"--repetition_penalty_field={server.penalty}"
        asked = replace(model, engine="openai_api", arguments=(penalty, *model.arguments))
    else:
        asked = model
    if model.url is not None:
        asking = _asking(name, asked, images, model.url, model.directory)
        return {"containers": [asking], "volumes": [temporary()]}
    if server is None:
        raise ConfigurationError(f"engine {model.engine!r} asks a server elsewhere: give its url")
    if isinstance(server, EngineServer):
        url = f"http://localhost:{_ENGINE_PORT}/v1"
        beside, own = _engine_beside(name, model, images, server)
    else:
        url = server.url
        asked = replace(asked, arguments=(*server.asking, *asked.arguments))
        beside, own = _beside(name, model, images, server)
    beside["lifecycle"] = copy.deepcopy(SLEEP_FIRST)
    return {
        "containers": [_asking(name, asked, images, url, name), beside],
        "volumes": [temporary(), *own],
    }


def engine_image(model: Model, images: Images) -> tuple[str, str]:
    """The name of the engine that computes, as ConfigMaps of images have it, and its image."""
    server = SERVERS.get(model.engine)
    if isinstance(server, EngineServer):
        key = _computing(model, server)
        engine = ENGINES[key](IN_A_RUNTIME)
        own, key = (
            accelerator_of(model.resources.accelerator).image(key, engine),
            engine.image or key,
        )
        return key, images.engines.get(model.engine) or images.engines.get(key) or own
    in_ours = OWN_IMAGES.get(model.engine, lambda images: images.predictor)
    own = (server.image if server else in_ours)(images)
    if unusable_image(model, images):
        return model.engine, own
    return model.engine, images.engines.get(model.engine, own)


def unusable_image(model: Model, images: Images) -> str | None:
    """What `images` have for an engine that runs in an image of ours, where that is the engine's
    own server: ConfigMaps of ServingRuntimes have those."""
    named = images.engines.get(model.engine)
    if named is None or isinstance(SERVERS.get(model.engine), EngineServer):
        return None
    return named if _repository(named) == _repository(IMAGES.get(model.engine, "")) else None


def _repository(image: str) -> str:
    head, _, last = image.partition("@")[0].rpartition("/")
    return f"{head}/{last.partition(':')[0]}"


def _own(name: str, model: Model) -> dict[str, Any]:
    """A server of the user's own."""
    assert model.image is not None
    environment = model.environment()
    made = container(model.image, name, (), environment, model.resources, model.start_seconds)
    return with_command(made, *model.command)


def _loading(name: str, model: Model, images: Images) -> dict[str, Any]:
    """Our container, which loads the model itself."""
    for option in ("url", "server_arguments", "server_environment"):
        if value := getattr(model, option):
            raise ConfigurationError(
                f"{option} {value!r}: engine {model.engine!r} loads the model itself; engines that "
                f"ask a server: {', '.join(SERVERS)}"
            )
    arguments = [f"--engine={model.engine}", f"--model_dir={model.directory or MODEL_MOUNT}"]
    return container(
        model.image or engine_image(model, images)[1],
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


def _beside(
    name: str, model: Model, images: Images, server: Server
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The server's container, and its volumes."""
    if model.resources.gpus and not server.gpus:
        raise ConfigurationError(
            f"engine {model.engine!r}: the {server.name} container of its pod computes on CPUs; "
            f"with {model.resources.gpus} GPUs give the url of a server that uses them"
        )
    words = [f"--model_name={name}", f"--model_dir={model.directory or MODEL_MOUNT}"]
    beside = server_container(
        server.name,
        model.image or engine_image(model, images)[1],
        [*words, *server.arguments, *model.server_arguments],
        {"OMP_NUM_THREADS": str(model.resources.threads), **model.server_environment},
        server.listening,
        model.resources,
        model.start_seconds,
    )
    mounts, claimed = _storage(model, server.name)
    beside["volumeMounts"] = [temporary_mount(_BESIDE), dict(SHARED_MEMORY_MOUNT), *mounts]
    return beside, [temporary(_BESIDE), shared_memory(server.shared_memory), *claimed]


def _engine_beside(
    name: str, model: Model, images: Images, server: EngineServer
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The engine's container, and its volumes."""
    accelerator = accelerator_of(model.resources.accelerator)
    key = _computing(model, server)
    loads_file = ENGINES[key](IN_A_RUNTIME).loads_file
    engine = ENGINES[key](_serving(name, model, loads_file))
    if model.server_arguments and not engine.takes_arguments:
        raise ConfigurationError(
            f"server_arguments {model.server_arguments!r}: {model.engine} takes its options from "
            "variables; give them as server_environment"
        )
    engine = accelerator.adapted(key, engine)
    engine = replace(
        engine,
        arguments=(*engine.arguments, *model.server_arguments),
        environment={
            **engine.environment,
            engine.threads: str(model.resources.threads),
            **model.server_environment,
        },
        ports={"openai": _ENGINE_PORT},
    )
    beside = engine_container(
        engine,
        model.engine,
        model.image or engine_image(model, images)[1],
        model.resources,
        model.start_seconds,
        _BESIDE,
    )
    mounts, claimed = _storage(model, model.engine, loads_file)
    beside["volumeMounts"] += mounts
    return beside, [*volumes(engine, _BESIDE), *claimed]


def _computing(model: Model, server: EngineServer) -> str:
    """The name among ENGINES of what computes on the GPUs, or the CPUs, that the model has."""
    gpus = model.resources.gpus
    wanted, other = (server.on_gpus, server.on_cpus) if gpus else (server.on_cpus, server.on_gpus)
    if wanted is None and model.image is None:
        here, there = ("GPUs", "CPUs") if gpus else ("CPUs", "GPUs")
        raise ConfigurationError(
            f"engine {model.engine!r}: its image computes on {there}, and the model has "
            f"{gpus} GPUs; change resources, or give an image of {model.engine} for {here}"
        )
    key = wanted or other
    assert key is not None
    return key


def _serving(name: str, model: Model, loads_file: bool) -> Serving:
    """A directory with a slash in front is in the server's image; any other is a hub's name."""
    place = model.directory or MODEL_MOUNT
    if place.startswith(_OURS):
        raise ConfigurationError(
            f"directory {place!r}: engine {model.engine!r} does not know the models of this "
            "project; give a path in its image, or a name at its hub"
        )
    serving = Serving(name, _ENGINE_PORT, place)
    if not place.startswith("/"):
        return replace(serving, hub=place)
    if loads_file and (file := _file(place)):
        return replace(serving, folder=str(PurePosixPath(place).parent), file=file)
    return replace(serving, file=_file(model.storage_uri or "") or serving.file)


def _file(place: str) -> str | None:
    """The name of the file of weights that `place` ends in."""
    path = PurePosixPath(place)
    return path.name if path.suffix == _WEIGHTS else None


def _storage(
    model: Model, server: str, loads_file: bool = False
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Mounts and volumes that put a claim's folder where KServe would have put it: what KServe
    itself mounts for a STORAGE_URI reaches kserve-container and transformer-container only. Of a
    claim's file the folder is mounted."""
    uri = model.storage_uri
    if uri is None:
        return [], []
    claim, _, path = uri.removeprefix(_PVC).partition("/")
    if not uri.startswith(_PVC) or not claim:
        raise ConfigurationError(
            f"storage_uri {uri!r}: KServe mounts it into kserve-container only, where the "
            f"{server} container of engine {model.engine!r} can't read it; give "
            "pvc://CLAIM/PATH, or as directory a hub id or a path in the server's image"
        )
    if loads_file and _file(path):
        path = str(PurePosixPath(path).parent).removeprefix(".")
    mount = {"name": "model", "mountPath": MODEL_MOUNT, "readOnly": True}
    mount |= {"subPath": path} if path else {}
    source = {"claimName": claim, "readOnly": True}
    return [mount], [{"name": "model", "persistentVolumeClaim": source}]
