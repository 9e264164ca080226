"""One container of an InferenceService -> the command and environment of a local process."""

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from inferencegraph.local.addresses import Addresses
from inferencegraph.local.images import LocalCommand
from predictors.errors import ConfigurationError

MODEL_MOUNT = "/mnt/models"
# Settings of ours in the user's shell must not reach a service whose manifest doesn't name them.
_OWN_SETTINGS = re.compile(r"^(PREDICTOR_|HEM_|MINING_MODE$|PROTOCOL$|STORAGE_URI$)")
_REFERENCE = re.compile(r"\$\(([A-Za-z_][A-Za-z0-9_]*)\)")


def manifest_environment(container: Mapping[str, Any], where: str) -> dict[str, str]:
    """The container's `env`. A value from a secret or ConfigMap is taken from the variable of the
    same name in the caller's environment; without it the container is refused."""
    if container.get("envFrom"):
        raise ConfigurationError(f"{where}: envFrom can't be read here; name each variable in env")
    values: dict[str, str] = {}
    for entry in container.get("env") or []:
        name = str(entry["name"])
        if entry.get("valueFrom") is None:
            values[name] = _expand(str(entry.get("value", "")), values)
        elif name in os.environ:
            values[name] = os.environ[name]
        else:
            kind = next(iter(entry["valueFrom"]), "valueFrom")
            raise ConfigurationError(
                f"{where}: env {name} comes from a {kind}, which is not here; "
                f"export {name} before `hem up`"
            )
    return values


def process_environment(declared: Mapping[str, str], threads: int) -> dict[str, str]:
    """The caller's environment without our settings, and what the manifest declares. `threads` is
    this service's share of the machine: it caps what the manifest asks for, which was meant for
    pods with cores of their own."""
    inherited = {key: value for key, value in os.environ.items() if not _OWN_SETTINGS.match(key)}
    asked = declared.get("OMP_NUM_THREADS", "")
    share = min(threads, int(asked)) if asked.isdecimal() else threads
    here = {"OMP_NUM_THREADS": str(share), "PYTHONUNBUFFERED": "1"}
    return {**inherited, "TOKENIZERS_PARALLELISM": "false", **declared, **here}


def command_line(
    container: Mapping[str, Any],
    local: LocalCommand,
    environment: Mapping[str, str],
    injected: tuple[str, ...] = (),
) -> list[str]:
    """ENTRYPOINT and CMD as Kubernetes composes them: `command` replaces the image's entrypoint,
    `$(NAME)` is a variable of the container. `injected` stands last, as KServe appends it."""
    entrypoint = [str(word) for word in container.get("command") or []]
    arguments = [str(word) for word in container.get("args") or []]
    if entrypoint and entrypoint[0] in {"python", "python3"}:
        entrypoint[0] = sys.executable
    elif local.program and (entrypoint or arguments)[:1] == [local.program]:
        entrypoint, arguments = [], [*entrypoint, *arguments][1:]
    words = [*(entrypoint or local.entrypoint), *arguments]
    return [_expand(word, environment) for word in words] + list(injected)


def localized(text: str, addresses: Addresses, model_directory: str | None) -> str:
    """`text` with cluster addresses and /mnt/models replaced by what they are here."""
    if model_directory is not None:
        text = re.sub(rf"{MODEL_MOUNT}(?=/|$)", lambda _: model_directory, text)
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
