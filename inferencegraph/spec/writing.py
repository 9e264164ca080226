"""A spec as commented text, for `hem init`."""

import copy
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from inferencegraph.spec.report import Report
from inferencegraph.spec.service import API_VERSION
from inferencegraph.spec.sources import (
    CLOUD_DEFAULT,
    CLOUD_DEFAULT_URL,
    EDGE_DEFAULT,
    SCHEMES,
    SHIPPED,
)
from predictors.errors import ConfigurationError

KEY_SECRET: Final = "kserve-hem-cloud-key"
EMBEDDED: Final = "embedded:"
_API: Final = ("http://", "https://")
_STORED: Final = tuple(scheme for scheme in SCHEMES if scheme not in _API)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What `hem init` was told. edge, cloud: a model as one word, see `source_of`; cloud_model: its
    name, where `cloud` is an API's URL. No cloud: the edge alone, and the other way round."""

    name: str
    edge: str | None = EDGE_DEFAULT
    cloud: str | None = CLOUD_DEFAULT_URL
    cloud_model: str | None = None
    nodes: Sequence[str] = ()
    edge_engine: str | None = None
    cloud_engine: str | None = None
    algorithm: str | None = None
    router: str | None = None
    threshold: float | None = None
    strategy: str | None = None


def source_of(word: str, field: str) -> dict[str, str]:
    """A model as one word -> the field of the spec that it is. Raises ConfigurationError."""
    if word.startswith(_API):
        return {"url": word}
    if word.startswith(_STORED):
        return {"storageUri": word}
    if word.startswith((*SHIPPED, "/", "./", "../", "~")) or Path(word).exists():
        return {"file": str(Path(word).expanduser()) if word.startswith("~") else word}
    parts = word.split("/")
    if len(parts) == 2 and all(parts):
        return {"hub": word}
    raise ConfigurationError(
        f"{field} {word!r}: write a hub id (ORG/MODEL), a path (./MODEL), a storage URI "
        f"({', '.join(_STORED)}), an API's URL (https://...), or embedded:edge"
    )


def spec_text(wanted: Wanted, file: str) -> str:
    """The YAML of the spec, with what else can be said as comments; `file` is what it will be
    called."""
    lines = [
        *_head(file),
        f"apiVersion: {API_VERSION}",
        "kind: LLMJointInferenceService",
        "metadata:",
        f"  name: {wanted.name}",
        "spec:",
    ]
    if wanted.edge is not None:
        lines += ["  edgeWorker:", *_nodes(wanted.nodes)]
        source = _beside(source_of(wanted.edge, "--edge"), file)
        lines += _worker(source, wanted.edge_engine, None)
        lines += _mining(wanted, file) if wanted.cloud is not None else []
        lines += _resource("2", "4Gi")
    if wanted.cloud is not None:
        source = _beside(source_of(wanted.cloud, "--cloud"), file)
        lines += ["  cloudWorker:"]
        lines += _worker(source, wanted.cloud_engine, wanted.cloud_model)
        lines += [] if "url" in source else _resource("4", "8Gi")
    lines += _more(wanted)
    return "\n".join(lines) + "\n"


def converted_text(document: Mapping[str, Any], report: Report, source: Path, file: str) -> str:
    """The YAML of a spec that was made of the other system's file `source`, with what of that is
    left out, or means something else, as comments."""
    warnings = [entry for entry in report if entry.severity == "warning"]
    own = report[0].object if report else ""
    told = [
        f"#   {'' if each.object == own else f'{each.object}: '}{each.source}: "
        + " ".join(each.finding.message.split())
        for each in warnings
    ]
    about = [f"# Made of {source.name}. What is not said below in the same way:", *told]
    document = copy.deepcopy(dict(document))
    for worker in document["spec"].values():
        model = worker.get("model", {})
        if "file" in model:
            model["file"] = moved(model["file"], source.parent, file)
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=100)
    return "\n".join([*_head(file), *(about if told else []), text])


def moved(place: str, folder: Path, file: str) -> str:
    """A path that begins at `folder` as the spec in `file` has to write it; what ships with the
    project, or has a scheme, stays."""
    if "://" in place or place.startswith(SHIPPED) or Path(place).is_absolute():
        return place
    return os.path.relpath(folder / place, Path(file).parent)


def _beside(source: dict[str, str], file: str) -> dict[str, str]:
    return {
        field: moved(value, Path(), file) if field == "file" else value
        for field, value in source.items()
    }


def _head(file: str) -> list[str]:
    return [
        f"# Here:          hem up -f {file}",
        f"# On a cluster:  hem render -f {file} | kubectl apply -f -",
        "# All fields:    docs/spec.md, and hem schema for editors",
    ]


def _nodes(nodes: Sequence[str]) -> list[str]:
    if not nodes:
        return [
            "    # nodes: [edge-1, edge-2]   # a site each; absent: any node with the edge role"
        ]
    return ["    nodes:", *(f"      - {_scalar(node)}" for node in nodes)]


def _worker(source: Mapping[str, str], engine: str | None, name: str | None) -> list[str]:
    lines = ["    model:"]
    if "url" in source:
        name = name or CLOUD_DEFAULT
    lines += [f"      name: {_scalar(name)}"] if name else []
    lines += [f"      {field}: {_scalar(value)}" for field, value in source.items()]
    if "url" in source:
        lines += [
            "      # The API's key. On a cluster: kubectl create secret generic \\",
            f"      #   {KEY_SECRET} --from-file=key=FILE",
            "      # With hem up: export PREDICTOR_API_KEY=...",
            "      secret:",
            f"        name: {KEY_SECRET}",
        ]
    if engine:
        lines += ["    inferenceConfig:", f"      engine: {engine}"]
    return lines


def _mining(wanted: Wanted, file: str) -> list[str]:
    lines = ["    hardExampleMining:"]
    if wanted.strategy is not None:
        lines += ["      miningMode: self-design", f"      strategy: {_scalar(wanted.strategy)}"]
    chosen: dict[str, Any] = {
        "name": wanted.algorithm,
        "router": wanted.router and moved(wanted.router, Path(), file),
        "threshold": wanted.threshold,
    }
    given = {name: value for name, value in chosen.items() if value is not None}
    lines += [f"      {name}: {_scalar(value)}" for name, value in given.items()]
    if wanted.strategy is not None and wanted.algorithm is None and wanted.router is None:
        return [
            *lines,
            "      # name: LinearRouter   # an algorithm beside it: hard queries alone are its",
        ]
    if wanted.algorithm is None and wanted.router is None:
        # The shipped pair has a router of its own; for others there is only a general one.
        pair = (f"{EMBEDDED}edge", f"{EMBEDDED}cloud")
        shipped = "linear" if (wanted.edge, wanted.cloud) == pair else "general"
        lines += [
            "      name: LinearRouter",
            f"      router: {EMBEDDED}{shipped}   # yours: hem label, hem train, hem calibrate",
        ]
    if wanted.threshold is None:
        lines += ["      # threshold: 0.4   # a score above it is hard: the cloud answers"]
    return lines


def _resource(cpu: str, memory: str) -> list[str]:
    return [
        "    resource:",
        f"      limits: {{cpu: {cpu}, memory: {memory}}}   # gpus: 1",
    ]


def _more(wanted: Wanted) -> list[str]:
    if wanted.edge is None or wanted.cloud is None:
        return []
    return [
        "  # gateway: {sticky: session, onBreak: continue}   # OpenAI's API in front of each site",
        "  # images: {registry: registry.example.com/team, tag: 0.1.0}",
    ]


def _scalar(value: object) -> str:
    """A value as YAML writes it, in quotes where it must be."""
    return yaml.safe_dump(value, default_flow_style=True).splitlines()[0]
