"""One container of an InferenceService -> the command and environment of a local process.

LOCAL_COMMANDS says which local command stands in for a container image, a line for each. The tag,
digest and registry of an image don't matter here; its last name does.
"""

import os
import re
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from inferencegraph.build.accelerators import ACCELERATORS
from inferencegraph.build.engine_images import IMAGES
from inferencegraph.local.placement import LOOPBACK, Addresses
from predictors.digits import TRITON_REPOSITORY
from predictors.errors import ConfigurationError
from predictors.logs import LOG_FORMAT

_PYTHON_NAMES: Final = ("python", "python3")
# Variables of the user's shell that may be settings of ours: `overrides` says which services get
# them.
OURS: Final = re.compile(r"(PREDICTOR_|HEM_)\w+|MINING_MODE")
_INJECTED: Final = frozenset({"PROTOCOL", "STORAGE_URI"})  # KServe's, about one container alone
_REFERENCE: Final = re.compile(r"\$\(([A-Za-z_][A-Za-z0-9_]*)\)")


@dataclass(frozen=True, slots=True)
class LocalCommand:
    """An image's ENTRYPOINT on this machine, and the options by which it takes its ports.

    `replaces`: it stands in place of a container's own `command`, too.
    `program`: the word by which a container's `command` or `args` call the entrypoint, where the
    image has a shell of its own before it. `models`: what the image carries at /mnt/models.
    `listen`: options that keep a foreign server to this machine; ours have variables for it.
    """

    entrypoint: tuple[str, ...]
    http_port: str = "--http_port"
    grpc_port: str | None = "--grpc_port"
    program: str | None = None
    models: str | None = None
    listen: tuple[str, ...] = ()
    replaces: bool = False


# -P: a folder of the same name where `hem up` happens to be called is not our package.
_PYTHON = (sys.executable, "-P", "-m")
_TRITONSERVER = (*_PYTHON, "inferencegraph.local.tritonserver")
_TRITON = LocalCommand(
    # Its metrics would take one more port, the same for each server.
    (*_TRITONSERVER, "--allow-metrics=false"),
    http_port="--http-port",
    grpc_port="--grpc-port",
    program="tritonserver",
    listen=("--http-address", LOOPBACK, "--grpc-address", LOOPBACK),
)
_PREDICTOR = LocalCommand((*_PYTHON, "predictors"))
_SERVE = "predictors.servers.triton.serve"
_SERVE_HERE = (*_PYTHON, _SERVE, f"--tritonserver={shlex.join(_TRITONSERVER)}")
LOCAL_COMMANDS = {
    "kserve-hem-predictor": _PREDICTOR,
    "kserve-hem-predictor-vllm": _PREDICTOR,
    "kserve-hem-transformer": LocalCommand((*_PYTHON, "transformers_hem")),
    "tritonserver": _TRITON,
    "kserve-hem-digits-triton": replace(_TRITON, models=str(TRITON_REPOSITORY)),
    "kserve-hem-triton": replace(_TRITON, entrypoint=(*_SERVE_HERE, "--allow-metrics=false")),
    "kserve-hem-openai-server": LocalCommand(
        (*_PYTHON, "predictors.servers.openai"),
        http_port="--port",
        grpc_port=None,
        listen=("--host", LOOPBACK),
    ),
}


def image_name(image: str) -> str:
    """`registry:5000/team/name:tag@digest` -> `name`."""
    return image.rsplit("/", 1)[-1].split("@", 1)[0].split(":", 1)[0]


# What these run needs an accelerator, or is in no other place than the image.
_ENGINE_IMAGES: Final = frozenset(
    image_name(image)
    for images in (IMAGES, *(each.images for each in ACCELERATORS.values()))
    for image in images.values()
)


def with_own_images(options: Sequence[str]) -> dict[str, LocalCommand]:
    """The table plus the caller's `NAME=COMMAND` lines."""
    table = dict(LOCAL_COMMANDS)
    for option in options:
        name, _, command = option.partition("=")
        words = shlex.split(command)
        if not name or not words:
            raise ConfigurationError(
                f"--image {option!r} is not NAME=COMMAND, e.g. my-model='python -m my_model'"
            )
        # `python` means the interpreter that runs `hem`, as an image's own does inside it.
        if words[0] in _PYTHON_NAMES:
            words[0] = sys.executable
        # A container of ours with a command says by it which of our servers it is.
        ours = image_name(name) in LOCAL_COMMANDS
        table[image_name(name)] = LocalCommand(tuple(words), replaces=not ours)
    return table


def local_command(
    container: Mapping[str, Any], table: Mapping[str, LocalCommand], where: str
) -> LocalCommand:
    """The command for the container's image; `where` names it in the error."""
    image = str(container.get("image", ""))
    name = image_name(image)
    way_out = f"give one with --image {name or 'NAME'}='COMMAND', or use a cluster"
    if name in table:
        return table[name]
    if not runs_own_command(container, table):
        raise ConfigurationError(
            f"{where}: no local command for image {image!r}; known: {', '.join(sorted(table))}; "
            f"{way_out}"
        )
    program = str(container["command"][0])
    if program not in _PYTHON_NAMES and shutil.which(program) is None:
        raise ConfigurationError(
            f"{where}: its command {program!r} is not on this machine; {way_out}"
        )
    return LocalCommand(())


def runs_own_command(container: Mapping[str, Any], table: Mapping[str, LocalCommand]) -> bool:
    """Whether what runs here is the container's own `command`: its image is nobody's that is known,
    here or as an engine's."""
    name = image_name(str(container.get("image", "")))
    return bool(container.get("command")) and name not in table and name not in _ENGINE_IMAGES


def manifest_environment(container: Mapping[str, Any], where: str) -> dict[str, str]:
    """The container's `env`. A value from a secret or ConfigMap is taken from the variable of the
    same name in the caller's environment; without it the container is refused, unless the value is
    optional."""
    if container.get("envFrom"):
        raise ConfigurationError(f"{where}: envFrom can't be read here; name each variable in env")
    values: dict[str, str] = {}
    for entry in container.get("env") or []:
        name = str(entry["name"])
        if entry.get("valueFrom") is None:
            values[name] = _expand(str(entry.get("value", "")), values)
        elif name in os.environ:
            values[name] = os.environ[name]
        elif not any(source.get("optional") for source in entry["valueFrom"].values()):
            kind = next(iter(entry["valueFrom"]), "valueFrom")
            raise ConfigurationError(
                f"{where}: env {name} comes from a {kind}, which is not here; "
                f"export {name} before `hem up`"
            )
    return values


# Nobody's list of endpoints is behind here, and Ctrl-C shouldn't take seconds.
_PATH: Final = "PYTHONPATH"
_NO_DRAIN: Final = {"PREDICTOR_DRAIN_SECONDS": "0", "HEM_DRAIN_SECONDS": "0"}


def process_environment(declared: Mapping[str, str], threads: int) -> dict[str, str]:
    """The caller's environment without our settings, but for the format of all logs, and what the
    manifest declares. `threads` is this service's share of the machine: it caps what the manifest
    asks for, which was meant for pods with cores of their own. No server listens to other machines:
    one may hold a paid key."""
    inherited = {
        key: value
        for key, value in os.environ.items()
        if key == LOG_FORMAT or (key not in _INJECTED and not OURS.fullmatch(key))
    }
    asked = declared.get("OMP_NUM_THREADS", "")
    share = min(threads, int(asked)) if asked.isdecimal() else threads
    here = {"OMP_NUM_THREADS": str(share), "PYTHONUNBUFFERED": "1", **_NO_DRAIN}
    local = {"PREDICTOR_HOST": LOOPBACK, "HEM_HOST": LOOPBACK, "VLLM_HOST_IP": LOOPBACK}
    merged = {**local, **inherited, "TOKENIZERS_PARALLELISM": "false", **declared, **here}
    if _PATH in declared and inherited.get(_PATH):
        # What the caller has there is a part of what an image has installed.
        merged[_PATH] = os.pathsep.join((declared[_PATH], inherited[_PATH]))
    return merged


def command_line(
    container: Mapping[str, Any],
    local: LocalCommand,
    environment: Mapping[str, str],
    injected: tuple[str, ...] = (),
) -> list[str]:
    """ENTRYPOINT and CMD as Kubernetes composes them: `command` replaces the image's entrypoint,
    `$(NAME)` is a variable of the container. `injected` stands last, as KServe appends it."""
    own = [] if local.replaces else container.get("command") or []
    entrypoint = [str(word) for word in own]
    arguments = [str(word) for word in container.get("args") or []]
    if entrypoint and entrypoint[0] in _PYTHON_NAMES:
        entrypoint[0] = sys.executable
    elif local.program and (entrypoint or arguments)[:1] == [local.program]:
        entrypoint, arguments = [], [*entrypoint, *arguments][1:]
    words = [*(entrypoint or local.entrypoint), *arguments]
    return [_expand(word, environment) for word in words] + list(injected)


def localized(text: str, addresses: Addresses, paths: Mapping[str, str]) -> str:
    """`text` with cluster addresses, and paths that are mounted in a pod, replaced by what they are
    here."""
    for mount, here in paths.items():
        text = here.join(re.split(rf"{re.escape(mount)}(?=[/:]|$)", text))
    return addresses.localize(text)


def model_directory(storage_uri: str | None, where: str) -> str | None:
    """What KServe's storage initializer would have put at /mnt/models: a local directory for
    `file://` and plain paths, the hub's id for `hf://`."""
    if not storage_uri:
        return None
    scheme, separator, rest = storage_uri.partition("://")
    if separator and scheme == "hf":
        return rest
    path = Path(rest if scheme == "file" else storage_uri)
    if (separator and scheme != "file") or not path.is_absolute():
        raise ConfigurationError(
            f"{where}: storage {storage_uri!r} can't be fetched here; "
            "use file:///PATH, hf://ORG/MODEL, or a --model_dir of your own"
        )
    if not path.exists():
        raise ConfigurationError(f"{where}: storage {storage_uri!r}: no such file or directory")
    return str(path)


def _expand(text: str, values: Mapping[str, str]) -> str:
    """Kubernetes' `$(NAME)`; an unknown name stays as it is written."""
    return _REFERENCE.sub(lambda match: values.get(match[1], match[0]), text)
