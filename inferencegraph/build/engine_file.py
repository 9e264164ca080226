"""An engine's configuration block as a file: the ConfigMap that has it, and what mounts that.

A predictor of ours reads it by `--engine_config`, an engine's own server by an option of its own.
"""

import copy
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final

import yaml

from inferencegraph.build.pods import labels

# vLLM and SGLang want a name that ends in .yaml.
ENGINE_FILE: Final = PurePosixPath("/etc/hem/engine/config.yaml")
OURS: Final = f"--engine_config={ENGINE_FILE}"
# Of the pods: another text is another annotation, so that they start anew.
ANNOTATION: Final = "kserve-hem.io/engine-config"
_VOLUME: Final = "engine-config"
_COMPONENT: Final = "engine"
_DIGITS: Final = 16  # of the hash


@dataclass(frozen=True, slots=True)
class EngineFile:
    """`name`: the ConfigMap's. `values`: options, by the names that the reader of the file has for
    them."""

    name: str
    values: Mapping[str, Any]

    @property
    def text(self) -> str:
        return yaml.safe_dump(dict(self.values), sort_keys=False, allow_unicode=True)

    def annotations(self) -> dict[str, str]:
        return {ANNOTATION: hashlib.sha256(self.text.encode()).hexdigest()[:_DIGITS]}

    def config_map(self, owner: str) -> dict[str, Any]:
        return {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": self.name, "labels": labels(owner, _COMPONENT, owner)},
            "data": {ENGINE_FILE.name: self.text},
        }


def with_file(
    pod: Mapping[str, Any], file: EngineFile | None, words: Sequence[str] = (OURS,), reader: int = 0
) -> dict[str, Any]:
    """The pod whose container number `reader` gets the file, and `words` that name it."""
    if file is None:
        return dict(pod)
    containers = copy.deepcopy(list(pod["containers"]))
    container = containers[reader]
    container["args"] = [*container.get("args", []), *words]
    mount = {"name": _VOLUME, "mountPath": str(ENGINE_FILE.parent), "readOnly": True}
    container["volumeMounts"] = [*container["volumeMounts"], mount]
    volume = {"name": _VOLUME, "configMap": {"name": file.name}}
    return {**pod, "containers": containers, "volumes": [*pod["volumes"], volume]}


def unless_filed(words: Sequence[str], file: EngineFile | None) -> list[str]:
    """Of options `--name=value` those that the file leaves open: on a command line they'd win."""
    given = file.values if file else {}
    return [word for word in words if word.removeprefix("--").partition("=")[0] not in given]
