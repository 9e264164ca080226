"""Which local command stands in for a container image: one line each.

The tag, digest and registry of an image don't matter here; its last name does.
"""

import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from predictors.digits import TRITON_REPOSITORY
from predictors.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class LocalCommand:
    """An image's ENTRYPOINT on this machine, and the options by which it takes its ports.

    `program`: the word by which a container's `command` or `args` call the entrypoint, where the
    image has a shell of its own before it. `models`: what the image carries at /mnt/models.
    """

    entrypoint: tuple[str, ...]
    http_port: str = "--http_port"
    grpc_port: str | None = "--grpc_port"
    program: str | None = None
    models: str | None = None


# -P: a folder of the same name where `hem up` happens to be called is not our package.
_PYTHON = (sys.executable, "-P", "-m")
_TRITONSERVER = (*_PYTHON, "inferencegraph.local.tritonserver")
_TRITON = LocalCommand(
    # Its metrics would take one more port, the same for each server.
    (*_TRITONSERVER, "--allow-metrics=false"),
    http_port="--http-port",
    grpc_port="--grpc-port",
    program="tritonserver",
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
        (*_PYTHON, "predictors.servers.openai"), http_port="--port", grpc_port=None
    ),
}


def image_name(image: str) -> str:
    """`registry:5000/team/name:tag@digest` -> `name`."""
    return image.rsplit("/", 1)[-1].split("@", 1)[0].split(":", 1)[0]


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
        table[image_name(name)] = LocalCommand(_this_python(words))
    return table


def local_command(image: str, table: Mapping[str, LocalCommand], where: str) -> LocalCommand:
    """The command for `image`; `where` names the container in the error."""
    found = table.get(image_name(image))
    if found is None:
        known = ", ".join(sorted(table))
        raise ConfigurationError(
            f"{where}: no local command for image {image!r}; known: {known}; "
            f"give one with --image {image_name(image) or 'NAME'}='COMMAND', or use a cluster"
        )
    return found


def _this_python(words: Sequence[str]) -> tuple[str, ...]:
    """`python` means the interpreter that runs `hem`, as an image's own does inside it."""
    return (sys.executable if words[0] in {"python", "python3"} else words[0], *words[1:])
