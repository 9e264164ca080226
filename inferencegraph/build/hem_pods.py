"""HEM's pods: its container with all that it reads, alone or beside the edge model."""

import copy
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any, Final

from inferencegraph.build.learning import CLAIM, STORE_MOUNT, WRITES_VOLUMES
from inferencegraph.build.mining import ALGORITHM_MOUNT, QUERY_STAGE, Mining, OwnAlgorithm
from inferencegraph.build.monitoring import MODEL_PORT
from inferencegraph.build.pods import container, labels, temporary, with_command
from inferencegraph.build.sites import (
    DEFAULT_START_SECONDS,
    LIGHT_START_SECONDS,
    Site,
    predictor_url,
)

COLLOCATED_TRANSFORMER: Final = "transformer-container"
_BEHIND: Final = (8085, 8086)  # the model's ports, HTTP and gRPC, behind a sidecar
# What the Secret with the keys of the gateway's callers becomes.
KEYS_FILE: Final = PurePosixPath("/etc/hem/keys/keys")
FILES: Final = "/etc/hem/files"  # where the user's ConfigMap is
ALGORITHM: Final = "algorithm"  # the volume with a user's own
VOLUMES: Final = "files"  # volumes that the user names, counted
CONFIG_MAP: Final = "hem-files"  # the volume of the user's ConfigMap


def with_sidecar(
    name: str, pod: Mapping[str, Any], mining: Mining, site: Site, limit: str
) -> dict[str, Any]:
    """HEM as KServe's collocated transformer, which gets the pod's traffic on the usual ports and
    asks the model's container on others."""
    model, *others = copy.deepcopy(pod["containers"])
    http, grpc = _BEHIND
    model["args"] += [f"--http_port={http}", f"--grpc_port={grpc}"]
    model["ports"] = [
        {"name": MODEL_PORT, "containerPort": http, "protocol": "TCP"},
        {"name": "model-grpc", "containerPort": grpc, "protocol": "TCP"},
    ]
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        model[probe]["httpGet"]["port"] = http
    hem = hem_container(name, mining, site, limit, f"--predictor_host=localhost:{http}")
    hem["name"] = COLLOCATED_TRANSFORMER
    mined = hem_pod(hem, mining, site)
    known_volumes = [volume["name"] for volume in pod["volumes"]]
    more = [volume for volume in mined["volumes"] if volume["name"] not in known_volumes]
    user = {"securityContext": mined["securityContext"]} if "securityContext" in mined else {}
    return {**user, "containers": [model, *others, hem], "volumes": [*pod["volumes"], *more]}


def hem_container(name: str, mining: Mining, site: Site, *arguments: str) -> dict[str, Any]:
    hem = container(
        site.images.predictor if mining.by_torch else site.images.transformer,
        name,
        arguments,
        {**mining.environment(), **(gateway_environment(site, mining) if mining.gateway else {})},
        mining.resources,
        DEFAULT_START_SECONDS if mining.by_torch else LIGHT_START_SECONDS,
    )
    if mining.by_torch:
        hem = with_command(hem, "python", "-m", "transformers_hem")
    if mining.gateway:
        mount = {"name": mining.keys_secret, "mountPath": str(KEYS_FILE.parent), "readOnly": True}
        hem["volumeMounts"].append(mount)
    if mining.own is not None:
        mount = {"name": ALGORITHM, "mountPath": ALGORITHM_MOUNT, "readOnly": True}
        hem["volumeMounts"].append(mount)
    hem["env"] += [each.variable(name) for name, each in mining.secrets.items()]
    for number, each in enumerate(mining.mounts):
        hem["volumeMounts"].append(each.manifest(f"{VOLUMES}-{number}"))
    if mining.config_map is not None:
        mount = {"name": CONFIG_MAP, "mountPath": FILES, "readOnly": True}
        hem["volumeMounts"].append(mount)
    return hem


def gateway_environment(site: Site, mining: Mining) -> dict[str, str]:
    """Where the gateway finds both sides. In front of its edge HEM knows that already; where the
    edge's engine asks the cloud itself, that alone is to be found, and turns the gateway on."""
    inside = mining.sidecar and mining.joint
    edge = f"http://localhost:{_BEHIND[0]}" if inside else predictor_url(f"{site.name}-edge")
    uplink = {"HEM_CLOUD_URL": predictor_url(f"{site.name}-uplink")}
    return {
        **({"HEM_EDGE_URL": edge} if mining.mode == QUERY_STAGE or mining.joint else {}),
        **({} if mining.joint else uplink),
        # A folder, too, may be given: each key of the Secret is a caller then.
        "HEM_API_KEYS_FILE": mining.environment().get("HEM_API_KEYS_FILE", str(KEYS_FILE)),
    }


def hem_pod(hem: dict[str, Any], mining: Mining, site: Site) -> dict[str, Any]:
    """The keys' Secret may come later: until then the gateway refuses all callers."""
    pod = pod_of(hem)
    if any(each.path == STORE_MOUNT and CLAIM in each.source for each in mining.mounts):
        pod["securityContext"] = dict(WRITES_VOLUMES)
    if mining.gateway:
        secret = {"secretName": mining.keys_secret, "optional": True}
        pod["volumes"].append({"name": mining.keys_secret, "secret": secret})
    if mining.own is not None:
        name = algorithm_map_name(site.owner or site.name, mining.own)
        pod["volumes"].append({"name": ALGORITHM, "configMap": {"name": name}})
    for number, each in enumerate(mining.mounts):
        pod["volumes"].append(each.volume(f"{VOLUMES}-{number}"))
    if mining.config_map is not None:
        named = {"name": mining.config_map}
        pod["volumes"].append({"name": CONFIG_MAP, "configMap": named})
    return pod


def algorithm_map(owner: str, own: OwnAlgorithm) -> dict[str, Any]:
    """The ConfigMap with a user's own algorithm, which all sites of a spec mount."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": algorithm_map_name(owner, own),
            "labels": labels(owner, ALGORITHM, owner),
        },
        "data": {f"{own.module}.py": own.text},
    }


def algorithm_map_name(owner: str, own: OwnAlgorithm) -> str:
    return f"{owner}-{own.suffix}"


def pod_of(container: dict[str, Any]) -> dict[str, Any]:
    return {"containers": [container], "volumes": [temporary()]}
