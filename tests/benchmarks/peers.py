"""Servers that stand between a caller and a model, as real processes in front of one upstream: our
gateway, LiteLLM's proxy, RouteLLM's server. One process each."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
import psutil

from tests.conftest import NO_DRAIN, ROOT, free_port
from tests.faults.proxies import litellm_command

ROUTELLM_VARIABLE: Final = "ROUTELLM"
START_SECONDS: Final = 240.0
OFFLINE: Final = {
    "HF_HUB_OFFLINE": "1",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",
    "OPENAI_API_KEY": "-",
}


@dataclass(frozen=True)
class Peer:
    """`url` is its base, with /v1; `model` is what a caller asks for."""

    name: str
    url: str
    model: str
    process: psutil.Process

    def cpu_seconds(self) -> float:
        """That it has used so far, with its children."""
        family = [self.process, *self.process.children(recursive=True)]
        return float(sum(sum(each.cpu_times()[:2]) for each in family))


Start = Callable[[str, Path], contextlib.AbstractContextManager[Peer]]


@contextlib.contextmanager
def running(
    name: str,
    model: str,
    command: Sequence[str],
    *,
    port: int,
    ready: str,
    log: Path,
    env: Mapping[str, str],
) -> Iterator[Peer]:
    """Raises AssertionError where `ready` is not answered with 200."""
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=out, cwd=ROOT, env={**os.environ, **env}
        )
    url = f"http://127.0.0.1:{port}"
    try:
        until = time.monotonic() + START_SECONDS
        while True:
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(url + ready, timeout=5).status_code == 200:
                    break
            running = process.poll() is None and time.monotonic() < until
            assert running, f"{name} does not start:\n{log.read_text()[-2000:]}"
            time.sleep(0.5)
        yield Peer(name, f"{url}/v1", model, psutil.Process(process.pid))
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def upstream(folder: Path) -> Iterator[Peer]:
    """What all of them call, and what is called without any of them."""
    port, log = free_port(), folder / "upstream.log"
    command = [sys.executable, "-m", "tests.benchmarks.trivial_stream", str(port)]
    with running("no one between", "m", command, port=port, ready="/", log=log, env={}) as peer:
        yield peer


@contextlib.contextmanager
def gateway(
    upstream_url: str, folder: Path, *, algorithm: Mapping[str, str], name: str
) -> Iterator[Peer]:
    """Of a site whose two sides are the upstream."""
    port, grpc_port = free_port(), free_port()
    base = upstream_url.removesuffix("/v1")
    command = [
        *(sys.executable, "-m", "transformers_hem", "--model_name", "qa-hem"),
        *("--enable_latency_logging", "false"),
        *("--http_port", str(port), "--grpc_port", str(grpc_port)),
    ]
    env = {
        **NO_DRAIN,
        **algorithm,
        "HEM_HOST": "127.0.0.1",
        **{f"HEM_{side}_URL": base for side in ("EDGE", "CLOUD")},
        **{f"HEM_{side}_MODEL": "m" for side in ("EDGE", "CLOUD")},
    }
    ready, log = "/v2/models/qa-hem/ready", folder / f"{name}.log"
    with running(name, "qa", command, port=port, ready=ready, log=log, env=env) as peer:
        yield peer


def our_gateway(upstream_url: str, folder: Path) -> contextlib.AbstractContextManager[Peer]:
    """A trained router decides about each question."""
    algorithm = {"HEM_ALGORITHM": "LinearRouter", "HEM_ROUTER": "embedded:linear"}
    return gateway(upstream_url, folder, algorithm=algorithm, name="our gateway, LinearRouter")


def our_random(upstream_url: str, folder: Path) -> contextlib.AbstractContextManager[Peer]:
    """A coin decides, as RouteLLM's."""
    algorithm = {"HEM_ALGORITHM": "RandomRouter", "HEM_THRESHOLD": "0.5"}
    return gateway(upstream_url, folder, algorithm=algorithm, name="our gateway, RandomRouter")


@contextlib.contextmanager
def litellm(upstream_url: str, folder: Path) -> Iterator[Peer]:
    """Its proxy with one worker; it does not route by the question."""
    command, port, config = litellm_command(), free_port(), folder / "litellm.yaml"
    assert command is not None
    parameters = {"model": "openai/m", "api_base": upstream_url, "api_key": "-"}
    models = [{"model_name": "qa", "litellm_params": parameters}]
    config.write_text(json.dumps({"model_list": models}))
    words = [command, "--config", str(config), "--host", "127.0.0.1", "--port", str(port)]
    words += ["--num_workers", "1", "--telemetry", "False"]
    ready, log = "/health/liveliness", folder / "litellm.log"
    with running("LiteLLM", "qa", words, port=port, ready=ready, log=log, env=OFFLINE) as peer:
        yield peer


def routellm_python() -> str | None:
    """The variable ROUTELLM, or what `make routellm` installs; None where neither is there."""
    named = os.environ.get(ROUTELLM_VARIABLE)
    return shutil.which(named or str(ROOT / ".venv-routellm" / "bin" / "python"))


@contextlib.contextmanager
def routellm(upstream_url: str, folder: Path) -> Iterator[Peer]:
    """Its server with its random router, the only one that needs no checkpoint of a hub."""
    python, port = routellm_python(), free_port()
    assert python is not None
    words = [python, "-m", "routellm.openai_server", "--port", str(port), "--routers", "random"]
    words += ["--base-url", upstream_url, "--api-key", "-"]
    words += ["--strong-model", "openai/m", "--weak-model", "openai/m"]
    model, log = "router-random-0.5", folder / "routellm.log"
    with running(
        "RouteLLM, random", model, words, port=port, ready="/docs", log=log, env=OFFLINE
    ) as peer:
        yield peer


def installed() -> dict[str, Start]:
    """Ours, and those of the others that are there."""
    found: dict[str, Start] = {"linear": our_gateway, "random": our_random}
    if litellm_command():
        found["litellm"] = litellm
    if routellm_python():
        found["routellm"] = routellm
    return found
