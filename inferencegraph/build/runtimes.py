"""The ServingRuntimes that ship, one for each inference engine, flat for each accelerator.

    python -m inferencegraph.build.runtimes manifests/runtimes    rewrites them after a change here
    python -m inferencegraph.build.runtimes DIR --accelerator vendor.com/device    for another one

The images stand in each folder's images.yaml, a ConfigMap, which is written where there is none yet
and read where there is one. A test holds files and builders together.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from inferencegraph.build.annotated import annotated
from inferencegraph.build.engine_table import CONFIG_MAP, ENGINES, IMAGES, MULTI_NODE, Engine
from inferencegraph.build.pods import (
    CONTAINER_NAME,
    SECURITY_CONTEXT,
    SHARED_MEMORY_MOUNT,
    Listening,
    Resources,
    probes,
    shared_memory,
    temporary,
    temporary_mount,
)
from inferencegraph.check.reconciled.multi_node import MORE_ACCELERATORS, accelerators_counted
from inferencegraph.read.documents import parse
from inferencegraph.read.kustomization import FILE_NAMES
from predictors.errors import ConfigurationError
from predictors.serving.command import run

IMAGES_FILE: Final = "images.yaml"
NVIDIA: Final = "nvidia.com/gpu"
_SHARED_MEMORY_SIZE: Final = "8Gi"
_FROM_CONFIG_MAP: Final = "# From the ConfigMap inference-engine-config in images.yaml.\n"


@dataclass(frozen=True, slots=True)
class Accelerator:
    """`resource`: its name to Kubernetes. `images`: where its vendor publishes other ones."""

    resource: str
    images: Mapping[str, str]


ACCELERATORS: Final[Mapping[str, Accelerator]] = {
    "nvidia": Accelerator(NVIDIA, {}),
    "amd": Accelerator(
        "amd.com/gpu", {"vllm": "rocm/vllm:latest", "sglang": "lmsysorg/sglang:latest-rocm"}
    ),
    "ascend": Accelerator("huawei.com/Ascend910", {"vllm": "quay.io/ascend/vllm-ascend:latest"}),
    # Cambricon gives its images to customers: put your registry's name in.
    "cambricon": Accelerator(
        "cambricon.com/mlu", {"vllm": "registry.example.com/cambricon/vllm-mlu:latest"}
    ),
}


def runtimes(resource: str, images: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Name -> ServingRuntime; `images` by engine. Raises ConfigurationError where one is absent."""
    return {name: _runtime(name, engine, resource, images) for name, engine in ENGINES.items()}


def write(folder: Path, accelerator: Accelerator) -> list[Path]:
    """Writes the runtimes, their images where they are not written yet, and a kustomization."""
    folder.mkdir(parents=True, exist_ok=True)
    images_file = folder / IMAGES_FILE
    if not images_file.exists():
        images_file.write_text(_images_text({**IMAGES, **accelerator.images}), encoding="utf-8")
    texts = folder_texts(accelerator.resource, _images(images_file))
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [images_file, *(folder / name for name in texts)]


def folder_texts(resource: str, images: Mapping[str, str]) -> dict[str, str]:
    """File name -> text, but for images.yaml."""
    texts = {}
    for name, runtime in runtimes(resource, images).items():
        about = "".join(f"# {line}\n" for line in ENGINES[name].about.splitlines())
        texts[f"{name}.yaml"] = about + _FROM_CONFIG_MAP + annotated(runtime)
    fields = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [IMAGES_FILE, *texts],
    }
    about = f"# A ServingRuntime for each engine, for nodes with {resource} or none.\n"
    texts[FILE_NAMES[0]] = about + yaml.safe_dump(fields, sort_keys=False)
    return texts


def _images_text(images: Mapping[str, str]) -> str:
    fields = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": CONFIG_MAP},
        "data": dict(sorted(images.items())),
    }
    return (
        "# The images of all inference engines, in one place. In production name the versions "
        "that\n"
        "# you have tested, then: python -m inferencegraph.build.runtimes manifests/runtimes\n"
        + yaml.safe_dump(fields, sort_keys=False)
    )


def _images(file: Path) -> dict[str, str]:
    (content,) = parse(file) or [None]
    data = content.get("data") if isinstance(content, dict) else None
    if not isinstance(data, dict) or content["kind"] != "ConfigMap":
        raise ConfigurationError(f"{file}: is not a ConfigMap with data of engine: image")
    return {str(name): str(image) for name, image in data.items()}


def _runtime(name: str, engine: Engine, resource: str, images: Mapping[str, str]) -> dict[str, Any]:
    key = engine.image or name
    if key not in images:
        raise ConfigurationError(f"{IMAGES_FILE} has no image for {key!r}; add it under data")
    spec: dict[str, Any] = {
        "annotations": {
            "prometheus.kserve.io/port": str(engine.ports.get("metrics", 8080)),
            "prometheus.kserve.io/path": "/metrics",
        },
        "supportedModelFormats": [{"name": form, "version": "1"} for form in engine.formats],
    }
    if engine.protocols:
        spec["protocolVersions"] = list(engine.protocols)
    spec["containers"] = [_container(engine, resource, images[key])]
    spec["volumes"] = _volumes(engine)
    if name == MULTI_NODE:
        if resource not in accelerators_counted({}):
            spec["annotations"][MORE_ACCELERATORS] = json.dumps([resource])
        spec["workerSpec"] = _workers(engine, resource, images[key])
    return {
        "apiVersion": "serving.kserve.io/v1alpha1",
        "kind": "ServingRuntime",
        "metadata": {"name": name},
        "spec": spec,
    }


def _container(engine: Engine, resource: str, image: str) -> dict[str, Any]:
    listening = Listening(engine.ports, engine.live, engine.ready)
    made = probes(listening, engine.start_seconds, startup=engine.ready)
    made["livenessProbe"]["timeoutSeconds"] = 10  # an engine under load answers late
    words = {"command": list(engine.command), "args": list(engine.arguments)}
    return {
        "name": CONTAINER_NAME,
        "image": image,
        **{field: value for field, value in words.items() if value},
        **({"env": _environment(engine.environment)} if engine.environment else {}),
        "ports": [
            {"name": port, "containerPort": number, "protocol": "TCP"}
            for port, number in engine.ports.items()
        ],
        **made,
        "resources": _resources(engine.resources, resource),
        "securityContext": _security(engine),
        "volumeMounts": _mounts(engine),
    }


def _workers(engine: Engine, resource: str, image: str) -> dict[str, Any]:
    """The other nodes of a model over several: Ray's workers."""
    return {
        "pipelineParallelSize": 2,
        "tensorParallelSize": 1,
        "containers": [
            {
                "name": "worker-container",
                "image": image,
                "command": list(engine.worker_command),
                "env": _environment(engine.worker_environment),
                # A worker that has lost its head starts again and looks for the new one.
                "livenessProbe": {
                    "exec": {"command": list(engine.worker_alive)},
                    "initialDelaySeconds": 300,
                    "periodSeconds": 30,
                    "timeoutSeconds": 20,
                },
                "resources": _resources(engine.resources, resource),
                "securityContext": _security(engine),
                "volumeMounts": _mounts(engine),
            }
        ],
        "volumes": _volumes(engine),
    }


def _environment(values: Mapping[str, str]) -> list[dict[str, Any]]:
    """`@field` is a field of the pod."""
    return [
        {"name": name, "valueFrom": {"fieldRef": {"fieldPath": value[1:]}}}
        if value.startswith("@")
        else {"name": name, "value": value}
        for name, value in values.items()
    ]


def _resources(resources: Resources, accelerator: str) -> dict[str, dict[str, str]]:
    return {
        kind: {accelerator if name == NVIDIA else name: amount for name, amount in amounts.items()}
        for kind, amounts in resources.manifest().items()
    }


def _security(engine: Engine) -> dict[str, Any]:
    """Images of others run as root where nothing else is known of them, and write anywhere."""
    context: dict[str, Any] = {
        name: SECURITY_CONTEXT[name]
        for name in ("allowPrivilegeEscalation", "capabilities", "seccompProfile")
    }
    if engine.user is not None:
        context["runAsNonRoot"] = True
        context |= {"runAsUser": engine.user} if engine.user else {}
    return context | ({"readOnlyRootFilesystem": True} if engine.read_only else {})


def _mounts(engine: Engine) -> list[dict[str, Any]]:
    shared = [dict(SHARED_MEMORY_MOUNT)] if engine.shared_memory else []
    return [temporary_mount(), *shared]


def _volumes(engine: Engine) -> list[dict[str, Any]]:
    shared = [shared_memory(_SHARED_MEMORY_SIZE)] if engine.shared_memory else []
    return [temporary(), *shared]


def _main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Writes ServingRuntimes.")
    parser.add_argument("root", type=Path, help="e.g. manifests/runtimes")
    parser.add_argument(
        "--accelerator",
        metavar="RESOURCE",
        help="only for this one, e.g. vendor.com/device, into the folder itself",
    )
    options = parser.parse_args(arguments)
    wanted = {name: (options.root / name, each) for name, each in ACCELERATORS.items()}
    if options.accelerator:
        wanted = {"": (options.root, Accelerator(options.accelerator, {}))}
    for folder, accelerator in wanted.values():
        for path in write(folder, accelerator):
            print(path)


if __name__ == "__main__":
    run(_main)
