"""The shipped graph as `hem up` runs it, with a proxy in front of each of its services."""

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from inferencegraph.read.documents import MANIFESTS
from inferencegraph.read.kustomize import load
from tests.conftest import ROOT
from tests.inferencegraph.running_hem import RunningHem, hem
from tests.soak.faulty_proxy import FaultyProxy, Proxies
from tests.soak.log_lines import LogReader, faults
from tests.soak.network import Network
from tests.soak.service import Service

MANIFEST: Final = MANIFESTS / "answer-generation" / "mining-then-inference"
PARTS: Final[Mapping[str, str]] = {
    "cloud": "qa-cloud",
    "edge": "qa-edge",
    "uplink": "qa-uplink",
    "hem": "qa-hem",
}
# At 50 requests/s the models of both sides, their callers and the proxies are too much for two
# cores. So the cloud's model takes time and no computation, unless this says `embedded`.
ENGINES: Final = os.environ.get("HEM_SOAK_CLOUD", "scripted")
KEEPER: Final = "soak-keeper"
SCRIPTED: Final = "--engine=tests.soak.soak_engine:SoakEngine"


@dataclass
class Stack:
    """`parts` and `proxies` by the names in PARTS; `url` is the graph's."""

    url: str
    hem: RunningHem
    log: LogReader
    parts: dict[str, Service]
    proxies: dict[str, FaultyProxy]
    maker: Proxies
    network: Network
    folder: Path

    def aim(self, part: str, service: Service) -> None:
        self.proxies[part].aim(service.port)

    def back_to_normal(self, part: str) -> None:
        """What can be done from outside: the proxy passes calls on to the service itself."""
        self.network.keep()
        self.proxies[part].heal()
        self.aim(part, self.parts[part])

    def faults(self) -> list[str]:
        """Lines of its logs that tell of one, of what was started anew too."""
        found = list(self.log.faults)
        for part in self.parts.values():
            found += faults(part.name, part.log.read_text(errors="replace").splitlines())
        return found


@contextlib.contextmanager
def running_stack(
    network: Network, folder: Path, change: Callable[[dict[str, Any]], None] | None = None
) -> Iterator[Stack]:
    """`change` may change each InferenceService's manifest."""
    proxies = Proxies()
    fronts = {part: proxies.add(network) for part in PARTS}
    manifests = folder / "manifests.yaml"
    documents = through(fronts)
    for document in documents:
        if change is not None and document["kind"] == "InferenceService":
            change(document)
    manifests.write_text(yaml.safe_dump_all(documents))
    options = ["--image", f"{KEEPER}=python -m tests.soak.keeper"]
    options += ["--no-restart"] if "--no-restart" in hem("up", "--help").stdout else []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))  # where the scripted engine is
        running = RunningHem(["--logs", *options, "-f", str(manifests)], timeout=180)
    parts: dict[str, Service] = {}
    try:
        assert running.process.stdout is not None
        log = LogReader(running.process.stdout)
        urls = {e["name"]: e["url"] for e in running.events if e["event"] == "started"}
        for part, name in PARTS.items():
            parts[part] = Service(name, running.pids[name], urls[name], _log(folder, name))
        stack = Stack(running.url, running, log, parts, fronts, proxies, network, folder)
        for part, service in parts.items():
            stack.aim(part, service)
        yield stack
    finally:
        for service in parts.values():
            service.close()
        running.stop()
        running.close()
        proxies.close()


def _log(folder: Path, name: str) -> Path:
    log = folder / f"{name}.log"
    log.touch()
    return log


def through(fronts: Mapping[str, FaultyProxy]) -> list[dict[str, Any]]:
    """The shipped manifests; each call of a service goes through its proxy."""
    documents = load(MANIFEST)
    services = {d["metadata"]["name"]: d for d in documents if d["kind"] == "InferenceService"}
    container = services["qa-uplink"]["spec"]["predictor"]["containers"][0]
    container["args"] = _changed(container["args"], f"--url={fronts['cloud'].url}")
    if ENGINES == "scripted":
        container = services["qa-cloud"]["spec"]["predictor"]["containers"][0]
        container["args"] = _changed(container["args"], SCRIPTED, drop="--model_dir")
    for document in documents:
        if document["kind"] == "InferenceGraph":
            call_through(document, fronts)
    return [*documents, _keeper()]


def _keeper() -> dict[str, Any]:
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": KEEPER},
        "spec": {"predictor": {"containers": [{"name": "kserve-container", "image": KEEPER}]}},
    }


def call_through(graph: dict[str, Any], fronts: Mapping[str, FaultyProxy]) -> None:
    parts = {name: part for part, name in PARTS.items()}
    for node in graph["spec"]["nodes"].values():
        for step in node["steps"]:
            if name := step.pop("serviceName", None):
                step["serviceUrl"] = f"{fronts[parts[name]].url}/v2/models/{name}/infer"


def _changed(arguments: list[str], argument: str, drop: str = "") -> list[str]:
    name = argument.split("=")[0]
    kept = [a for a in arguments if a.split("=")[0] not in (name, drop)]
    return [*kept, argument]
