"""The router's image in a pod as KServe makes it: its very command, in namespaces of its own."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import yaml

from tests.conftest import ROOT, free_port

RECONCILED = ROOT.parent / "shared" / "conformance" / "reconciled"
DOCKERFILE = ROOT / "inferencegraph/Dockerfile"
DOCS = (ROOT / "docs/router.md").read_text()
LOCK = ROOT / ".ci/locks/router.txt"
ALONE = ("unshare", "--mount", "--net")

# Refuses what the lock has not, as the image's own environment would.
ONLY_THE_LOCK = """
import importlib.metadata, sys
packages = importlib.metadata.packages_distributions()
locked = set(sys.argv[1].split(","))
def refuse(name, path=None, target=None):
    of = {each.lower().replace("_", "-") for each in packages.get(name, ())}
    if of and not of & locked:
        raise ModuleNotFoundError(f"{name} is not in the lock", name=name)
sys.meta_path.insert(0, type("Lock", (), {"find_spec": staticmethod(refuse)}))
sys.argv = sys.argv[2:]
from inferencegraph.cli import main
main()
"""


def _entrypoint() -> list[str]:
    (words,) = re.findall(r"^ENTRYPOINT (.*)$", DOCKERFILE.read_text(), re.MULTILINE)
    python, *rest = json.loads(words)
    assert python == "python"
    return [sys.executable, *rest]


def _container(file: Path) -> dict[str, Any]:
    """The graph's router in what KServe made of one of the shipped manifests."""
    (container,) = (
        container
        for made in yaml.safe_load_all(file.read_text())
        if made["kind"] == "Deployment"
        for container in made["spec"]["template"]["spec"]["containers"]
        if "--graph-json" in container.get("args", ())
    )
    return container  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def alone() -> None:
    if not shutil.which("unshare") or not shutil.which("setpriv"):
        pytest.skip("unshare and setpriv are missing: util-linux has them")
    tried = subprocess.run([*ALONE, "mount", "-o", "remount,ro,bind", "/"], capture_output=True)
    if tried.returncode:
        pytest.skip(f"no namespaces here: {tried.stderr.decode().strip()}")


@pytest.mark.skipif(not RECONCILED.is_dir(), reason="../shared is absent: it has them")
@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize(
    "site",
    [
        "answer-generation-inference-then-mining",
        "answer-generation-mining-then-inference",
        "digit-recognition",
    ],
)
def test_the_image_serves_in_the_pod_that_kserve_makes(site: str) -> None:
    container = _container(RECONCILED / f"{site}.yaml")
    graph = json.loads(container["args"][1])
    steps = [step for node in graph["nodes"].values() for step in node["steps"]]
    urls = {step["name"]: step["serviceUrl"] for step in steps if "serviceUrl" in step}
    environment = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "PYTHONPATH": str(ROOT),
        "PROPAGATE_HEADERS": "^X-Request-Id$",
    }
    hosts = sorted({str(urlsplit(url).hostname) for url in urls.values()})
    given = map(json.dumps, (_entrypoint(), container["args"], environment, hosts))
    command = [*ALONE, sys.executable, "-m", "tests.e2e.router_pod", *given]
    pod = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True
    )
    assert pod.returncode == 0, pod.stderr.decode()
    seen = json.loads(pod.stdout)
    assert seen["written"] == []
    assert seen["capabilities"] == 0
    probe = container["readinessProbe"]["httpGet"]
    assert (probe["path"], probe["port"], seen["ready"]) == ("/readyz", 8080, 200)
    assert seen["answer"] == {"id": "1", "inputs": [], "parameters": {"hem_route": "edge"}}
    called = [urls[name] for name in ("mine", "edge") if name in urls]
    assert [f"http://{call['host']}{call['path']}" for call in seen["calls"]] == called
    assert {call["x-request-id"] for call in seen["calls"]} == {"r-1"}
    assert not any("x-other" in call for call in seen["calls"])
    assert seen["leaving"] == 503
    assert seen["returncode"] == 0
    assert seen["seconds"] < 30  # the pod's terminationGracePeriodSeconds
    assert pod.stderr == b""


def test_the_router_starts_and_answers_with_what_its_lock_has_alone() -> None:
    lock = ["kserve-hem", *re.findall(r"^([a-z0-9-]+)==", LOCK.read_text(), re.MULTILINE)]
    step = {"name": "gone", "serviceUrl": f"http://127.0.0.1:{free_port()}/"}
    graph = {"nodes": {"root": {"routerType": "Sequence", "steps": [step]}}}
    words = ["hem", "router", "--graph-json", json.dumps(graph), "--port", "0"]
    command = [sys.executable, "-c", ONLY_THE_LOCK, ",".join(lock), *words]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().split()[-1]
            failed = httpx.post(url, json={})
        finally:
            process.terminate()
    assert failed.status_code == 500
    assert "can't be reached" in failed.json()["cause"]
    assert process.returncode == 0


ROUTER_CONFIG = """
    {
        "image" : "%s",
        "memoryRequest": "100Mi",
        "imagePullSecrets": ["docker-secret"]
    }
"""


@pytest.mark.parametrize(
    "image",
    [
        "kserve/router:latest",
        "mirror.example.com:5000/kserve/router:v0.21.0",
        "kserve/router@sha256:0123",
    ],
)
def test_the_line_of_the_docs_changes_the_image_of_the_router_and_nothing_else(image: str) -> None:
    (line,) = re.findall(r"^kubectl .* \| (sed '.*') \| kubectl replace", DOCS, re.MULTILINE)
    data = {"router": ROUTER_CONFIG % image, "agent": '{"image": "kserve/agent:latest"}'}
    annotations = {"kubectl.kubernetes.io/last-applied-configuration": json.dumps({"data": data})}
    before = {"kind": "ConfigMap", "metadata": {"annotations": annotations}, "data": data}
    changed = subprocess.run(
        ["bash", "-ec", line], input=yaml.safe_dump(before), capture_output=True, text=True
    )
    after = yaml.safe_load(changed.stdout)
    (applied,) = after["metadata"]["annotations"].values()
    for now in (after["data"], json.loads(applied)["data"]):
        assert now == {**data, "router": ROUTER_CONFIG % "REGISTRY/kserve-hem-router:0.1.0"}
