"""A cluster on this machine: an API server, and what a controller makes of what it holds."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from inferencegraph.cli import main
from tests.inferencegraph.cluster.api_server import TOKEN, ApiServer
from tests.inferencegraph.cluster.controller import reconcile

SPEC = {
    "apiVersion": "kserve-hem.io/v1alpha1",
    "kind": "LLMJointInferenceService",
    "metadata": {"name": "shop"},
    "spec": {
        "edgeWorker": {
            "nodes": ["till-1", "till-2"],
            "model": {"name": "small", "file": "embedded:edge"},
            "hardExampleMining": {"router": "embedded:linear"},
        },
        "cloudWorker": {"model": {"name": "large", "file": "embedded:cloud"}},
    },
}

PLAIN = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "settings"},
    "data": {"a": "1"},
}

Hem = Callable[..., int]
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def server() -> Iterator[ApiServer]:
    """With KServe, and with the Secrets that the sites name."""
    running = ApiServer()
    for name in ("kserve-hem-registry", "kserve-hem-gateway-keys"):
        running.put({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}})
    running.start()
    yield running
    running.stop()


@pytest.fixture
def kubeconfig(server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(kubeconfig_of(server.url)))
    monkeypatch.setenv("KUBECONFIG", str(path))
    monkeypatch.setenv("COLUMNS", "80")
    return path


def kubeconfig_of(url: str, token: str = TOKEN, **cluster: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "clusters": [{"name": "here", "cluster": {"server": url, **cluster}}],
        "users": [{"name": "ada", "user": {"token": token}}],
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "ada"}}],
    }


@pytest.fixture
def hem(kubeconfig: Path) -> Hem:
    """Runs a command; its exit code."""

    def run(*arguments: object) -> int:
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        assert isinstance(ended.value.code, int)
        return ended.value.code

    return run


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    return written(tmp_path / "spec.yaml", SPEC)


@pytest.fixture
def running(server: ApiServer, hem: Hem, spec: Path, capsys: Capture) -> ApiServer:
    """The API server of a cluster on which all of `spec` runs."""
    hem("apply", "-f", spec)
    reconcile(server)
    capsys.readouterr()
    return server


def written(path: Path, *contents: dict[str, Any]) -> Path:
    path.write_text(yaml.safe_dump_all(contents, sort_keys=False))
    return path


def plain(name: str, **more: Any) -> dict[str, Any]:
    return {**PLAIN, "metadata": {"name": name}, **more}


def printed(capsys: Capture) -> Any:
    return json.loads(capsys.readouterr().out)
