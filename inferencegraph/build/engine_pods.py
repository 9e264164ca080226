"""What a model's pod holds: our predictor alone, or beside it the server that its engine asks.

Which server that is stands in `engine_servers`. KServe sends the traffic to the first container,
which is always ours.
"""

import copy
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any, Final

from inferencegraph.build.accelerators import accelerator_of
from inferencegraph.build.engine import IN_A_RUNTIME, Serving
from inferencegraph.build.engine_containers import engine_container, volumes
from inferencegraph.build.engine_file import ENGINE_FILE, OURS, unless_filed, with_file
from inferencegraph.build.engine_servers import SERVERS, EngineServer, Server
from inferencegraph.build.engine_table import ENGINES
from inferencegraph.build.image_choice import computing, engine_image
from inferencegraph.build.mining import MODEL_MOUNT
from inferencegraph.build.pods import (
    SHARED_MEMORY_MOUNT,
    SLEEP_FIRST,
    Images,
    container,
    server_container,
    shared_memory,
    temporary,
    temporary_mount,
    with_command,
)
from inferencegraph.build.sites import (
    LIGHT_START_SECONDS,
    UPLINK_RESOURCES,
    Model,
    sampling_environment,
)
from predictors.errors import ConfigurationError

_PVC: Final = "pvc://"
_WEIGHTS: Final = ".gguf"
_OURS: Final = ("embedded:", "package:")
_BESIDE: Final = "tmp-server"  # one each, as both servers name their files as they like


_ENGINE_PORT: Final = 8000


def model_pod(name: str, model: Model, images: Images) -> dict[str, Any]:
    """The containers and volumes of a predictor that answers as `name`.

    Raises ConfigurationError where the model's values don't fit its engine.
    """
    if model.command:
        return {"containers": [_own(name, model)], "volumes": [temporary()]}
    pod = _model_pod(name, model, images)
    if isinstance(SERVERS.get(model.engine), EngineServer):
        return with_file(pod, model.config, ("--config", str(ENGINE_FILE)), reader=1)
    return with_file(pod, model.config, (OURS,))


def _model_pod(name: str, model: Model, images: Images) -> dict[str, Any]:
    if model.engine not in SERVERS:
        return _loading_pod(name, model, images)
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
        words = unless_filed(server.asking, model.config)
        asked = replace(asked, arguments=(*words, *asked.arguments))
        beside, own = _beside(name, model, images, server)
    beside["lifecycle"] = copy.deepcopy(SLEEP_FIRST)
    return {
        "containers": [_asking(name, asked, images, url, name), beside],
        "volumes": [temporary(), *own],
    }


def _own(name: str, model: Model) -> dict[str, Any]:
    """A server of the user's own."""
    assert model.image is not None
    environment = model.environment()
    made = container(model.image, name, (), environment, model.resources, model.start_seconds)
    return with_command(made, *model.command)


def _loading_pod(name: str, model: Model, images: Images) -> dict[str, Any]:
    loading = _loading(name, model, images)
    if model.resources.gpus < 2:
        return {"containers": [loading], "volumes": [temporary()]}
    # Its processes, one for each GPU, pass tensors through it.
    loading["volumeMounts"].append(dict(SHARED_MEMORY_MOUNT))
    return {"containers": [loading], "volumes": [temporary(), shared_memory("8Gi")]}


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
    key = computing(model, server)
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
