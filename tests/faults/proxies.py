"""What is judged, as real processes: our gateway, with and without an uplink, and LiteLLM's proxy.

All have the same limits, as far as they have such settings: an attempt at most half of the 30 s
that a caller waits, so that the fallback's fits in behind it.
"""

import asyncio
import contextlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal, Protocol, TypeAlias

import httpx

from tests.conftest import ROOT, ServerProcess, free_port
from tests.faults.provider import Provider
from tests.faults.rows import LIMIT, Clock
from tests.faults.stage import Proxy

Side: TypeAlias = Literal["cloud", "edge"]

ATTEMPT_SECONDS: Final = LIMIT / 2
FIRST_TOKEN_SECONDS: Final = 10.0
BETWEEN_TOKENS_SECONDS: Final = 5.0
RETRIES: Final = 2
BREAKER_FAILURES: Final = 5
BREAKER_SECONDS: Final = 10.0
# What stands between the gateway and a provider gives up sooner than who calls it.
UPLINK_SHARE: Final = 0.8
RETRY_SECONDS: Final = 1.5  # an uplink's default
SITE: Final = "qa"
LITELLM_VARIABLE: Final = "LITELLM"
LITELLM_SECONDS: Final = 180.0  # to start


class Start(Protocol):
    """Of a proxy, between two providers; its files are in `folder`."""

    def __call__(
        self, primary: Provider, fallback: Provider, folder: Path
    ) -> contextlib.AbstractAsyncContextManager[Proxy]: ...


@contextlib.asynccontextmanager
async def gateway(
    primary: Provider, fallback: Provider, folder: Path, *, side: Side, clock: Clock, uplink: bool
) -> AsyncIterator[Proxy]:
    """Of a site whose `side` is the primary; the cloud stands behind an uplink, or does not."""
    name = "gateway and uplink" if uplink else "gateway"
    cloud, edge = (primary, fallback) if side == "cloud" else (fallback, primary)
    started: list[ServerProcess] = []
    try:
        cloud_url, cloud_model = cloud.url, cloud.model
        if uplink:
            started.append(_uplink(cloud, clock, folder))
            cloud_url, cloud_model = started[0].url, f"{SITE}-uplink"
        tries_itself = uplink and side == "cloud"
        variables = {
            "HEM_ALGORITHM": "CloudOnly" if side == "cloud" else "EdgeOnly",
            "HEM_HOST": "127.0.0.1",
            "HEM_EDGE_URL": edge.url,
            "HEM_EDGE_MODEL": edge.model,
            "HEM_CLOUD_URL": cloud_url,
            "HEM_CLOUD_MODEL": cloud_model,
            "HEM_FIRST_TOKEN_SECONDS": str(clock(FIRST_TOKEN_SECONDS)),
            "HEM_BETWEEN_TOKENS_SECONDS": str(clock(BETWEEN_TOKENS_SECONDS)),
            "HEM_TIMEOUT": str(clock(ATTEMPT_SECONDS)),
            "HEM_RETRIES": "0" if tries_itself else str(RETRIES),
            "HEM_BREAKER_FAILURES": str(BREAKER_FAILURES),
            "HEM_BREAKER_SECONDS": str(clock(BREAKER_SECONDS)),
        }
        arguments = ("--model_name", f"{SITE}-hem")
        log = folder / f"{name}.log"
        started.append(ServerProcess("transformers_hem", arguments, variables, log))
        for server, part in zip(started[::-1], ("hem", "uplink"), strict=False):
            await asyncio.to_thread(server.wait_ready, f"/v2/models/{SITE}-{part}/ready")
        yield Proxy(name, started[-1].url, SITE)
    finally:
        for server in started:
            server.stop()


def _uplink(cloud: Provider, clock: Clock, folder: Path) -> ServerProcess:
    options: dict[str, Any] = {
        "model_name": f"{SITE}-uplink",
        "engine": "openai_api",
        "url": cloud.url,
        "upstream_model": cloud.model,
        "top_logprobs": 0,
        "timeout": clock(ATTEMPT_SECONDS * UPLINK_SHARE),
        "first_byte_timeout": clock(FIRST_TOKEN_SECONDS * UPLINK_SHARE),
        "between_bytes_timeout": clock(BETWEEN_TOKENS_SECONDS * UPLINK_SHARE),
        "retries": RETRIES,
        "retry_seconds": clock(RETRY_SECONDS),
        "breaker_failures": BREAKER_FAILURES,
        "breaker_seconds": clock(BREAKER_SECONDS),
    }
    arguments = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    return ServerProcess("predictors", arguments, {}, folder / "uplink.log")


def litellm_command() -> str | None:
    """The variable LITELLM, or what `make litellm` installs; None where neither is there."""
    named = os.environ.get(LITELLM_VARIABLE) or str(ROOT / ".venv-litellm" / "bin" / "litellm")
    return shutil.which(named)


@contextlib.asynccontextmanager
async def litellm(
    primary: Provider, fallback: Provider, folder: Path, *, clock: Clock, command: str
) -> AsyncIterator[Proxy]:
    """Its pauses between retries, of half a second and more, are no settings: at a shorter clock
    than 1 they count for more."""
    config, port = folder / "litellm.yaml", free_port()
    config.write_text(json.dumps(_litellm_config(primary, fallback, clock)))
    variables = {
        "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # nothing is fetched
    }
    words = [command, "--config", str(config), "--host", "127.0.0.1", "--port", str(port)]
    with (folder / "litellm.log").open("wb") as log:
        process = subprocess.Popen(
            [*words, "--num_workers", "1", "--telemetry", "False"],
            stdout=log,
            stderr=log,
            env={**os.environ, **variables},
        )
    try:
        url = f"http://127.0.0.1:{port}"
        await _live(url, process)
        yield Proxy("LiteLLM", url, primary.model, forgets=clock(BREAKER_SECONDS))
    finally:
        process.terminate()
        process.wait()


def _litellm_config(primary: Provider, fallback: Provider, clock: Clock) -> Mapping[str, Any]:
    """What its pages on reliability, timeouts and fallbacks recommend, for what is asked here.

    A time-out is not tried again, as LiteLLM would otherwise ask a silent model three times, and
    be too late with the fallback. A refusal by length or content goes to the fallback. Cooldowns
    are as our breaker is, but that the proxy counts requests that failed, with all their attempts.
    """
    falls_back = [{primary.model: [fallback.model]}]
    return {
        "model_list": [
            {
                "model_name": provider.model,  # an answer may be called by either name
                "litellm_params": {
                    "model": f"openai/{provider.model}",
                    "api_base": provider.url,
                    "api_key": "-",
                    "timeout": clock(ATTEMPT_SECONDS),
                    "stream_timeout": clock(FIRST_TOKEN_SECONDS),  # and between two, too
                },
            }
            for provider in (primary, fallback)
        ],
        "router_settings": {
            "num_retries": RETRIES,
            "retry_policy": {"TimeoutErrorRetries": 0},
            "fallbacks": falls_back,
            "context_window_fallbacks": falls_back,
            "content_policy_fallbacks": falls_back,
            "allowed_fails": BREAKER_FAILURES // (RETRIES + 1),
            "cooldown_time": clock(BREAKER_SECONDS),
        },
    }


async def _live(url: str, process: "subprocess.Popen[bytes]") -> None:
    """Raises AssertionError."""
    until = time.monotonic() + LITELLM_SECONDS
    async with httpx.AsyncClient() as client:
        while process.poll() is None and time.monotonic() < until:
            with contextlib.suppress(httpx.HTTPError):
                if (await client.get(f"{url}/health/liveliness", timeout=5)).status_code == 200:
                    return
            await asyncio.sleep(0.5)
    raise AssertionError("LiteLLM's proxy does not start")
